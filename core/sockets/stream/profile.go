// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"encoding/binary"

	"github.com/zlink/zlink/core/sockets"
)

// Values of sockets.OptProfile.
const (
	ProfilePrivate = 0 // of a network whose peers are trusted: what a socket starts with
	ProfilePublic  = 1 // of a server on the internet
)

// profiles holds the options that a profile sets, with their values in both. Those of
// PRIVATE are the defaults. doc/public.md has the same table, and reasons.
var profiles = map[sockets.Option]struct{ private, public int64 }{
	sockets.OptMaxMsgSize:     {-1, 64 << 10},
	sockets.OptSendBytes:      {4 << 20, 256 << 10},
	sockets.OptSendBytesTotal: {sendBytesTotal, 32 << 20},
	sockets.OptFullPolicy:     {FullAgain, FullCut},
	sockets.OptRecvBytes:      {1 << 20, 128 << 10},
	sockets.OptRecvTotal:      {recvTotal, 32 << 20},
	sockets.OptRateMessages:   {0, 5000},
	sockets.OptRateBytes:      {0, 4 << 20},

	sockets.OptIdleTimeout:  {0, 120_000},
	sockets.OptFirstMessage: {0, 30_000},
	sockets.OptMaxAge:       {0, 0},

	sockets.OptMaxConnections:     {0, 16_384},
	sockets.OptAddressConnections: {0, 256},
	sockets.OptAddressPrefix4:     {32, 32},
	sockets.OptAddressPrefix6:     {64, 64},
	sockets.OptAcceptRate:         {0, 5000},
	sockets.OptAddressAcceptRate:  {0, 100},
	sockets.OptHandshakes:         {0, 0},

	sockets.OptHandshakeIvl:     {30_000, 10_000},
	sockets.OptHeartbeatIvl:     {0, 30_000},
	sockets.OptHeartbeatTimeout: {0, 15_000},
	sockets.OptMaxRT:            {0, 30_000},
	sockets.OptCloseTimeout:     {10_000, 5000},
}

// setProfile sets all options of a profile. Later settings override them one by one.
func (k *Socket) setProfile(profile int32) error {
	for opt, values := range profiles {
		value := values.private
		if profile == ProfilePublic {
			value = values.public
		}
		if err := k.setOption(opt, cNumber(opt, value)); err != nil {
			return err
		}
	}
	if profile == ProfilePrivate {
		delete(k.opt.ints, sockets.OptHeartbeatTimeout) // follows OptHeartbeatIvl again
	}
	k.opt.setInt(sockets.OptProfile, profile)
	return nil
}

// cNumber returns a number in C's form, as the option takes it.
func cNumber(opt sockets.Option, value int64) []byte {
	if isInt(opt) {
		return cInt(int32(value))
	}
	return binary.NativeEndian.AppendUint64(nil, uint64(value))
}
