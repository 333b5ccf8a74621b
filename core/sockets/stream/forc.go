// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"unsafe"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sockets"
)

// forC is a socket as the C layer sees it. It answers the ordinary calls of the data
// path itself, from the socket's queues, and leaves to these what needs the rules.
type forC Socket

// ForC is for the C layer alone. Go programs have no use for it.
func (k *Socket) ForC() *forC { return (*forC)(k) }

// AwaitRun blocks until there may be a run for a receive call of the mode FAST, or of the mode
// COMPAT; see RecvFrame for the errors. The receiving thread, when it has nothing of its own left.
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

// Resume lets the shards read on after the C layer gave a run back. The
// receiving thread.
func (c *forC) Resume() {
	k := (*Socket)(c)
	if k.pin() {
		defer k.leave()
		k.resume()
	}
}

// EventTaken ends what senders may queue for a peer whose disconnect event the
// receiving thread has.
func (c *forC) EventTaken(s *shm.Session) {
	k := (*Socket)(c)
	if k.pin() {
		defer k.leave()
		k.eventTaken(s)
	}
}

// Flush writes what is queued when the shard of this socket has no driver. It is for
// after a send that found nothing more to receive.
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

// SendMessage sends a message of the mode FAST to a peer, or a frame of the mode COMPAT, as the
// socket's mode is. With owner a body is not copied: when SendMessage says that it took owner,
// the host's ReleaseOwner gets it once the bytes are in the kernel or dropped; else it stays the
// caller's, as with an error and with a routing id.
func (c *forC) SendMessage(peer uint32, data []byte, owner unsafe.Pointer, more, dontWait bool) (took bool, err error) {
	k := (*Socket)(c)
	if err := k.enter(); err != nil {
		return false, err
	}
	defer k.leave()
	takes := owner != nil
	if k.shared.TxPhase == shm.PhaseFast {
		err = k.sendTo(peer, data, owner, sockets.Waiting{Not: dontWait})
	} else {
		takes = takes && k.expectsBody(more)
		err = k.sendFrame(data, owner, more, dontWait)
	}
	return takes && err == nil, err
}

// SendMany is SendBatch, or TrySendBatch with dontWait.
func (c *forC) SendMany(msgs []Message, dontWait bool) (int, error) {
	return (*Socket)(c).sendBatch(msgs, sockets.Waiting{Not: dontWait})
}

// SendTo is Send, or TrySend with dontWait: with owner the body is not copied, and the
// host's ReleaseOwner gets owner when the bytes are in the kernel or dropped. On an
// error they stay the caller's.
func (c *forC) SendTo(peer uint32, body []byte, owner unsafe.Pointer, dontWait bool) error {
	return (*Socket)(c).sendTo(peer, body, owner, sockets.Waiting{Not: dontWait})
}

// Open lets the C layer take its short ways for the handle, unless the context was
// shut down since New.
func (c *forC) Open(handle uint64) {
	k := (*Socket)(c)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.serial, k.shared.Serial = handle, handle
	if !k.terminated.Load() {
		k.shared.Handle.Store(handle)
	}
}

// Queues returns what the C layer shares with the socket.
func (c *forC) Queues() *shm.Queues { return c.shared }

// PeerID returns the routing id of the peer at index of Peers. EINVAL: there
// is no such index.
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

// StopMonitors ends the socket's monitors with EventStopped; they are still to be
// closed, and new ones may be made.
func (c *forC) StopMonitors() error {
	k := (*Socket)(c)
	if err := k.enter(); err != nil {
		return err
	}
	defer k.leave()
	k.monitors.Stop()
	return nil
}
