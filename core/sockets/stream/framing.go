// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"math"

	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sockets"
)

// Values of sockets.OptFraming: how messages lie in the bytes of a socket's connections.
const (
	FramingLength   = 0 // behind a length of 4 bytes
	FramingMessages = 1 // a message of WebSocket is a message
	FramingRaw      = 2 // not at all: a message is what a read brings
	FramingHeaders  = 3 // behind the size of a header in 2 bytes, that of a body in 4, and the header
)

func (k *Socket) framing() engine.Framing {
	return engine.Framing(k.opt.int(sockets.OptFraming))
}

// setFraming sets the framing of all connections, before the first of them.
func (k *Socket) setFraming(framing int32) error {
	if k.opt.used {
		return sockets.BadOption(sockets.OptFraming, "must be set before the first bind or connect")
	}
	k.opt.setInt(sockets.OptFraming, framing)
	k.shared.TxMask = math.MaxUint32
	k.shared.TxHeaders = 0
	switch framing {
	case FramingMessages:
		k.shared.TxMask = shm.LengthMask
	case FramingHeaders:
		k.shared.TxHeaders = 1
	}
	k.offerShortWays()
	return nil
}

// offerShortWays lets the C layer use its short ways, unless the context was shut down, the socket is
// closed, or its messages have headers, of which they know nothing.
func (k *Socket) offerShortWays() {
	k.mu.Lock()
	defer k.mu.Unlock()
	handle := k.handle
	if k.terminated.Load() || k.closed.Load() || k.hasHeaders() {
		handle = 0
	}
	k.shared.Handle.Store(handle)
	if k.closed.Load() { // meanwhile
		k.shared.Handle.Store(0)
	}
}

// hasHeaders reports whether the socket's messages have headers.
func (k *Socket) hasHeaders() bool { return k.shared.TxHeaders != 0 }

// sendsText reports whether the socket's peers have text besides bytes.
func (k *Socket) sendsText() bool { return k.shared.TxMask == shm.LengthMask }

// mayDeflate returns an error if messages cannot be compressed, or their size has no limit: what
// decompresses could fill any memory.
func (o *options) mayDeflate(framing engine.Framing) error {
	switch {
	case framing != engine.FramingMessages:
		return sockets.BadOption(sockets.OptWebDeflate, "needs STREAM_FRAMING %d", FramingMessages)
	case o.maxMsgSize < 0:
		return sockets.BadOption(sockets.OptWebDeflate, "needs a limit in MAXMSGSIZE, since a few bytes may decompress to gigabytes")
	}
	return nil
}

// unsuited is the error of a transport that cannot have the socket's framing.
func unsuited(framing engine.Framing, s *endpoint.Scheme) error {
	if s.Choice {
		return errno.New(errno.ENOCOMPATPROTO, "%s:// tells its peers apart by what they send first, so it cannot have STREAM_FRAMING %d", s, framing)
	}
	if framing == engine.FramingMessages {
		return errno.New(errno.ENOCOMPATPROTO, "%s has no messages of its own, so it cannot have STREAM_FRAMING %d; ws and wss can", s, framing)
	}
	return errno.New(errno.ENOCOMPATPROTO, "%s has messages of its own, so it cannot have STREAM_FRAMING %d", s, framing)
}
