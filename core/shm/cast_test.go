// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"testing"
	"unsafe"

	. "github.com/smartystreets/goconvey/convey"
)

// TestBegunKeysStay: what is written of a message fixes the rest of it.
func TestBegunKeysStay(t *testing.T) {
	Convey("A message with a key takes the place of one with the same key", t, func() {
		q, _, s := openSession()
		cast := func(text string) *Cast {
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
			return string(unsafe.Slice((*byte)(r.Old.frame()), r.Old.size)[lengthSize:])
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
