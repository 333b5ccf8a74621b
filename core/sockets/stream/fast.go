// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"context"
	"iter"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sockets"
)

// ownedMin is the length from which on a received body is sent on without a copy.
//
//capi:const ZL
const ownedMin = 32 << 10

// viewMin is the length from which on a body stays in the slab instead of being copied.
const viewMin = 64

// Recv returns the next message, which the caller must release. It waits until ctx is done
// (its cause) or RCVTIMEO is over (EAGAIN). EFSM: another goroutine is receiving. ETERM:
// the context was shut down. ENOTSOCK: the socket is closed, possibly by another
// goroutine meanwhile. ENOTSUP: it is in the mode COMPAT.
func (k *Socket) Recv(ctx context.Context) (Message, error) {
	var one [1]Message
	_, err := k.recvBatch(sockets.Waiting{Ctx: ctx}, one[:])
	return one[0], err
}

// TryRecv is Recv without waiting: it returns EAGAIN instead.
func (k *Socket) TryRecv() (Message, error) {
	var one [1]Message
	_, err := k.recvBatch(sockets.Waiting{Not: true}, one[:])
	return one[0], err
}

// RecvBatch stores up to len(msgs) messages and returns their number. It waits for the
// first as Recv does. It overwrites the old content of msgs; the caller must have released
// it. EINVAL: msgs is empty.
func (k *Socket) RecvBatch(ctx context.Context, msgs []Message) (int, error) {
	return k.recvBatch(sockets.Waiting{Ctx: ctx}, msgs)
}

// TryRecvBatch is RecvBatch without waiting: it returns EAGAIN instead.
func (k *Socket) TryRecvBatch(msgs []Message) (int, error) {
	return k.recvBatch(sockets.Waiting{Not: true}, msgs)
}

// cancelEvery is the highest number of messages that a loop over Messages still gets after
// its context has ended.
const cancelEvery = 64

// Messages yields messages as they come. It ends when ctx is done, RCVTIMEO is over, or
// the socket ends; the next Recv returns the reason. Each message is released when the
// loop's body has finished with it: copy Body to keep it.
func (k *Socket) Messages(ctx context.Context) iter.Seq[Message] {
	return func(yield func(Message) bool) {
		w := sockets.Waiting{Ctx: ctx}
		for n := 0; ; n++ {
			if n%cancelEvery == 0 && w.Cause() != nil {
				return
			}
			m, err := k.Recv(ctx)
			if err != nil {
				return
			}
			more := yield(m)
			m.Release()
			if !more {
				return
			}
		}
	}
}

func (k *Socket) recvBatch(w sockets.Waiting, msgs []Message) (int, error) {
	if len(msgs) == 0 {
		return 0, errno.New(errno.EINVAL, "a batch has room for at least one message")
	}
	return k.receive(w, len(msgs), func(n int) int { return k.takeMessages(msgs[n:]) })
}

// receive waits for a run and lets take store messages of it, and of the runs behind it,
// until room messages are stored. take gets the number of messages stored so far, and
// returns how many it added; 0 ends the call.
func (k *Socket) receive(w sockets.Waiting, room int, take func(n int) int) (int, error) {
	if err := k.enter(); err != nil {
		return 0, err
	}
	defer k.leave()
	if err := k.enterRecv(); err != nil {
		return 0, err
	}
	defer k.leaveRecv()
	if err := k.state(); err != nil { // Close may have checked for a receive before
		return 0, err
	}
	if err := k.awaitRun(w, true); err != nil {
		return 0, err
	}
	q := k.shared
	for n := 0; ; {
		more := take(n)
		n += more
		// A batch ends before the end of a peer that can still be answered.
		if more == 0 || n == room || q.RxRun == nil && !q.NextRun() || q.RxRun.Answerable() {
			return n, nil
		}
	}
}

