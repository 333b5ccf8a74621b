// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"math"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/sockets"
)

// intOption is the default and the range of an option of C type int.
type intOption struct{ dflt, min, max int32 }

const most = math.MaxInt32

// intOptions are the options of C type int.
var intOptions = map[sockets.Option]intOption{
	sockets.OptSndBuf:          {-1, -1, most}, // bytes
	sockets.OptRcvBuf:          {-1, -1, most}, // bytes
	sockets.OptLinger:          {-1, -1, most}, // ms
	sockets.OptReconnectIvl:    {100, -1, most},
	sockets.OptBacklog:         {65536, 0, most},
	sockets.OptReconnectIvlMax: {0, 0, most},
	sockets.OptSndHwm:          {300000, 0, most},
	sockets.OptRcvHwm:          {300000, 0, most},
	sockets.OptRcvTimeo:        {-1, -1, most},
	sockets.OptSndTimeo:        {-1, -1, most},
	sockets.OptKeepAlive:       {-1, -1, 1},
	sockets.OptKeepAliveCnt:    {-1, -1, most},
	sockets.OptKeepAliveIdle:   {-1, -1, most}, // s
	sockets.OptKeepAliveIntvl:  {-1, -1, most}, // s
	sockets.OptImmediate:       {0, 0, 1},
	sockets.OptIPv6:            {0, 0, 1},
	sockets.OptTOS:             {0, 0, most},
	sockets.OptHandshakeIvl:    {30000, 0, most}, // ms
	sockets.OptConnectTimeout:  {0, 0, most},     // ms
	sockets.OptMaxRT:           {0, 0, most},     // ms
	sockets.OptUseFd:           {-1, -1, most},
	sockets.OptTLSVerify:       {1, 0, 1},
	sockets.OptTLSClientCert:   {0, 0, 1},
	sockets.OptTLSTrustSystem:  {1, 0, 1},
	sockets.OptCloseTimeout:    {10000, -1, most},                            // ms
	sockets.OptHeaderMax:       {engine.DefaultHeaderMax, 1 << 10, 64 << 10}, // bytes
	sockets.OptRecvBytes:       {1 << 20, 0, most},
	sockets.OptRateMessages:    {0, 0, most},
	sockets.OptRateBytes:       {0, 0, most},
	sockets.OptRatePolicy:      {RateWait, RateWait, RateCut},
	sockets.OptSendBytes:       {4 << 20, 0, most}, // bytes; 0: no limit
	sockets.OptFullPolicy:      {FullAgain, FullAgain, FullCut},

	sockets.OptIdleTimeout:  {0, 0, most}, // ms
	sockets.OptFirstMessage: {0, 0, most}, // ms
	sockets.OptMaxAge:       {0, 0, most}, // ms

	sockets.OptHeartbeatIvl:     {0, 0, most},                    // ms
	sockets.OptHeartbeatTTL:     {0, 0, math.MaxUint16*100 + 99}, // ms
	sockets.OptHeartbeatTimeout: {0, 0, most},                    // ms; not set: as sockets.OptHeartbeatIvl

	sockets.OptProfile:            {ProfilePrivate, ProfilePrivate, ProfilePublic},
	sockets.OptMaxConnections:     {0, 0, most},
	sockets.OptAddressConnections: {0, 0, most},
	sockets.OptAddressPrefix4:     {32, 0, 32},
	sockets.OptAddressPrefix6:     {64, 0, 128},
	sockets.OptAcceptRate:         {0, 0, most}, // in a second
	sockets.OptAddressAcceptRate:  {0, 0, most}, // in a second
	sockets.OptHandshakes:         {0, 0, most},
	sockets.OptPropertyBytes:      {4 << 10, 64, 64 << 10}, // of one peer
	sockets.OptPeerData:           {0, 0, 1},
	sockets.OptAcceptTimeout:      {0, 0, most}, // ms
	sockets.OptTLSMinVersion:      {TLS12, TLS12, TLS13},
	sockets.OptFraming:            {FramingLength, FramingLength, FramingHeaders},
	sockets.OptWebDeflate:         {0, 0, 1},
	sockets.OptReusePort:          {0, 0, 1},

	// Only other socket types use the following options. A STREAM socket stores them, so
	// that setting them on sockets of all types does not fail.
	sockets.OptRate:             {100, 1, most},   // kbit/s
	sockets.OptRecoveryIvl:      {10000, 0, most}, // ms
	sockets.OptMulticastHops:    {1, 1, most},
	sockets.OptConflate:         {0, 0, 1},
	sockets.OptInvertMatching:   {0, 0, 1},
	sockets.OptMulticastMaxTPDU: {1500, 1, most},  // bytes
	sockets.OptRequestTimeout:   {5000, -1, most}, // ms
	sockets.OptRequestCorrelate: {1, 0, 1},
	sockets.OptZMPMetadata:      {0, 0, 1},
}

// listMost is the length of the longest list of addresses. With a NUL it fits into the 64 KiB that
// C passes.
const listMost = 64<<10 - 1

// stringOptions are the options of text, with the length of their longest value in bytes.
var stringOptions = map[sockets.Option]int{
	sockets.OptBindToDevice:  16,
	sockets.OptTLSCert:       256,
	sockets.OptTLSKey:        256,
	sockets.OptTLSCA:         256,
	sockets.OptTLSHostname:   256,
	sockets.OptTLSPassword:   256,
	sockets.OptTLSCiphers:    256,
	sockets.OptTLSCerts:      listMost,
	sockets.OptTLSALPN:       1024,
	sockets.OptTLSTicketKeys: 256,
	sockets.OptTLSOCSP:       listMost,
	sockets.OptAllow:         listMost,
	sockets.OptDeny:          listMost,
	sockets.OptProperties:    4095,
	sockets.OptProxyFrom:     listMost,
	sockets.OptWebProtocols:  1024,
	sockets.OptWebOrigins:    listMost,
	sockets.OptWebHealth:     256,
	sockets.OptWebPaths:      4095,
	sockets.OptListenName:    255,
}
