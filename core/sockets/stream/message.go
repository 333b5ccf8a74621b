// SPDX-License-Identifier: MPL-2.0

package stream

import "github.com/zlink/zlink/core/shm"

// Kind says what a Message is.
type Kind int

// The kinds of messages.
const (
	Data         Kind = 0 // a message of the peer
	Connected    Kind = 1 // the peer came; the first of its messages
	Disconnected Kind = 2 // the peer went; the last one
)

// Message is one message, or an event, of a peer.
type Message struct {
	Peer uint32 // routing id, never 0
	code uint16 // of Disconnected: closepeer.go
	Kind Kind
	Body []byte // of Data; in a received message valid until Release

	slab *shm.Slab // what Body lies in; nil: Go's own memory
}

// Release gives the memory of a received message back; Body must not be used
// afterwards. The garbage collector does not do that: a message that is never
// released keeps the read buffer that it lies in, 256 KiB or, of a longer body,
// all of it. With 32 such buffers in use in the process, bodies of ordinary
// length are copied into Go's memory. More than one Release does no harm to the
// same variable; a copy of it must not be released as well.
func (m *Message) Release() {
	if m.slab != nil {
		m.slab.Release()
	}
	m.slab, m.Body = nil, nil
}
