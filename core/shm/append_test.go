// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"unsafe"

	. "github.com/smartystreets/goconvey/convey"
)

// openSession returns an open session of a new socket and shard.
func openSession() (*Queues, *Wakeup, *Session) {
	k, sh := NewQueues(), NewWakeup(-1)
	s := NewSession(k, sh)
	s.Rid.Store(5)
	s.TxState = TxOpen
	return k, sh, s
}

// content returns what lies in the queue from head on, as the wire would get it.
func content(head *Chunk) []byte {
	var all []byte
	for c := head; c != nil; c = (*Chunk)(c.Next) {
		all = append(all, c.Bytes()[c.Start:c.End]...)
		all = append(all, unsafe.Slice((*byte)(c.ExtPointer()), c.ExtLen)...)
	}
	return all
}

func freeAll(head *Chunk) {
	for head != nil {
		next := (*Chunk)(head.Next)
		FreeChunk(head)
		head = next
	}
}

func frameOf(body string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

func TestAppendResults(t *testing.T) {
	Convey("Append", t, func() {
		k, sh, s := openSession()

		Convey("queues, and the first message alone marks the session dirty", func() {
			So(s.Append(k, 5, []byte("a"), nil), ShouldEqual, Appended)
			So(s.TxDirty, ShouldEqual, 1)
			So(s.Append(k, 5, nil, nil), ShouldEqual, Appended)
			So(s.TxQueued.Load(), ShouldEqual, 2)
			So(sh.TakeDirty() == s, ShouldBeTrue)
			So(s.DirtyNext == nil, ShouldBeTrue)
			So(sh.TakeDirty(), ShouldBeNil)
			So(s.Append(k, 5, []byte("c"), nil), ShouldEqual, Appended)
			So(sh.TakeDirty(), ShouldBeNil)
			head, tail := takeMain(s)
			So(head == tail, ShouldBeTrue)
			So(head.Msgs, ShouldEqual, 3)
			So(content(head), ShouldResemble, []byte("\x00\x00\x00\x01a\x00\x00\x00\x00\x00\x00\x00\x01c"))
			So(s.TxHead == nil, ShouldBeTrue)
			So(s.TxTail == nil, ShouldBeTrue)
		})
		Convey("asks for a wake-up of a sleeping shard, once", func() {
			sh.Dirty.MarkAsleep()
			So(s.Append(k, 5, []byte("a"), nil), ShouldEqual, AppendedWake)
			So(s.Append(k, 5, []byte("b"), nil), ShouldEqual, Appended)
			So(sh.Dirty.Asleep(), ShouldBeFalse)
		})
		Convey("refuses another id, another socket's session and a closed one", func() {
			other := NewQueues()
			So(s.Append(k, 6, []byte("a"), nil), ShouldEqual, AppendGone)
			So(s.Append(other, 5, []byte("a"), nil), ShouldEqual, AppendGone)
			So(s.Is(k.Serial, 5), ShouldBeTrue)
			s.TxState = TxClosed
			So(s.Append(k, 5, []byte("a"), nil), ShouldEqual, AppendGone)
			So(s.Is(k.Serial, 5), ShouldBeFalse)
			So(s.TxDirty, ShouldEqual, 0)
			So(s.TxHead == nil, ShouldBeTrue)
			So(sh.TakeDirty(), ShouldBeNil)
			FreeQueues(other)
		})
		Convey("stops at SNDHWM until messages are written", func() {
			s.TxHwm = 2
			So(s.Append(k, 5, []byte("a"), nil), ShouldEqual, Appended)
			So(s.HasRoom(), ShouldBeTrue)
			So(s.Append(k, 5, []byte("b"), nil), ShouldEqual, Appended)
			So(s.HasRoom(), ShouldBeFalse)
			So(s.Append(k, 5, []byte("c"), nil), ShouldEqual, AppendFull)
			s.TxDone.Store(1)
			So(s.Append(k, 5, []byte("d"), nil), ShouldEqual, Appended)
			So(s.Append(k, 5, []byte("e"), nil), ShouldEqual, AppendFull)
			So(content(s.TxHead), ShouldResemble, bytes.Join([][]byte{frameOf("a"), frameOf("b"), frameOf("d")}, nil))
		})
		Convey("counts beyond 2^32", func() {
			s.TxHwm = 2
			s.TxQueued.Store(1<<32 - 1)
			s.TxDone.Store(1<<32 - 2)
			So(s.Append(k, 5, []byte("a"), nil), ShouldEqual, Appended)
			So(s.TxQueued.Load(), ShouldEqual, 0)
			So(s.Append(k, 5, []byte("b"), nil), ShouldEqual, AppendFull)
			s.TxDone.Store(0)
			So(s.Append(k, 5, []byte("c"), nil), ShouldEqual, Appended)
		})
		Reset(func() {
			head, _ := takeMain(s)
			freeAll(head)
			sh.TakeDirty()
			FreeQueues(k)
			FreeWakeup(sh)
		})
	})
}

func TestAppendChunks(t *testing.T) {
	Convey("The main queue", t, func() {
		k, _, s := openSession()
		classes := func() (all []uint32) {
			for c := s.TxHead; c != nil; c = (*Chunk)(c.Next) {
				all = append(all, c.Class)
			}
			return all
		}
		add := func(size int) { So(s.Append(k, 5, make([]byte, size), nil), ShouldEqual, Appended) }

		Convey("grows from a tiny chunk on to large ones", func() {
			for range 200 {
				add(900)
			}
			So(classes()[:5], ShouldResemble, []uint32{ClassTiny, ClassSmall, ClassMid, ClassLarge, ClassLarge})
		})
		Convey("fills a chunk to the last byte", func() {
			add(TinyChunkSize - HeaderSize - 4 - 4)
			add(0)
			So(classes(), ShouldResemble, []uint32{ClassTiny})
			add(0)
			So(classes(), ShouldResemble, []uint32{ClassTiny, ClassSmall})
		})
		Convey("gives a long body the chunks it needs, without a mapping of its own", func() {
			add(30_000)
			add(100_000)
			add(30_000) // goes where the long one ends
			So(classes(), ShouldResemble, []uint32{ClassLarge, ClassLarge, ClassLarge})
			long := (*Chunk)(s.TxHead.Next)
			last := (*Chunk)(long.Next)
			So(long.End, ShouldEqual, long.Cap)
			So(long.End+last.End, ShouldEqual, 4+100_000+4+30_000)
			So(long.Msgs, ShouldEqual, 0)
			So(last.Msgs, ShouldEqual, 2)
		})
		hints := []struct {
			sizes []int
			hint  uint32
		}{
			{[]int{10}, ClassTiny},
			{[]int{956}, ClassTiny},
			{[]int{957}, ClassSmall},
			{[]int{4029}, ClassMid},
			{[]int{16317}, ClassLarge},
			{[]int{900, 900}, ClassLarge},
			{[]int{200_000}, ClassLarge},
		}
		for _, h := range hints {
			Convey(fmt.Sprint("starts its successor by what was in it: ", h.sizes), func() {
				for _, size := range h.sizes {
					add(size)
				}
				head, _ := takeMain(s)
				So(s.TxHint, ShouldEqual, h.hint)
				freeAll(head)
				add(1)
				So(classes(), ShouldResemble, []uint32{h.hint})
			})
		}
		Convey("keeps its hint when it is taken empty", func() {
			s.TxHint = ClassMid
			takeMain(s)
			So(s.TxHint, ShouldEqual, ClassMid)
		})
		Reset(func() {
			head, _ := takeMain(s)
			freeAll(head)
		})
	})
}

func TestAppendOwned(t *testing.T) {
	Convey("A body with an owner is not copied, and nothing goes behind it into its chunk", t, func() {
		k, _, s := openSession()
		body := []byte("somebody else's")
		owner := unsafe.Pointer(&body)
		So(s.Append(k, 5, []byte("before"), nil), ShouldEqual, Appended)
		So(s.Append(k, 5, body, owner), ShouldEqual, Appended)
		So(s.Append(k, 5, []byte("behind"), nil), ShouldEqual, Appended)
		first := s.TxHead
		So(first.ExtPointer() == unsafe.Pointer(&body[0]), ShouldBeTrue)
		So(first.ExtLen, ShouldEqual, len(body))
		So(first.OwnerPointer() == owner, ShouldBeTrue)
		So(first.Msgs, ShouldEqual, 2)
		second := (*Chunk)(first.Next)
		So(second.Msgs, ShouldEqual, 1)
		So(second.OwnerPointer() == nil, ShouldBeTrue)
		So(content(first), ShouldResemble, bytes.Join([][]byte{frameOf("before"), frameOf(string(body)), frameOf("behind")}, nil))
		head, tail := takeMain(s)
		So(head == first, ShouldBeTrue)
		So(tail == second, ShouldBeTrue)
		freeAll(head)
	})
}

// takeMain is TakeMain with the lock.
func takeMain(s *Session) (head, tail *Chunk) {
	s.Lock()
	defer s.Unlock()
	return s.TakeMain()
}

// withoutFreeChunks empties the pools of chunks until the end of the test.
func withoutFreeChunks(t *testing.T) {
	for class := ClassTiny; class <= ClassLarge; class++ {
		first := Pools[class].takeAll()
		t.Cleanup(func() {
			for block := first; block != nil; {
				next := *(*unsafe.Pointer)(block)
				Pools[class].push(block)
				block = next
			}
		})
	}
}

func TestAppendManyWithoutFreeChunks(t *testing.T) {
	Convey("AppendMany, while the pools have no chunk", t, func() {
		k, sh, s := openSession()
		const many = 30
		body, want := bytes.Repeat([]byte("x"), 1024), []byte(nil)
		for range many {
			want = append(want, frameOf(string(body))...)
		}
		withoutFreeChunks(t)

		Convey("queues all messages, and the session is listed once", func() {
			n, result := s.AppendMany(k, 5, func(i int) (header, _ []byte, ok bool) { return nil, body, i < many })
			So(n, ShouldEqual, many)
			So(result, ShouldEqual, Appended)
			So(sh.TakeDirty() == s, ShouldBeTrue)
			So(s.DirtyNext == nil, ShouldBeTrue)
			head, _ := takeMain(s)
			So(bytes.Equal(content(head), want), ShouldBeTrue)
			freeAll(head)
		})
		Convey("keeps to what it queued when the session ends while it asks for memory", func() {
			seen := map[int]int{}
			n, result := s.AppendMany(k, 5, func(i int) (header, some []byte, ok bool) {
				if seen[i]++; i > 0 && seen[i] == 2 { // again, after it had the lock released
					s.TxState = TxClosed
				}
				return nil, body, i < many
			})
			So(n, ShouldBeBetween, 0, many)
			So(result, ShouldEqual, Appended)
			So(s.TxQueued.Load(), ShouldEqual, n)
			So(sh.TakeDirty() == s, ShouldBeTrue)
			head, _ := takeMain(s)
			freeAll(head)
		})
		Convey("says why the first cannot be queued", func() {
			n, result := s.AppendMany(k, 6, func(i int) (header, _ []byte, ok bool) { return nil, body, i < many })
			So(n, ShouldEqual, 0)
			So(result, ShouldEqual, AppendGone)
		})
	})
}
