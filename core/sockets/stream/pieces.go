// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sockets"
)

// Piece is what a receive call of the C layer gets: an event or a frame, and where it lies. To
// keep Data for longer than the call, take a reference to Slab or copy Data.
type Piece struct {
	Run    *shm.Run  // the run that the piece belongs to
	Header []byte    // of a body that has one: it lies in front of Data
	Data   []byte    // the frame; in the mode COMPAT also the body of an event
	Slab   *shm.Slab // the slab that Data lies in; nil: it lies elsewhere
	More   bool      // Data is a routing id, and its body follows
}

// RecvFrameInto is RecvFrame that passes the frame to put. put may return false only for a
// routing id, and for a body with a header; the next call then gets the frame again.
func (c *forC) RecvFrameInto(dontWait bool, put func(Piece) bool) error {
	k := (*Socket)(c)
	if err := k.enter(); err != nil {
		return err
	}
	defer k.leave()
	q := k.shared
	pos, left := q.RxPos, q.RxLeft
	header, data, more, done, err := k.next(dontWait)
	if err != nil {
		return err
	}
	p := k.frame(data, more, done)
	p.Header = header
	switch {
	case put(p):
	case more:
		q.RxPhase, q.RxMore = shm.PhaseID, 0
	default:
		q.RxPhase, q.RxMore = shm.PhaseBody, 1
		q.RxRun, q.RxPos, q.RxLeft = p.Run, pos, left
		q.RxHand.Store(1)
		return nil
	}
	if done != nil {
		k.finishRun(done)
	}
	return nil
}

// frame describes the result of next.
func (k *Socket) frame(data []byte, more bool, done *shm.Run) Piece {
	p := Piece{Run: done, Data: data, More: more}
	if done == nil {
		p.Run = k.shared.RxRun
	}
	if !more && p.Run.Kind == shm.RunData {
		p.Slab = p.Run.Slab
	}
	return p
}

// RecvInto is RecvBatch for up to room messages. It passes each message to put, with its
// number. If put returns false, RecvInto ends, and the next call gets that message again.
func (c *forC) RecvInto(room int, dontWait bool, put func(n int, p Piece) bool) (int, error) {
	k := (*Socket)(c)
	return k.receive(sockets.Waiting{Not: dontWait}, room, func(n int) int {
		return k.handOver(room-n, func(i int, p Piece) bool { return put(n+i, p) })
	})
}

// handOver is takeMessages for RecvInto.
func (k *Socket) handOver(room int, put func(i int, p Piece) bool) (n int) {
	q := k.shared
	r := q.RxRun
	if r.Kind != shm.RunData {
		if !put(0, Piece{Run: r}) {
			return 0
		}
		q.EndRun()
		k.finishRun(r)
		return 1
	}
	for ; n < room && q.RxLeft > 0; n++ {
		pos, left := q.RxPos, q.RxLeft
		header, body := nextBody(q)
		if !put(n, Piece{Run: r, Header: header, Data: body, Slab: r.Slab}) {
			q.RxPos, q.RxLeft = pos, left
			return n
		}
	}
	if q.RxLeft == 0 {
		q.EndRun()
		k.finishRun(r)
	}
	return n
}
