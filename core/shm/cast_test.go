// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	. "github.com/smartystreets/goconvey/convey"
)

// TestBegunKeysStay: what is written of a message fixes the rest of it.
func TestBegunKeysStay(t *testing.T) {
	Convey("A message with a key takes the place of one with the same key", t, func() {
		q, _, s := openSession()
		cast := func(text string) Part {
			m := NewCast(q, nil, []byte(text), false)
			m.Key(7)
			Reset(func() { m.Release(q) })
			return m
		}
		send := func(text string) (replaced bool) {
			r := s.AppendCast(q, 5, cast(text), true)
			So(r.AppendResult, ShouldBeLessThanOrEqualTo, AppendedWake)
			if r.Old != nil {
				r.Old.Release(q)
			}
			return r.Old != nil
		}
		begun := func(bytes uint64) {
			s.Lock()
			s.MarkBegun(bytes, bytes)
			s.Unlock()
		}
		So(send("first"), ShouldBeFalse)
		So(send("second"), ShouldBeTrue)
		Convey("but not of one that is begun", func() {
			begun(1)
			So(send("third"), ShouldBeFalse)
			So(send("fourth"), ShouldBeTrue) // the third's
		})
		Convey("nor of one that is begun in a frame with others", func() {
			So(s.Append(q, 5, []byte("between"), nil), ShouldBeLessThanOrEqualTo, AppendedWake)
			begun(uint64(lengthSize+len("second")) + 1)
			So(send("third"), ShouldBeFalse)
		})
		Convey("also of one behind what is begun", func() {
			q, _, s = openSession()
			So(s.Append(q, 5, []byte("before"), nil), ShouldBeLessThanOrEqualTo, AppendedWake)
			So(send("first"), ShouldBeFalse)
			begun(uint64(lengthSize + len("before")))
			So(send("second"), ShouldBeTrue)
			begun(uint64(lengthSize+len("before")) + 1)
			So(send("third"), ShouldBeFalse)
		})
	})
}

// TestNewestIsLast: two messages with a key may lie in a queue, and a third must not overtake the
// second.
func TestNewestIsLast(t *testing.T) {
	Convey("The newest message with a key", t, func() {
		q, _, s := openSession()
		send := func(key uint64, text string) (replaced string) {
			m := NewCast(q, nil, []byte(text), false)
			m.Key(key)
			defer m.Release(q)
			r := s.AppendCast(q, 5, m, true)
			So(r.AppendResult, ShouldBeLessThanOrEqualTo, AppendedWake)
			if r.Old == nil {
				return ""
			}
			defer r.Old.Release(q)
			return string(unsafe.Slice((*byte)(r.Old.first()), r.Old.size)[lengthSize:])
		}
		locked := func(f func()) {
			s.Lock()
			defer s.Unlock()
			f()
		}
		Convey("is the last one when the driver puts back what it had taken", func() {
			So(send(7, "first"), ShouldEqual, "")
			var head, tail *Chunk
			locked(func() { head, tail = s.TakeBack() })
			So(send(7, "second"), ShouldEqual, "")
			locked(func() { s.PutBack(q, head, tail, int64(s.TxBytes), s.Memory.Load()) })
			So(send(7, "third"), ShouldEqual, "second")
			So(send(7, "fourth"), ShouldEqual, "third")
			Convey("and the first of its kind in the next queue", func() {
				locked(func() { head, _ = s.TakeMain() })
				FreeChain(head)
				So(send(7, "fifth"), ShouldEqual, "")
				So(send(7, "sixth"), ShouldEqual, "fifth")
				So(s.TxMarks&MarkTwins, ShouldEqual, 0)
			})
		})
		Convey("is the last one when a longer queue than is searched gets shorter", func() {
			drop := func(n int) {
				var d Dropped
				locked(func() {
					for range n {
						s.dropFirst(q, &d)
					}
				})
				d.Free(q, nil)
			}
			for i := range uint64(keySearch) {
				m := NewCast(q, nil, []byte("before"), false)
				m.Key(100 + i)
				s.AppendCast(q, 5, m, true)
				m.Release(q)
			}
			So(send(7, "first"), ShouldEqual, "")
			So(send(7, "second"), ShouldEqual, "")
			drop(1)
			So(send(7, "third"), ShouldEqual, "")
			drop(2)
			So(send(7, "fourth"), ShouldEqual, "third")
		})
	})
}

