// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"unsafe"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sockets"
)

// forC is a socket as the C layer sees it. The C layer does the ordinary calls of the data
// path itself, on the socket's queues. Calls that need Go's rules come here.
type forC Socket

// ForC is for the C layer only. Go programs have no use for it.
func (k *Socket) ForC() *forC { return (*forC)(k) }

// AwaitRun blocks until there may be a run for a receive call of the mode FAST (fast) or
// COMPAT. RecvFrame describes the errors. The receiving thread calls it when it has no
// received runs left.
func (c *forC) AwaitRun(fast, dontWait bool) error {
	k := (*Socket)(c)
	if err := k.enter(); err != nil {
		return err
	}
	defer k.leave()
	if err := k.receives(fast); err != nil {
		return err
	}
	return k.await(sockets.Waiting{Not: dontWait})
}

// Resume lets the shards continue reading after the C layer has finished a run. Only the
// receiving thread calls it.
func (c *forC) Resume() {
	k := (*Socket)(c)
	if k.pin() {
		defer k.leave()
		k.resume()
	}
}

// EventTaken stops senders from queuing more for a peer, because the receiving thread has
// the peer's disconnect event.
func (c *forC) EventTaken(s *shm.Session) {
	k := (*Socket)(c)
	if k.pin() {
		defer k.leave()
		k.eventTaken(s)
	}
}

// Flush writes what is queued if the shard of this socket has no driver. It follows a send
// when there was nothing more to receive.
func (c *forC) Flush() {
	k := (*Socket)(c)
	if !k.pin() {
		return
	}
	defer k.leave()
	if sh := k.soleShard(); sh != nil {
		sh.TryFlush(false)
	}
}

// Parcel is a message of C that is to be sent.
type Parcel struct {
	Header []byte
	Body   []byte
	Owner  unsafe.Pointer // of the body; nil: it is copied
	Text   bool
}

func (p *Parcel) content() content {
	return content{bytes: p.Body, owner: p.Owner, text: p.Text, header: p.Header}
}

// SendMessage sends a message in the mode FAST, or a frame in the mode COMPAT, as the mode
// of the socket is. With an owner it does not copy a body. If SendMessage reports that it took
// owner, the host's ReleaseOwner gets owner once the bytes are in the kernel or dropped.
// Otherwise owner stays the caller's, as after an error or for a routing id.
func (c *forC) SendMessage(peer uint32, m Parcel, more, dontWait bool) (took bool, err error) {
	k := (*Socket)(c)
	if err := k.enter(); err != nil {
		return false, err
	}
	defer k.leave()
	takes, frame := m.Owner != nil, m.content()
	if k.shared.TxPhase == shm.PhaseFast {
		err = k.sendTo(peer, frame, sockets.Waiting{Not: dontWait})
	} else {
		takes = takes && k.expectsBody(more)
		err = k.sendFrame(frame, more, dontWait)
	}
	return takes && err == nil, err
}

// SendAny is the package's SendAny, or TrySendAny with dontWait; of no socket in particular. took is that of SendMessage.
func (*forC) SendAny(peer uint32, m Parcel, dontWait bool) (took bool, err error) {
	err = sendAny(peer, m.content(), sockets.Waiting{Not: dontWait})
	return m.Owner != nil && err == nil, err
}

// SendMany is SendBatch, or TrySendBatch with dontWait.
func (c *forC) SendMany(msgs []Message, dontWait bool) (int, error) {
	return (*Socket)(c).sendBatch(msgs, sockets.Waiting{Not: dontWait})
}

// SendLong is Send, or TrySend with dontWait, of one of several messages that are sent from
// their own place: Flush must follow the last of them, so that one write takes them all. The
// host's ReleaseOwner gets owner when the bytes are in the kernel or dropped. On an error the
// bytes stay the caller's.
func (c *forC) SendLong(peer uint32, m Parcel, dontWait bool) error {
	k := (*Socket)(c)
	s, err := k.enterPeer(peer)
	if err != nil {
		return err
	}
	defer k.leave()
	result, err := k.enqueue(s, peer, m.content(), sockets.Waiting{Not: dontWait})
	if result == shm.Appended && k.soleShard() == nil {
		k.flush(s, false)
	}
	return err
}

// Open lets the C layer use its short ways for the handle, unless the context was
// shut down since New.
func (c *forC) Open(handle uint64) {
	k := (*Socket)(c)
	k.mu.Lock()
	k.serial, k.shared.Serial, k.handle = handle, handle, handle
	k.mu.Unlock()
	k.offerShortWays()
}

// Queues returns what the C layer shares with the socket.
func (c *forC) Queues() *shm.Queues { return c.shared }

// PeerID returns the routing id of the peer at this index of Peers. EINVAL: the index is
// too large.
func (c *forC) PeerID(index int) ([]byte, error) {
	k := (*Socket)(c)
	if err := k.enter(); err != nil {
		return nil, err
	}
	defer k.leave()
	k.mu.Lock()
	defer k.mu.Unlock()
	if index >= 0 && index < len(k.conns) {
		return append([]byte(nil), k.conns[index].Shared.IDFrame()...), nil
	}
	return nil, errno.New(errno.EINVAL, "there is no peer with index %d", index)
}

// StopMonitors sends EventStopped to the socket's monitors. They must still be closed. New
// monitors may be opened.
func (c *forC) StopMonitors() error {
	k := (*Socket)(c)
	if err := k.enter(); err != nil {
		return err
	}
	defer k.leave()
	k.monitors.Stop()
	return nil
}
