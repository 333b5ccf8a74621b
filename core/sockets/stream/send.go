// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"time"
	"unsafe"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sockets"
)

func (k *Socket) errFull(rid uint32) error {
	k.refused.Add(1)
	return errno.New(errno.EAGAIN, "the send queue of peer %d is full ("+bounds+")", rid)
}

func errGone(rid uint32) error { return errno.New(errno.EHOSTUNREACH, "the peer %d is gone", rid) }

// queue appends a message to the queue of the peer rid, and waits for room as long as it
// may. If the receiver has nothing more to take, the message is written at once. s is the
// session found for rid. Any thread.
func (k *Socket) queue(s *shm.Session, rid uint32, body []byte, owner unsafe.Pointer, w sockets.Waiting) error {
	result, err := k.enqueue(s, rid, body, owner, w)
	if result == shm.Appended && !k.shared.Waiting() {
		k.flush(s, false)
	}
	return err
}

// enqueue is queue without the write. Appended: the message is queued, and nobody was woken
// to write it.
func (k *Socket) enqueue(s *shm.Session, rid uint32, body []byte, owner unsafe.Pointer, w sockets.Waiting) (shm.AppendResult, error) {
	if uint64(len(body)) > maxBody {
		return shm.AppendFull, errno.New(errno.EMSGSIZE, "a body of %d bytes does not fit the length field", len(body))
	}
	if len(body) == 0 {
		owner = nil
	}
	var deadline time.Time
	for started := false; ; {
		result := s.Append(k.shared, rid, body, owner)
		switch result {
		case shm.Appended, shm.AppendedWake:
			return result, nil
		case shm.AppendGone:
			return result, errGone(rid)
		case shm.AppendNoMemory:
			return result, errno.New(errno.ENOMEM, "no memory to queue %d bytes", len(body))
		}
		policy := k.opt.fullPolicy.Load()
		if !started {
			started = true
			deadline = w.Deadline(k.opt.sndTimeout.Load())
			k.flush(s, !w.Not || policy != FullAgain) // the messages before it in a batch may wait here
			continue
		}
		switch { // other senders may take the room at any time, so the policy holds for each try
		case policy == FullDropOldest && k.dropOldest(s, rid, body, owner):
			continue
		case policy == FullDropOldest, policy == FullDropNewest:
			k.dropNewest(body, owner)
			return result, nil
		case result == shm.AppendFull && k.cuts(s, rid, body):
			return result, k.cutFull(s, rid)
		}
		err := k.awaitRoom(s, rid, body, owner, deadline, w)
		if err == errno.EAGAIN {
			if k.refuse(s, rid, body, owner) {
				err = k.errFull(rid)
			} else {
				err = nil
			}
		}
		if err != nil {
			return result, err
		}
	}
}

const (
	maxBody    = 1<<32 - 1 // the longest body that the length field can express
	lengthSize = 4         // of that field
)

// flush writes at once when nobody drives the session's shard. This thread drives it while
// it receives, and will do so again. With look, flush also asks the kernel which sessions
// can be written again.
func (k *Socket) flush(s *shm.Session, look bool) { k.shard(s).TryFlush(look) }

// flushSole is flush at the end of a batch, for all sessions of the socket. With several
// shards their threads drive.
func (k *Socket) flushSole(sole *engine.Shard) {
	if sole != nil && !k.shared.Waiting() {
		sole.TryFlush(false)
	}
}
