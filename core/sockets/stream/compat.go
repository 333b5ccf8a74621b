// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sockets"
)

// eventBody holds the bodies of the two events.
var eventBody = [...][]byte{shm.RunConnected: {1}, shm.RunDisconnected: {0}}

// RecvFrame receives one frame into buf and returns the frame's full size. more means
// that the frame is a routing id, and its body follows. A header (FramingHeaders) is dropped. EAGAIN: nothing came, and dontWait
// or RCVTIMEO ended the wait. EINTR, in a C program: a signal handler ran. ETERM, ENOTSOCK.
// ENOTSUP: the socket is in the mode FAST.
func (k *Socket) RecvFrame(buf []byte, dontWait bool) (size int, more bool, err error) {
	if err := k.enter(); err != nil {
		return 0, false, err
	}
	defer k.leave()
	_, frame, more, done, err := k.next(dontWait)
	if err != nil {
		return 0, false, err
	}
	copy(buf, frame)
	if done != nil {
		k.finishRun(done)
	}
	return len(frame), more, nil
}

// next returns the next frame, and the header of a body that has one. The caller finishes the run
// done after it used the frame.
func (k *Socket) next(dontWait bool) (header, frame []byte, more bool, done *shm.Run, err error) {
	q := k.shared
	if q.RxPhase == shm.PhaseBody {
		q.RxPhase, q.RxMore = shm.PhaseID, 0
		header, frame, done = k.body()
		return header, frame, false, done, nil
	}
	if err := k.awaitRun(sockets.Waiting{Not: dontWait}, false); err != nil {
		return nil, nil, false, nil, err
	}
	q.RxPhase, q.RxMore = shm.PhaseBody, 1
	return nil, q.RxRun.Of().IDFrame(), true, nil, nil
}

// body returns the body at the receiver's position and moves on.
func (k *Socket) body() (header, body []byte, done *shm.Run) {
	q := k.shared
	r := q.RxRun
	if r.Kind != shm.RunData {
		q.EndRun()
		return nil, eventBody[r.Kind], r
	}
	if header, body = nextBody(q); q.RxLeft > 0 {
		return header, body, nil
	}
	q.EndRun()
	return header, body, r
}

// nextBody returns the header and the body of the next message of the data run being read.
func nextBody(q *shm.Queues) (header, body []byte) {
	if body = q.NextBody(); q.TxHeaders != 0 {
		return shm.Split(body)
	}
	return nil, body
}

// SendFrame sends one frame: a routing id with more set, then the body. For the body, more
// only matters if it is repeated. The body {0} closes the connection once everything
// queued is written. Where messages have headers (FramingHeaders), the body's has no bytes.
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
	return k.sendFrame(content{bytes: frame}, more, dontWait)
}

// expectsBody reports whether the next frame is a body: the second frame of a message, or,
// without more, a body repeated after EAGAIN or EINTR. The frame's bytes do not matter:
// a frame with more is an id even if no peer has it.
func (k *Socket) expectsBody(more bool) bool {
	phase := k.shared.TxPhase
	return phase == shm.PhaseBody || phase == shm.PhaseRetry && !more
}

func (k *Socket) sendFrame(frame content, more, dontWait bool) error {
	if k.shared.TxPhase == shm.PhaseFast {
		return errno.New(errno.ENOTSUP, "a socket in the mode FAST sends no frames, but messages with a routing id")
	}
	if k.expectsBody(more) {
		return k.sendBody(frame, dontWait)
	}
	return k.sendID(frame.bytes, more, dontWait)
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
	q.TxPromise = 0
	if dontWait && k.opt.fullPolicy.Load() == FullAgain {
		if s.Judge(q, rid, shm.AnyLength, false) != shm.Appended {
			k.flush(s, true)
			if k.refuse(s, rid, shm.AnyLength, false) {
				return k.errFull(rid, 0)
			}
		}
		q.TxPromise = 1
	}
	q.TxSession, q.TxRid, q.TxPhase = s, rid, shm.PhaseBody
	return nil
}

func (k *Socket) sendBody(body content, dontWait bool) error {
	q := k.shared
	s, rid := q.TxSession, q.TxRid
	q.TxPhase = shm.PhaseID
	if len(body.bytes) == 1 && body.bytes[0] == 0 && len(body.header) == 0 {
		return k.closePeer(s, rid)
	}
	if k.opt.fullPolicy.Load() != FullAgain {
		q.TxPromise = 0 // another policy has its own way with a body that is too long
	}
	err := k.queue(s, rid, body, sockets.Waiting{Not: dontWait})
	if e := errno.Of(err); e == errno.EAGAIN || e == errno.EINTR {
		q.TxPhase = shm.PhaseRetry
	}
	return err
}
