// SPDX-License-Identifier: MPL-2.0

package sockets

import (
	"strconv"

	"github.com/zlink/zlink/core/errno"
)

// Option is the number of a socket option (ZLINK_SNDHWM …).
type Option int

// The options that a socket of this library may have.
const (
	OptAffinity         Option = 4
	OptRoutingID        Option = 5
	OptRate             Option = 8
	OptRecoveryIvl      Option = 9
	OptSndBuf           Option = 11
	OptRcvBuf           Option = 12
	OptRcvMore          Option = 13
	OptFd               Option = 14
	OptEvents           Option = 15
	OptType             Option = 16
	OptLinger           Option = 17
	OptReconnectIvl     Option = 18
	OptBacklog          Option = 19
	OptReconnectIvlMax  Option = 21
	OptMaxMsgSize       Option = 22
	OptSndHwm           Option = 23
	OptRcvHwm           Option = 24
	OptMulticastHops    Option = 25
	OptRcvTimeo         Option = 27
	OptSndTimeo         Option = 28
	OptLastEndpoint     Option = 32
	OptKeepAlive        Option = 34
	OptKeepAliveCnt     Option = 35
	OptKeepAliveIdle    Option = 36
	OptKeepAliveIntvl   Option = 37
	OptImmediate        Option = 39
	OptIPv6             Option = 42
	OptConflate         Option = 54
	OptTOS              Option = 57
	OptConnectRoutingID Option = 61
	OptHandshakeIvl     Option = 66
	OptInvertMatching   Option = 74
	OptHeartbeatIvl     Option = 75
	OptHeartbeatTTL     Option = 76
	OptHeartbeatTimeout Option = 77
	OptConnectTimeout   Option = 79
	OptMaxRT            Option = 80
	OptMulticastMaxTPDU Option = 84
	OptUseFd            Option = 89
	OptRequestTimeout   Option = 90
	OptRequestCorrelate Option = 91
	OptBindToDevice     Option = 92
	OptTLSCert          Option = 95
	OptTLSKey           Option = 96
	OptTLSCA            Option = 97
	OptTLSVerify        Option = 98
	OptTLSClientCert    Option = 99
	OptTLSHostname      Option = 100
	OptTLSTrustSystem   Option = 101
	OptTLSPassword      Option = 102
	OptZMPMetadata      Option = 117
	OptMode             Option = 300 // ModeCompat or ModeFast; until the first bind or connect
	OptCloseTimeout     Option = 301
	OptHeaderMax        Option = 302
	OptTLSCiphers       Option = 303
	OptRecvBytes        Option = 307
	OptRecvTotal        Option = 308
	OptRateMessages     Option = 309
	OptRateBytes        Option = 310
	OptRatePolicy       Option = 311
	OptSendBytes        Option = 304
	OptSendBytesTotal   Option = 305
	OptFullPolicy       Option = 306
	OptIdleTimeout      Option = 312
	OptFirstMessage     Option = 313
	OptMaxAge           Option = 314
	OptProfile          Option = 324 // ProfilePrivate or ProfilePublic: sets many others

	OptMaxConnections     Option = 315
	OptAddressConnections Option = 316
	OptAddressPrefix4     Option = 317
	OptAddressPrefix6     Option = 318
	OptAcceptRate         Option = 319
	OptAddressAcceptRate  Option = 320
	OptAllow              Option = 321
	OptDeny               Option = 322
	OptHandshakes         Option = 323
	OptProperties         Option = 325
	OptPropertyBytes      Option = 326
	OptProxyFrom          Option = 327
	OptWebProtocols       Option = 328
	OptWebOrigins         Option = 329
	OptWebHealth          Option = 330
	OptAcceptTimeout      Option = 333
	OptWebPaths           Option = 334
	OptPeerData           Option = 335
	OptTLSALPN            Option = 336
	OptTLSTicketKeys      Option = 337
	OptTLSOCSP            Option = 338
	OptTLSMinVersion      Option = 339 // TLS12 or TLS13
	OptTLSCerts           Option = 340
	OptReusePort          Option = 345
	OptListenName         Option = 346 // of a descriptor of socket activation
	OptFraming            Option = 331
	OptWebDeflate         Option = 332
)

