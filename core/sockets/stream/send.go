// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"time"
	"unsafe"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sockets"
	"github.com/zlink/zlink/core/wait"
)

// SendFrame sends one frame: a routing id with more set, then the body, whose more
// is ignored unless it comes again. The body {0} closes the connection after what is queued.
//
// EINVAL: a first frame without more, or empty. EHOSTUNREACH: no such peer, on
// whichever of the two calls finds out; the next SendFrame starts afresh. EAGAIN:
// the peer's queue is full, and dontWait or SNDTIMEO ends the wait; at a body the
// next SendFrame without more is that body again, one with more a new id; EINTR,
// in a C program, likewise.
// ETERM, ENOTSOCK. ENOTSUP: the socket is in the mode FAST.
func (k *Socket) SendFrame(frame []byte, more, dontWait bool) error {
	if err := k.enter(); err != nil {
		return err
	}
	defer k.leave()
	return k.sendFrame(frame, nil, more, dontWait)
}

// expectsBody tells whether the frame is a body: the second of a message, or,
// without more, one that comes again after EAGAIN or EINTR. The frame's bytes do
// not count: one with more is an id even if nobody has it.
func (k *Socket) expectsBody(more bool) bool {
	phase := k.shared.TxPhase
	return phase == shm.PhaseBody || phase == shm.PhaseRetry && !more
}

func (k *Socket) sendFrame(frame []byte, owner unsafe.Pointer, more, dontWait bool) error {
	if k.shared.TxPhase == shm.PhaseFast {
		return errno.New(errno.ENOTSUP, "a socket in the mode FAST sends no frames, but messages with a routing id")
	}
	if k.expectsBody(more) {
		return k.sendBody(frame, owner, dontWait)
	}
	return k.sendID(frame, more, dontWait)
}

func (k *Socket) sendID(id []byte, more, dontWait bool) error {
	q := k.shared
	q.TxPhase = shm.PhaseID
	if !more {
		return errno.New(errno.EINVAL, "the first frame of a message is a routing id and needs SNDMORE")
	}
	if len(id) == 0 {
		return errno.New(errno.EINVAL, "a routing id has at least one byte")
	}
	s, rid := k.find(id)
	if s == nil {
		return errno.New(errno.EHOSTUNREACH, "no peer has the routing id %x", id)
	}
	if dontWait && !s.HasRoom() {
		k.flush(s, true)
		if !s.HasRoom() {
			return k.errFull(rid)
		}
	}
	q.TxSession, q.TxRid, q.TxPhase = s, rid, shm.PhaseBody
	return nil
}

func (k *Socket) errFull(rid uint32) error {
	k.refused.Add(1)
	return errno.New(errno.EAGAIN, "the send queue of peer %d is full (SNDHWM)", rid)
}

func (k *Socket) sendBody(body []byte, owner unsafe.Pointer, dontWait bool) error {
	q := k.shared
	s, rid := q.TxSession, q.TxRid
	q.TxPhase = shm.PhaseID
	if len(body) == 1 && body[0] == 0 {
		return k.closePeer(s, rid)
	}
	err := k.queue(s, rid, body, owner, sockets.Waiting{Not: dontWait})
	if e := errno.Of(err); e == errno.EAGAIN || e == errno.EINTR {
		q.TxPhase = shm.PhaseRetry
	}
	return err
}

// queue appends a message to the queue of the peer that rid names, which was
// found to be s, and waits for room as long as it may. Any thread.
func (k *Socket) queue(s *shm.Session, rid uint32, body []byte, owner unsafe.Pointer, w sockets.Waiting) error {
	if uint64(len(body)) > maxBody {
		return errno.New(errno.EMSGSIZE, "a body of %d bytes does not fit the length field", len(body))
	}
	if len(body) == 0 {
		owner = nil
	}
	var deadline time.Time
	for started := false; ; {
		switch s.Append(k.serial, rid, body, owner) {
		case shm.AppendedWake:
			return nil
		case shm.Appended:
			if !k.shared.Waiting() {
				k.flush(s, false)
			}
			return nil
		case shm.AppendGone:
			return errno.New(errno.EHOSTUNREACH, "the peer %d is gone", rid)
		case shm.AppendNoMemory:
			return errno.New(errno.ENOMEM, "no memory to queue %d bytes", len(body))
		}
		if !started {
			started = true
			if deadline = w.Deadline(k.opt.sndTimeout.Load()); !w.Not {
				k.flush(s, true)
			}
		}
		if err := k.awaitRoom(s, rid, deadline, w); err != nil {
			if err == errno.EAGAIN {
				err = k.errFull(rid)
			}
			return err
		}
	}
}

const (
	maxBody    = 1<<32 - 1 // the longest body that the length field can tell
	lengthSize = 4         // of that field
)

// awaitRoom waits until the session's queue has room or the session ended.
func (k *Socket) awaitRoom(s *shm.Session, rid uint32, deadline time.Time, limit sockets.Waiting) error {
	w := wait.Get()
	defer wait.Put(w)
	k.senders.Add(w)
	defer k.senders.Remove(w)
	if limit.Ctx != nil {
		defer limit.OnEnd(k.senders.Signal)()
	}
	k.blocked.Add(1)
	defer k.blocked.Add(-1)
	for !s.HasRoom() && s.Is(k.serial, rid) {
		if err := k.state(); err != nil {
			return err
		}
		if deadline == sockets.LongAgo {
			return errno.EAGAIN
		}
		if err := limit.Cause(); err != nil {
			return err
		}
		if err := w.Wait(deadline); err != nil {
			return err
		}
		w.Reset()
	}
	return k.state()
}

// wakeSenders wakes who waits for room.
func (k *Socket) wakeSenders() {
	if k.blocked.Load() > 0 {
		k.senders.Signal()
	}
}

// closePeer ends a connection after what is queued for it.
func (k *Socket) closePeer(s *shm.Session, rid uint32) error {
	return k.closePeerWith(s, rid, CloseNormal, "")
}

// closePeerWith is closePeer with what a peer of WebSocket is told.
func (k *Socket) closePeerWith(s *shm.Session, rid uint32, code uint16, reason string) error {
	if !s.BeginClose(k.serial, rid) {
		return errno.New(errno.EHOSTUNREACH, "the peer %d is gone", rid)
	}
	sh := k.shard(s)
	sh.Post(func() { sh.FinishConn(s, k.serial, rid, code, reason) })
	k.flush(s, false)
	return nil
}

// flush writes at once when nobody drives the session's shard: its driver was
// this thread, and will be again when it receives. With look it also learns
// what the kernel takes again.
func (k *Socket) flush(s *shm.Session, look bool) { k.shard(s).TryFlush(look) }

// shard returns the one that serves a session, which some call of this socket
// found. Of a session that is another socket's by now it is any of this one's.
func (k *Socket) shard(s *shm.Session) *engine.Shard {
	if sole := k.soleShard(); sole != nil {
		return sole
	}
	s.Lock()
	shared := s.Shard
	s.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, sh := range k.shards {
		if sh.Shared == shared {
			return sh
		}
	}
	return k.shards[0]
}
