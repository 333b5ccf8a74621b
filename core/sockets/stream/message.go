// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"github.com/zlink/zlink/core/shm"
)

// Kind is the kind of a Message.
type Kind uint8

// The kinds of messages.
const (
	Data         Kind = 0 // a message from the peer
	Connected    Kind = 1 // the peer has come; its first message
	Disconnected Kind = 2 // the peer has gone; its last message
	Writable     Kind = 3 // a send to the peer got EAGAIN, and now has room
	Drained      Kind = 4 // Drain is done; of the socket, without a peer
	Asking       Kind = 5 // somebody waits for AcceptPeer or RefusePeer
)

// Message is one message, or an event, of a peer.
type Message struct {
	Peer uint32 // routing id; 0 of Drained only
	end  uint16 // of Disconnected: eventbody.go
	Text bool   // it came, or goes to a peer with FramingMessages, as text, which is UTF-8
	Kind Kind
	Body []byte // of Data; in a received message valid until Release

	// Header is what came, or goes, in front of the body with FramingHeaders: at most 64 KiB - 1. It is
	// valid as long as Body. nil: it has no bytes.
	Header []byte

	slab *shm.Slab // the slab that Body lies in; nil: Go's own memory
	box  *shm.Box  // of SetPeerData; nil: the socket takes none
}

// Release frees the memory of a received message; Body must not be used afterwards. The
// garbage collector does not do that. A message that is never released keeps the read
// buffer that it lies in: 320 KiB, or all of a longer body. While 25 such buffers are in
// use in the process, bodies of ordinary length are copied into Go's memory. All of that
// counts for STREAM_RECV_BYTES_TOTAL until it is released. Releasing
// the same variable twice is harmless, but a copy of it must not be released as well.
func (m *Message) Release() {
	if m.slab != nil {
		m.slab.Release()
	}
	m.slab, m.Body, m.Header = nil, nil, nil
}

// releaseAll releases messages. Consecutive ones in one slab change its count once.
func releaseAll(msgs []Message) {
	for i := 0; i < len(msgs); {
		slab, refs := msgs[i].slab, int32(0)
		for ; i < len(msgs) && msgs[i].slab == slab; i++ {
			msgs[i].slab, msgs[i].Body, msgs[i].Header = nil, nil, nil
			refs++
		}
		if slab != nil {
			slab.ReleaseMany(refs)
		}
	}
}