// optionNames are the names of the options in C and in the documents, without ZLINK_.
var optionNames = map[Option]string{
	OptAffinity:         "AFFINITY",
	OptRoutingID:        "ROUTING_ID",
	OptRate:             "RATE",
	OptRecoveryIvl:      "RECOVERY_IVL",
	OptSndBuf:           "SNDBUF",
	OptRcvBuf:           "RCVBUF",
	OptRcvMore:          "RCVMORE",
	OptFd:               "FD",
	OptEvents:           "EVENTS",
	OptType:             "TYPE",
	OptLinger:           "LINGER",
	OptReconnectIvl:     "RECONNECT_IVL",
	OptBacklog:          "BACKLOG",
	OptReconnectIvlMax:  "RECONNECT_IVL_MAX",
	OptMaxMsgSize:       "MAXMSGSIZE",
	OptSndHwm:           "SNDHWM",
	OptRcvHwm:           "RCVHWM",
	OptMulticastHops:    "MULTICAST_HOPS",
	OptRcvTimeo:         "RCVTIMEO",
	OptSndTimeo:         "SNDTIMEO",
	OptLastEndpoint:     "LAST_ENDPOINT",
	OptKeepAlive:        "TCP_KEEPALIVE",
	OptKeepAliveCnt:     "TCP_KEEPALIVE_CNT",
	OptKeepAliveIdle:    "TCP_KEEPALIVE_IDLE",
	OptKeepAliveIntvl:   "TCP_KEEPALIVE_INTVL",
	OptImmediate:        "IMMEDIATE",
	OptIPv6:             "IPV6",
	OptConflate:         "CONFLATE",
	OptTOS:              "TOS",
	OptConnectRoutingID: "CONNECT_ROUTING_ID",
	OptHandshakeIvl:     "HANDSHAKE_IVL",
	OptInvertMatching:   "INVERT_MATCHING",
	OptHeartbeatIvl:     "HEARTBEAT_IVL",
	OptHeartbeatTTL:     "HEARTBEAT_TTL",
	OptHeartbeatTimeout: "HEARTBEAT_TIMEOUT",
	OptConnectTimeout:   "CONNECT_TIMEOUT",
	OptMaxRT:            "TCP_MAXRT",
	OptMulticastMaxTPDU: "MULTICAST_MAXTPDU",
	OptUseFd:            "USE_FD",
	OptRequestTimeout:   "REQUEST_TIMEOUT",
	OptRequestCorrelate: "REQUEST_CORRELATE",
	OptBindToDevice:     "BINDTODEVICE",
	OptTLSCert:          "TLS_CERT",
	OptTLSKey:           "TLS_KEY",
	OptTLSCA:            "TLS_CA",
	OptTLSVerify:        "TLS_VERIFY",
	OptTLSClientCert:    "TLS_REQUIRE_CLIENT_CERT",
	OptTLSHostname:      "TLS_HOSTNAME",
	OptTLSTrustSystem:   "TLS_TRUST_SYSTEM",
	OptTLSPassword:      "TLS_PASSWORD",
	OptZMPMetadata:      "ZMP_METADATA",
	OptMode:             "STREAM_MODE",
	OptCloseTimeout:     "STREAM_CLOSE_TIMEOUT",
	OptHeaderMax:        "STREAM_HEADER_MAX",
	OptTLSCiphers:       "TLS_CIPHERS",
	OptRecvBytes:        "STREAM_RECV_BYTES",
	OptRecvTotal:        "STREAM_RECV_BYTES_TOTAL",
	OptRateMessages:     "STREAM_RATE_MESSAGES",
	OptRateBytes:        "STREAM_RATE_BYTES",
	OptRatePolicy:       "STREAM_RATE_POLICY",
	OptSendBytes:        "STREAM_SEND_BYTES",
	OptSendBytesTotal:   "STREAM_SEND_BYTES_TOTAL",
	OptFullPolicy:       "STREAM_FULL_POLICY",
	OptIdleTimeout:      "STREAM_IDLE_TIMEOUT",
	OptFirstMessage:     "STREAM_FIRST_MESSAGE_TIMEOUT",
	OptMaxAge:           "STREAM_MAX_AGE",
	OptProfile:          "STREAM_PROFILE",

	OptMaxConnections:     "STREAM_MAX_CONNECTIONS",
	OptAddressConnections: "STREAM_ADDRESS_CONNECTIONS",
	OptAddressPrefix4:     "STREAM_ADDRESS_PREFIX4",
	OptAddressPrefix6:     "STREAM_ADDRESS_PREFIX6",
	OptAcceptRate:         "STREAM_ACCEPT_RATE",
	OptAddressAcceptRate:  "STREAM_ADDRESS_ACCEPT_RATE",
	OptAllow:              "STREAM_ALLOW",
	OptDeny:               "STREAM_DENY",
	OptHandshakes:         "STREAM_HANDSHAKES",
	OptProperties:         "STREAM_PROPERTIES",
	OptPropertyBytes:      "STREAM_PROPERTY_BYTES",
	OptProxyFrom:          "STREAM_PROXY_FROM",
	OptWebProtocols:       "STREAM_WS_PROTOCOLS",
	OptWebOrigins:         "STREAM_WS_ORIGINS",
	OptWebHealth:          "STREAM_WS_HEALTH_PATH",
	OptAcceptTimeout:      "STREAM_ACCEPT_TIMEOUT",
	OptWebPaths:           "STREAM_WS_PATHS",
	OptPeerData:           "STREAM_PEER_DATA",
	OptTLSCerts:           "STREAM_TLS_CERTS",
	OptTLSALPN:            "STREAM_TLS_ALPN",
	OptTLSTicketKeys:      "STREAM_TLS_TICKET_KEYS",
	OptTLSOCSP:            "STREAM_TLS_OCSP",
	OptTLSMinVersion:      "STREAM_TLS_MIN_VERSION",
	OptReusePort:          "STREAM_REUSEPORT",
	OptListenName:         "STREAM_LISTEN_NAME",
	OptFraming:            "STREAM_FRAMING",
	OptWebDeflate:         "STREAM_WS_DEFLATE",
}

// String returns the option's name in C without ZLINK_, or its number.
func (opt Option) String() string {
	if name, ok := optionNames[opt]; ok {
		return name
	}
	return strconv.Itoa(int(opt))
}

// BadOption returns the error of an option that a socket does not have or accept.
func BadOption(opt Option, format string, args ...any) error {
	return errno.New(errno.EINVAL, "socket option %s "+format, append([]any{opt}, args...)...)
}