// takeMessages fills msgs from the run being read.
func (k *Socket) takeMessages(msgs []Message) int {
	q := k.shared
	r := q.RxRun
	if r.Kind == shm.RunDrained {
		msgs[0] = Message{Kind: Drained}
		q.EndRun()
		k.finishRun(r)
		return 1
	}
	peer := r.Of().Rid4()
	if r.Kind != shm.RunData {
		msgs[0] = Message{Peer: peer, Kind: Kind(r.Kind), box: r.Of().Box()}
		msgs[0].setEvent(r.Of())
		q.EndRun()
		k.finishRun(r)
		return 1
	}
	if r.Text == shm.RunHeaders {
		return k.takeWithHeaders(msgs)
	}
	view, text := r.Slab.MayView(), r.Text != 0
	n, views := 0, int32(0)
	for ; n < len(msgs) && q.RxLeft > 0; n++ {
		body := q.NextBody()
		switch {
		case view && len(body) >= viewMin:
			msgs[n] = Message{Peer: peer, Text: text, Body: body, slab: r.Slab}
			views++
		case !view && len(body) >= viewMin:
			slab, copied := shm.CopyBody(r.Slab.Account.Load(), body)
			msgs[n] = Message{Peer: peer, Text: text, Body: copied, slab: slab}
		default:
			msgs[n] = Message{Peer: peer, Text: text, Body: append([]byte(nil), body...)}
		}
	}
	if views > 0 {
		r.Slab.Refs.Add(views)
	}
	if box := r.Of().Box(); box != nil {
		for i := range msgs[:n] {
			msgs[i].box = box
		}
	}
	if q.RxLeft == 0 {
		q.EndRun()
		k.finishRun(r)
	}
	return n
}

// Send queues a message for a peer and returns; body may be reused at once. If the peer's
// queue is full (SNDHWM), it waits for room until ctx is done (its cause) or SNDTIMEO is
// over (EAGAIN). Any number of goroutines may send, also while another one receives.
// EINVAL: peer is 0. EHOSTUNREACH: the peer does not exist, or has gone. EMSGSIZE: body is
// longer than 4 GiB. ENOMEM, ETERM, ENOTSOCK. ENOTSUP: the socket is in the mode COMPAT.
func (k *Socket) Send(ctx context.Context, peer uint32, body []byte) error {
	return k.sendTo(peer, content{bytes: body}, sockets.Waiting{Ctx: ctx})
}

// TrySend is Send without waiting: it returns EAGAIN instead.
func (k *Socket) TrySend(peer uint32, body []byte) error {
	return k.sendTo(peer, content{bytes: body}, sockets.Waiting{Not: true})
}

// SendText is Send of a message of text to a peer with FramingMessages; to others it is Send. The
// text has to be UTF-8, which nobody checks here, and a browser would end the connection otherwise.
func (k *Socket) SendText(ctx context.Context, peer uint32, text []byte) error {
	return k.sendTo(peer, content{bytes: text, text: true}, sockets.Waiting{Ctx: ctx})
}

// TrySendText is SendText without waiting: it returns EAGAIN instead.
func (k *Socket) TrySendText(peer uint32, text []byte) error {
	return k.sendTo(peer, content{bytes: text, text: true}, sockets.Waiting{Not: true})
}

// SendOwned is Send without a copy, which pays from about 32 KiB on. If it returns nil, the
// bytes belong to the socket and must not change until it calls done. It calls done once,
// when the kernel has the bytes or they are dropped with the connection. done may run on
// any goroutine, also within this call, and delays the socket's other connections: it must
// neither block nor call methods of sockets. If SendOwned returns an error, the bytes stay
// the caller's, and done is not called.
func (k *Socket) SendOwned(ctx context.Context, peer uint32, body []byte, done func()) error {
	if len(body) == 0 {
		err := k.Send(ctx, peer, body)
		if err == nil {
			done()
		}
		return err
	}
	owner := engine.OwnBody(body, done)
	err := k.sendTo(peer, content{bytes: body, owner: owner}, sockets.Waiting{Ctx: ctx})
	if err != nil {
		engine.DisownBody(owner)
	}
	return err
}

func (k *Socket) sendTo(peer uint32, body content, w sockets.Waiting) error {
	s, err := k.enterPeer(peer)
	if err != nil {
		return err
	}
	defer k.leave()
	return k.queue(s, peer, body, w)
}

