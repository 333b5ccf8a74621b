// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"unsafe"

	. "github.com/smartystreets/goconvey/convey"
)

func TestSlots(t *testing.T) {
	Convey("Slots", t, func() {
		s := slots{size: 320}
		Convey("are distinct, aligned and inside their region", func() {
			seen := map[unsafe.Pointer]bool{}
			for range 3 * slotStep / 320 {
				p := s.get()
				So(seen[p], ShouldBeFalse)
				seen[p] = true
				if uintptr(p)%64 != 0 {
					t.Fatalf("slot at %p", p)
				}
				clear(unsafe.Slice((*byte)(p), 320))
			}
		})
		Convey("come back newest first", func() {
			a, b := s.get(), s.get()
			s.put(a)
			s.put(b)
			So(s.get() == b, ShouldBeTrue)
			So(s.get() == a, ShouldBeTrue)
		})
	})
}

func TestSession(t *testing.T) {
	Convey("A session slot", t, func() {
		k, sh := NewQueues(), NewWakeup(-1)
		defer FreeQueues(k)
		defer FreeWakeup(sh)
		s := NewSession(k, sh)
		Convey("starts closed, with its two events", func() {
			So(s.TxState, ShouldEqual, TxClosed)
			So(s.Refs.Load(), ShouldEqual, 1)
			So(s.Up.Kind, ShouldEqual, RunConnected)
			So(s.Down.Kind, ShouldEqual, RunDisconnected)
			So(s.Up.Run().Of() == s, ShouldBeTrue)
			So(s.Down.Run().Of() == s, ShouldBeTrue)
			s.Release()
		})
		Convey("has its number as the id frame, big endian", func() {
			So(s.SetID(0x01020304, nil), ShouldBeTrue)
			So(s.IDFrame(), ShouldResemble, []byte{1, 2, 3, 4})
			s.Release()
		})
		Convey("has a copy of its alias as the id frame", func() {
			alias := []byte(strings.Repeat("ab", 127) + "c")
			So(s.SetID(1, alias), ShouldBeTrue)
			alias[0] = 'x'
			So(string(s.IDFrame()), ShouldEqual, strings.Repeat("ab", 127)+"c")
			So(s.ID4, ShouldResemble, [4]byte{0, 0, 0, 1})
			place := s.ID
			s.Release()
			Convey("whose place is used again", func() {
				other := NewSession(k, sh)
				So(other.SetID(2, []byte("y")), ShouldBeTrue)
				So(other.ID == place, ShouldBeTrue)
				So(string(other.IDFrame()), ShouldEqual, "y")
				other.Release()
			})
		})
		Convey("is free with the last reference, and comes back clean", func() {
			s.Retain()
			s.Release()
			other := NewSession(k, sh)
			So(other == s, ShouldBeFalse)
			other.Release()
			s.Release()
			s.Rid.Store(7)
			s.TxState, s.TxHwm, s.TxDirty = TxOpen, 1, 1 // whatever a slot has
			s.TxQueued.Store(2)
			s.TxDone.Store(1)
			s.RxQueued.Store(5 | 6<<32)
			s.RxStalled.Store(1)
			again := NewSession(k, sh)
			So(again == s, ShouldBeTrue)
			So([]uint32{s.Rid.Load(), uint32(s.TxState), s.TxHwm, s.TxQueued.Load(), s.TxDone.Load(), uint32(s.TxDirty),
				uint32(s.RxQueued.Load() | s.RxQueued.Load()>>32), s.RxStalled.Load()},
				ShouldResemble, make([]uint32, 8))
			So(s.TxHint, ShouldEqual, ClassTiny)
			again.Release()
		})
	})
}

func TestSocketAndShardSlots(t *testing.T) {
	Convey("A socket's slot comes back clean", t, func() {
		k := NewQueues()
		k.RxPhase, k.RxMore, k.TxPhase = PhaseBody, 1, PhaseRetry
		k.Handle.Store(1)
		k.RxThrottled.Store(1)
		k.InlineTable().Slot(1).Store((*Session)(unsafe.Pointer(k)))
		k.CloseRuns()
		FreeQueues(k)
		k.RxWaiting.Store(5)
		again := NewQueues()
		So(again == k, ShouldBeTrue)
		So(again.Handle.Load(), ShouldEqual, 0)
		So([]uint32{k.RxPhase, k.RxMore, k.TxPhase, k.RxThrottled.Load(), uint32(k.RxWaiting.Load())}, ShouldResemble, make([]uint32, 5))
		So(k.InlineTable().Slot(1).Load() == nil, ShouldBeTrue)
		So(k.PushRun(newRun(1)), ShouldEqual, Pushed)
		FreeQueues(k)
	})
	Convey("A shard's slot comes back clean", t, func() {
		sh := NewWakeup(-1)
		sh.Dirty.MarkAsleep()
		sh.Driver.Store(DriverCaller)
		FreeWakeup(sh)
		again := NewWakeup(-1)
		So(again == sh, ShouldBeTrue)
		So(sh.Dirty.Asleep(), ShouldBeFalse)
		So(sh.Driver.Load(), ShouldEqual, DriverNone)
		FreeWakeup(sh)
	})
}

func TestTable(t *testing.T) {
	Convey("A socket finds its sessions", t, func() {
		k, sh := NewQueues(), NewWakeup(-1)
		defer FreeQueues(k)
		defer FreeWakeup(sh)
		put := func(rid uint32) *Session {
			s := NewSession(k, sh)
			s.Rid.Store(rid)
			k.Table.Load().Slot(rid).Store(s)
			return s
		}
		Convey("in the table it starts with", func() {
			So(k.Table.Load().Mask, ShouldEqual, inlineTable-1)
			a, b := put(1), put(6)
			So(k.Find(1) == a, ShouldBeTrue)
			So(k.Find(6) == b, ShouldBeTrue)
			for _, rid := range []uint32{0, 2, 5, 1 + inlineTable, 1 << 31} {
				So(k.Find(rid) == nil, ShouldBeTrue)
			}
		})
		Convey("while slots come back", func() {
			place := k.Table.Load().Slot(1)
			var over atomic.Bool
			go func() {
				defer over.Store(true)
				for rid := uint32(1); rid < 20_000; rid += inlineTable {
					s := NewSession(k, sh)
					s.Lock()
					s.Rid.Store(rid)
					s.Unlock()
					place.Store(s)
					runtime.Gosched()
					place.Store(nil)
					s.Release()
				}
			}()
			for !over.Load() { // the race detector sees what looks at an id without care
				k.Find(1)
			}
			So(k.Find(1) == nil, ShouldBeTrue)
		})
		Convey("in a larger one", func() {
			table := NewTable(4096)
			So(table.Mask, ShouldEqual, 4095)
			k.Table.Store(table)
			s := put(1<<31 + 4095)
			So(k.Find(1<<31+4095) == s, ShouldBeTrue)
			So(k.Find(4095) == nil, ShouldBeTrue)
			So(uintptr(unsafe.Pointer(table.Slot(4095))), ShouldEqual, uintptr(unsafe.Pointer(table))+8+8*4095)
			k.Table.Store(k.InlineTable())
			FreeTable(table)
			Convey("that is empty when it is used again", func() {
				So(NewTable(4096) == table, ShouldBeTrue)
				for rid := range uint32(4096) {
					if table.Slot(rid).Load() != nil {
						t.Fatalf("slot %d is not empty", rid)
					}
				}
				So(NewTable(4096) == table, ShouldBeFalse)
			})
		})
	})
}