// TestJoinedMessages: messages for many that follow each other take one place.
func TestJoinedMessages(t *testing.T) {
	Convey("Short messages for many that nobody has written yet", t, func() {
		q, _, s := openSession()
		say := func(how func(*Queues, []byte, []byte, bool) Part, size int) Part {
			m := how(q, nil, make([]byte, size), false)
			r := s.AppendCast(q, 5, m, true)
			So(r.AppendResult, ShouldBeLessThanOrEqualTo, AppendedWake)
			m.Release(q)
			return m
		}
		chunks := func() (n int) {
			for c := s.TxHead; c != nil; c = (*Chunk)(c.Next) {
				n++
			}
			return n
		}
		drop := func(n int) (d Dropped) {
			s.Lock()
			for range n {
				So(s.dropFirst(q, &d), ShouldBeTrue)
			}
			s.Unlock()
			d.Free(q, nil)
			return d
		}
		say(JoinCast, 100)
		So(q.TxJoin == nil, ShouldBeTrue) // it was alone
		Convey("lie behind each other, and a queue names them once", func() {
			first := say(JoinCast, 100)
			So(q.TxJoin == unsafe.Pointer(first.Cast), ShouldBeTrue)
			memory := q.TxMemory.Load()
			for range 50 {
				So(say(JoinCast, 100).Cast == first.Cast, ShouldBeTrue)
			}
			So(q.TxMemory.Load(), ShouldEqual, memory)
			So(chunks(), ShouldEqual, 2)
			So(s.TxTail.ExtLen, ShouldEqual, 51*104)
			So(s.TxTail.Msgs, ShouldEqual, 51)
			Convey("until they are dropped one by one", func() {
				So(drop(2).Bytes, ShouldEqual, 2*104)
				So(chunks(), ShouldEqual, 1)
				So(s.TxTail.ExtLen, ShouldEqual, 50*104)
				So(say(JoinCast, 7).Cast == first.Cast, ShouldBeTrue)
				So(s.TxTail.ExtLen, ShouldEqual, 50*104+11)
				So(drop(51).Msgs, ShouldEqual, 51)
				So(chunks(), ShouldEqual, 0)
			})
			Convey("also where one of them is begun", func() {
				s.Lock()
				s.MarkBegun(104, 3*104)
				s.Unlock()
				So(drop(1).Bytes, ShouldEqual, 104)
				So(s.TxTail.ExtLen, ShouldEqual, 48*104)
				So(s.TxTail.Msgs, ShouldEqual, 48)
			})
		})
		Convey("begin another place when there is no room", func() {
			first := say(JoinCast, 2000)
			for say(JoinCast, 2000).Cast == first.Cast {
			}
			So(q.TxJoin == unsafe.Pointer(first.Cast), ShouldBeFalse)
			So(chunks(), ShouldEqual, 3)
		})
		Convey("and long ones, and those with a key, are alone", func() {
			first := say(JoinCast, 100)
			So(say(JoinCast, joinMost).Cast == first.Cast, ShouldBeFalse)
			So(say(NewCast, 100).Cast == first.Cast, ShouldBeFalse)
			So(say(JoinCast, 100).Cast == first.Cast, ShouldBeTrue)
			So(chunks(), ShouldEqual, 5) // what lies elsewhere is between them
		})
		Convey("are not behind one that somebody else got", func() {
			first := say(JoinCast, 100)
			others := JoinCast(q, nil, make([]byte, 10), false)
			So(others.Cast == first.Cast, ShouldBeTrue)
			So(say(JoinCast, 100).Cast == first.Cast, ShouldBeTrue)
			So(s.TxTail.ExtLen, ShouldEqual, 104)
			So(s.AppendCast(q, 5, others, true).AppendResult, ShouldEqual, Appended)
			others.Release(q)
			So(chunks(), ShouldEqual, 4)
		})
		Convey("are not behind what a message for one is behind", func() {
			first := say(JoinCast, 100)
			So(s.Append(q, 5, []byte("one"), nil), ShouldBeLessThanOrEqualTo, AppendedWake)
			So(say(JoinCast, 100).Cast == first.Cast, ShouldBeTrue)
			So(chunks(), ShouldEqual, 3)
		})
		s.Lock()
		head, _ := s.TakeMain()
		s.Unlock()
		(&Dropped{head: head}).Free(q, nil)
		So(q.TxCasts.Load(), ShouldEqual, 0)
		So(q.TxJoin == nil, ShouldBeTrue)
	})
	Convey("A place that is about to be freed takes no message", t, func() {
		q, _, _ := openSession()
		var done atomic.Bool
		var all sync.WaitGroup
		open := JoinCast(q, nil, []byte("keeps one there"), false)
		last := JoinCast(q, nil, []byte("opens a place"), false)
		last.refs.Store(0) // whoever set that is about to take castLock
		So(q.join(10).Cast == nil, ShouldBeTrue)
		last.refs.Store(1)
		last.Release(q)
		for range 3 {
			all.Go(func() {
				for i := byte(0); !done.Load(); i++ {
					m := JoinCast(q, nil, []byte{i, i, i}, false)
					if got := unsafe.Slice((*byte)(m.frame), m.size); got[4] != i || got[6] != i || m.refs.Load() < 1 {
						t.Error("a message that is used has changed", got)
					}
					m.Release(q)
				}
			})
		}
		time.Sleep(100 * time.Millisecond)
		done.Store(true)
		all.Wait()
		open.Release(q)
		So(q.TxCasts.Load(), ShouldEqual, 0)
	})
}
