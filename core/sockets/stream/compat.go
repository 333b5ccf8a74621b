// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"unsafe"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sockets"
)

// eventBody holds the bodies of the two events.
var eventBody = [...][]byte{shm.RunConnected: {1}, shm.RunDisconnected: {0}}

// RecvFrame receives one frame into buf and returns the frame's full size. more means
// that the frame is a routing id, and its body follows. EAGAIN: nothing came, and dontWait
// or RCVTIMEO ended the wait. EINTR, in a C program: a signal handler ran. ETERM, ENOTSOCK.
// ENOTSUP: the socket is in the mode FAST.
func (k *Socket) RecvFrame(buf []byte, dontWait bool) (size int, more bool, err error) {
	if err := k.enter(); err != nil {
		return 0, false, err
	}
	defer k.leave()
	frame, more, done, err := k.next(dontWait)
	if err != nil {
		return 0, false, err
	}
	copy(buf, frame)
	if done != nil {
		k.finishRun(done)
	}
	return len(frame), more, nil
}

// next returns the next frame. The caller finishes the run done after it used the frame.
func (k *Socket) next(dontWait bool) (frame []byte, more bool, done *shm.Run, err error) {
	q := k.shared
	if q.RxPhase == shm.PhaseBody {
		q.RxPhase, q.RxMore = shm.PhaseID, 0
		frame, done = k.body()
		return frame, false, done, nil
	}
	if err := k.awaitRun(sockets.Waiting{Not: dontWait}, false); err != nil {
		return nil, false, nil, err
	}
	q.RxPhase, q.RxMore = shm.PhaseBody, 1
	return q.RxRun.Of().IDFrame(), true, nil, nil
}

// body returns the body at the receiver's position and moves on.
func (k *Socket) body() (body []byte, done *shm.Run) {
	q := k.shared
	r := q.RxRun
	if r.Kind != shm.RunData {
		q.EndRun()
		return eventBody[r.Kind], r
	}
	body = q.NextBody()
	if q.RxLeft > 0 {
		return body, nil
	}
	q.EndRun()
	return body, r
}

// SendFrame sends one frame: a routing id with more set, then the body. For the body, more
// only matters if it is repeated. The body {0} closes the connection once everything
// queued is written.
//
// EINVAL: a first frame without more, or empty. EHOSTUNREACH: the peer does not exist;
// either of the two calls may find out, and the next SendFrame starts afresh. EAGAIN: the
// peer's queue is full, and dontWait or SNDTIMEO ended the wait. If that happens at a
// body, the next SendFrame without more repeats that body, and one with more starts with
// a new id. EINTR, in a C program: likewise. ETERM, ENOTSOCK. ENOTSUP: the socket is in
// the mode FAST.
func (k *Socket) SendFrame(frame []byte, more, dontWait bool) error {
	if err := k.enter(); err != nil {
		return err
	}
	defer k.leave()
	return k.sendFrame(frame, nil, more, dontWait)
}

// expectsBody reports whether the next frame is a body: the second frame of a message, or,
// without more, a body repeated after EAGAIN or EINTR. The frame's bytes do not matter:
// a frame with more is an id even if no peer has it.
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
		return errno.New(errno.EHOSTUNREACH, "no peer has the routing id %.32x", id) // the start: a frame can be long
	}
	if dontWait && !s.HasRoom() && k.opt.fullPolicy.Load() == FullAgain {
		k.flush(s, true)
		if !s.HasRoom() && k.refuse(s, rid, nil, nil) {
			return k.errFull(rid)
		}
	}
	q.TxSession, q.TxRid, q.TxPhase = s, rid, shm.PhaseBody
	return nil
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
