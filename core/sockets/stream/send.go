// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"time"
	"unsafe"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/probe"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sockets"
)

func (k *Socket) errFull(rid uint32, size int) error {
	k.refused.Add(1)
	k.showRefusal(rid, size)
	return errno.New(errno.EAGAIN, "the send queue of peer %d is full ("+bounds+")", rid)
}

// showRefusal shows tracers that a message is refused.
func (k *Socket) showRefusal(rid uint32, size int) {
	if probe.On(probe.Refuse) {
		probe.Fire(probe.Refuse, k.serial, rid, uint64(size), 0, "")
	}
}

func errGone(rid uint32) error { return errno.New(errno.EHOSTUNREACH, "the peer %d is gone", rid) }

// queue appends a message to the queue of the peer rid, and waits for room as long as it
// may. If the receiver has nothing more to take, the message is written at once. s is the
// session found for rid. Any thread.
func (k *Socket) queue(s *shm.Session, rid uint32, body content, w sockets.Waiting) error {
	result, err := k.enqueue(s, rid, body, w)
	if result == shm.Appended && !k.shared.Waiting() {
		k.flush(s, false)
	}
	return err
}

// enqueue is queue without the write. Appended: the message is queued, and nobody was woken
// to write it.
func (k *Socket) enqueue(s *shm.Session, rid uint32, c content, w sockets.Waiting) (shm.AppendResult, error) {
	if err := k.fits(c.header, c.bytes); err != nil {
		return shm.AppendFull, err
	}
	if len(c.bytes) == 0 {
		c.owner = nil
	}
	if owner := c.owner; owner != nil && k.hasHeaders() { // they are always copied
		c.owner = nil
		result, err := k.enqueue(s, rid, c, w)
		if err == nil {
			engine.ReleaseOwner(owner)
		}
		return result, err
	}
	size, owned := k.shared.Weight(c.header, c.bytes), c.owner != nil
	var deadline time.Time
	for started := false; ; {
		result := k.append(s, rid, c)
		switch result {
		case shm.Appended, shm.AppendedWake:
			return result, nil
		case shm.AppendGone:
			return result, errGone(rid)
		case shm.AppendNoMemory:
			return result, errno.New(errno.ENOMEM, "no memory to queue %d bytes", size)
		}
		policy := k.opt.fullPolicy.Load()
		if !started {
			started = true
			deadline = w.Deadline(k.opt.sndTimeout.Load())
			k.flush(s, !w.Not || policy != FullAgain) // the messages before it in a batch may wait here
			continue
		}
		switch { // other senders may take the room at any time, so the policy holds for each try
		case policy == FullDropOldest && k.dropOldest(s, rid, size, owned):
			continue
		case policy == FullDropOldest, policy == FullDropNewest:
			k.dropNewest(size, c.owner)
			return result, nil
		case result == shm.AppendFull && k.cuts(s, rid, size):
			return result, k.cutFull(s, rid)
		}
		err := k.awaitRoom(s, rid, size, owned, deadline, w)
		if err == errno.EAGAIN {
			if k.refuse(s, rid, size, owned) {
				err = k.errFull(rid, len(c.bytes))
			} else {
				err = nil
			}
		}
		if err != nil {
			return result, err
		}
	}
}

// content is what a message to be sent consists of.
type content struct {
	bytes  []byte
	owner  unsafe.Pointer // of bytes that are not copied; nil: they are
	text   bool           // it is text for peers with FramingMessages
	header []byte         // with FramingHeaders only
}

// append appends a message to a session's queue.
func (k *Socket) append(s *shm.Session, rid uint32, c content) shm.AppendResult {
	switch {
	case k.hasHeaders():
		return s.AppendHeader(k.shared, rid, c.header, c.bytes)
	case c.text && k.sendsText():
		return s.AppendText(k.shared, rid, c.bytes, c.owner)
	}
	return s.Append(k.shared, rid, c.bytes, c.owner)
}

// fits returns an error for a message that is longer than a frame can be, or has a header where
// there are none.
func (k *Socket) fits(header, body []byte) error {
	switch {
	case k.hasHeaders():
		return fitWithHeader(header, body)
	case len(header) > 0:
		return errno.New(errno.EINVAL, "the message has a header, for which the socket needs STREAM_FRAMING %d", FramingHeaders)
	}
	if uint64(len(body)) > uint64(k.shared.TxMask) {
		return errno.New(errno.EMSGSIZE, "a body of %d bytes is longer than %d, the most that a message can have", len(body), k.shared.TxMask)
	}
	return nil
}

// fitWithHeader is fits for FramingHeaders.
func fitWithHeader(header, body []byte) error {
	switch all := uint64(len(header)) + uint64(len(body)); {
	case len(header) > shm.HeaderMost:
		return errno.New(errno.EMSGSIZE, "a header of %d bytes is longer than %d, the most that a message can have", len(header), shm.HeaderMost)
	case all > shm.HeadersMost:
		return errno.New(errno.EMSGSIZE, "a header and a body of %d bytes are longer than %d, the most that a message can have",
			all, uint64(shm.HeadersMost))
	}
	return nil
}

const lengthSize = 4 // of the length field

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
