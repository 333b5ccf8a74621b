// SPDX-License-Identifier: MPL-2.0

package stream

import "github.com/zlink/zlink/core/shm"

// takeWithHeaders is takeMessages for a run whose messages have headers.
func (k *Socket) takeWithHeaders(msgs []Message) (n int) {
	q := k.shared
	r := q.RxRun
	s := r.Of()
	view, views := r.Slab.MayView(), int32(0)
	for ; n < len(msgs) && q.RxLeft > 0; n++ {
		m := &msgs[n]
		frame := q.NextBody()
		*m = Message{Peer: s.Rid4(), box: s.Box()}
		switch {
		case len(frame) < viewMin:
			frame = append([]byte(nil), frame...)
		case view:
			m.slab = r.Slab
			views++
		default:
			m.slab, frame = shm.CopyBody(r.Slab.Account.Load(), frame)
		}
		m.Header, m.Body = shm.Split(frame)
	}
	if views > 0 {
		r.Slab.Refs.Add(views)
	}
	if q.RxLeft == 0 {
		q.EndRun()
		k.finishRun(r)
	}
	return n
}

// simple reports whether a message can be queued with others in one go.
func (k *Socket) simple(m *Message) bool {
	if k.hasHeaders() {
		return len(m.Header) <= shm.HeaderMost
	}
	return !m.Text && len(m.Header) == 0 && (m.slab == nil || len(m.Body) < ownedMin)
}