// enterPeer is enter and findPeer. The caller must leave, unless there is an error.
func (k *Socket) enterPeer(peer uint32) (*shm.Session, error) {
	if err := k.enter(); err != nil {
		return nil, err
	}
	s, err := k.findPeer(peer)
	if err != nil {
		k.leave()
	}
	return s, err
}

// findPeer returns the session of a routing id in the mode FAST.
func (k *Socket) findPeer(peer uint32) (*shm.Session, error) {
	if err := k.state(); err != nil { // it may have changed since the call began
		return nil, err
	}
	if k.shared.TxPhase != shm.PhaseFast {
		return nil, errno.New(errno.ENOTSUP, "messages with a routing id need the mode FAST")
	}
	if peer == 0 {
		return nil, errno.New(errno.EINVAL, "the message has no routing id")
	}
	s := k.shared.Find(peer)
	if s == nil {
		return nil, errno.New(errno.EHOSTUNREACH, "no peer has the routing id %d", peer)
	}
	return s, nil
}

// SendBatch queues messages in order, waiting for room as Send does, and returns the
// number that it took. It releases those; the others stay the caller's. An error concerns
// the first message that it did not take. A received message may be sent on as it is, on
// any socket; an event is sent as an empty message. EINVAL also: msgs is empty.
func (k *Socket) SendBatch(ctx context.Context, msgs []Message) (int, error) {
	return k.sendBatch(msgs, sockets.Waiting{Ctx: ctx})
}

// TrySendBatch is SendBatch without waiting.
func (k *Socket) TrySendBatch(msgs []Message) (int, error) {
	return k.sendBatch(msgs, sockets.Waiting{Not: true})
}

func (k *Socket) sendBatch(msgs []Message, w sockets.Waiting) (sent int, err error) {
	if len(msgs) == 0 {
		return 0, errno.New(errno.EINVAL, "a batch has at least one message")
	}
	if err := k.enter(); err != nil {
		return 0, err
	}
	defer k.leave()
	sole := k.soleShard() // once: the socket may get a second one meanwhile
	defer k.flushSole(sole)
	for sent < len(msgs) {
		s, err := k.findPeer(msgs[sent].Peer)
		if err != nil {
			return sent, err
		}
		n, err := k.sendSome(s, msgs[sent:], w, sole)
		sent += n
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// sendSome queues the messages at the start of msgs that are for the peer of the first
// one; s is that peer's session. It queues as many as there is room for, and waits for
// room for at least one. If the socket had only the shard sole, it leaves it to flushSole to
// write what it queued.
func (k *Socket) sendSome(s *shm.Session, msgs []Message, w sockets.Waiting, sole *engine.Shard) (int, error) {
	peer := msgs[0].Peer
	n, result := s.AppendMany(k.shared, peer, func(i int) (header, body []byte, ok bool) {
		if i == len(msgs) || msgs[i].Peer != peer || !k.simple(&msgs[i]) {
			return nil, nil, false
		}
		return msgs[i].Header, msgs[i].Body, true
	})
	releaseAll(msgs[:n])
	if n > 0 {
		if result == shm.Appended && sole == nil {
			k.flush(s, false)
		}
		return n, nil
	}
	m := &msgs[0]
	if m.slab != nil && len(m.Body) >= ownedMin && !k.hasHeaders() { // sent on from where it was received
		owner := engine.OwnBody(m.Body, m.slab.Release)
		charged := m.slab.Discharge()
		if err := k.queue(s, peer, content{bytes: m.Body, owner: owner, text: m.Text, header: m.Header}, w); err != nil {
			m.slab.Charge(charged)
			engine.DisownBody(owner)
			return 0, err
		}
		m.slab, m.Body = nil, nil
		return 1, nil
	}
	if err := k.queue(s, peer, content{bytes: m.Body, text: m.Text, header: m.Header}, w); err != nil {
		return 0, err
	}
	m.Release()
	return 1, nil
}
