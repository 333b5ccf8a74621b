// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"bytes"
	"fmt"
	"math/rand"
	"testing"
	"unsafe"

	. "github.com/smartystreets/goconvey/convey"
)

// slow is a session whose kernel takes bytes only when told, as core/engine/send.go
// does it; want is what the wire has to get.
type slow struct {
	k     *Queues
	sh    *Wakeup
	s     *Session
	moved uint64
	want  []byte
	next  byte
	owned [][]byte // the collector does not see the chunks
}

func newSlow() *slow {
	w := &slow{}
	w.k, w.sh, w.s = openSession()
	return w
}

func (w *slow) add(t *testing.T, size int, owned bool) {
	body := bytes.Repeat([]byte{w.next}, size)
	w.next++
	owner := unsafe.Pointer(nil)
	if owned {
		owner = unsafe.Pointer(&body)
		w.owned = append(w.owned, body)
	}
	if result := w.s.Append(w.k, 5, body, owner); result > AppendedWake {
		t.Fatal("append gave ", result)
	}
	w.want = append(w.want, frameOf(string(body))...)
}

// hold is Session.hold.
func (w *slow) hold(head *Chunk) {
	tail := head
	for tail != nil && tail.Next != nil {
		tail = (*Chunk)(tail.Next)
	}
	join := func(h, t *Chunk) {
		if h != nil && tail != nil {
			tail.Link(h)
		} else if h != nil {
			head = h
		}
		if h != nil {
			tail = t
		}
	}
	w.s.Lock()
	join(w.s.TakeBack())
	w.s.Unlock()
	queued, written := int64(w.s.TxBytes-w.moved), int64(0)
	if head != nil { // of an owner's bytes, which it gets back together
		written = int64(head.ExtAll - head.ExtLen)
	}
	if Sparse(queued, w.s.Memory.Load()-written, tail) {
		more := int64(0)
		head, tail, more = Pack(head)
		w.s.Memory.Add(more)
	}
	w.s.Lock()
	w.s.PutBack(w.k, head, tail, queued, w.s.Memory.Load()-written)
	w.s.Unlock()
}

// write takes all that is queued and gives the kernel n bytes of it.
func (w *slow) write(t *testing.T, n int) {
	w.s.TxDirty = 0
	head, _ := takeMain(w.s)
	w.sh.TakeDirty()
	for head != nil && (n > 0 || head.End == head.Start && head.ExtLen == 0) {
		part := min(n, int(head.End-head.Start))
		got := append([]byte(nil), head.Bytes()[head.Start:][:part]...)
		head.Start += uint32(part)
		ext := min(n-part, int(head.ExtLen))
		if ext > 0 {
			got = append(got, head.ExtBytes()[:ext]...)
			head.Ext, head.ExtLen = head.Ext+uintptr(ext), head.ExtLen-uint32(ext)
		}
		n -= part + ext
		w.moved += uint64(part + ext)
		if !bytes.Equal(got, w.want[:len(got)]) {
			t.Fatal("other bytes than were sent")
		}
		w.want = w.want[len(got):]
		if head.Start == head.End && head.ExtLen == 0 {
			next := (*Chunk)(head.Next)
			w.s.Memory.Add(-int64(head.Size) - int64(head.ExtAll))
			w.s.TxDone.Add(head.Msgs)
			FreeChunk(head)
			head = next
		}
	}
	w.hold(head)
}

// check compares what the queue takes with its bytes, by the blocks in it.
func (w *slow) check(t *testing.T, what string) {
	blocks, queued := int64(0), int64(0)
	size, whole := uint64(0), uint64(0)
	for c := w.s.TxHead; c != nil; c = (*Chunk)(c.Next) {
		blocks += int64(c.Size) + int64(c.ExtAll)
		queued += int64(c.End-c.Start) + int64(c.ExtLen)
		size = uint64(queued)
		if c.Msgs > 0 {
			whole = size - uint64(c.Open)
		}
	}
	if queued != int64(len(w.want)) || queued != int64(w.s.TxBytes-w.moved) {
		t.Fatalf("%s: %d bytes queued, %d sent and not written", what, queued, len(w.want))
	}
	if blocks != w.s.Memory.Load() {
		t.Fatalf("%s: the blocks take %d, Memory says %d", what, blocks, w.s.Memory.Load())
	}
	if whole != size {
		t.Fatalf("%s: the queue ends with a frame at %d of %d", what, whole, size)
	}
	if c := w.s.TxHead; c != nil && c.ExtLen < c.ExtAll { // the rest of an owner's bytes
		blocks -= int64(c.ExtAll-c.ExtLen) + TinyChunkSize
	}
	if blocks > 2*queued+TinyChunkSize {
		t.Fatalf("%s: %d bytes queued take %d", what, queued, blocks)
	}
}

func (w *slow) end() {
	head, _ := takeMain(w.s)
	freeAll(head)
	w.sh.TakeDirty()
	FreeQueues(w.k)
	FreeWakeup(w.sh)
}

// boundaries returns the offsets of the queue at which Msgs and Open say that a
// frame ends.
func (w *slow) boundaries() (all []int) {
	at := 0
	for c := w.s.TxHead; c != nil; c = (*Chunk)(c.Next) {
		at += int(c.End-c.Start) + int(c.ExtLen)
		if c.Msgs > 0 {
			all = append(all, at-int(c.Open))
		}
	}
	return all
}

// frameEnds returns where frames end in data, which begins with one.
func frameEnds(data []byte) map[int]bool {
	ends := map[int]bool{}
	for at := 0; at < len(data); {
		at += 4 + int(data[at])<<24 + int(data[at+1])<<16 + int(data[at+2])<<8 + int(data[at+3])
		ends[at] = true
	}
	return ends
}

func TestHeldQueueCostsItsBytes(t *testing.T) {
	sizes := []int{0, 1, 4, 16, 64, 100, 477, 478, 900, 956, 957, 1024, 1500, 2000, 4028, 4029, 4096, 8160, 8200,
		16316, 16317, 20_000, 32_000, 32_732, 40_000, 65_000, 65_468, 65_469, 70_000, 100_000, 200_000}
	batches, rounds := []int{1, 3, 40}, 60
	if raceBuild { // one thread
		batches, rounds = batches[1:2], 10
	}
	Convey("The queue of a slow peer takes at most twice its bytes and 1 KiB", t, func() {
		for _, size := range sizes {
			for _, batch := range batches { // messages before the kernel refuses: a queue of its own kind
				w := newSlow()
				for range batch {
					w.add(t, size, false)
				}
				w.hold(nil)
				w.check(t, fmt.Sprint(batch, " of ", size, ", then refused"))
				for i := range min(300, 3<<20/(size+1)) {
					w.add(t, size, false)
					w.check(t, fmt.Sprint(i, " more of ", size))
				}
				for i := 0; len(w.want) > 0; i++ { // drips
					w.write(t, 1+len(w.want)*(1+i%3)/7)
					w.check(t, fmt.Sprint("written, of ", size))
				}
				w.end()
			}
		}
	})
	Convey("So does one of all sizes at every pace, and the peer gets what was sent", t, func() {
		random := rand.New(rand.NewSource(1))
		for round := range rounds {
			w := newSlow()
			owned := func(size int) bool { return round%2 == 1 && size >= 32<<10 }
			for i := range 400 {
				size := random.Intn(1 << (1 + random.Intn(17)))
				what := fmt.Sprint("round ", round, ", step ", i, ", size ", size)
				switch random.Intn(12) {
				case 0: // the kernel takes all, and senders go on as to a peer that is not slow
					w.write(t, len(w.want))
					if len(w.want) != 0 {
						t.Fatal(what, ": not all was written")
					}
					head, _ := takeMain(w.s)
					if head != nil {
						t.Fatal(what, ": something is left")
					}
					for range random.Intn(20) {
						size := random.Intn(3*size + 1)
						w.add(t, size, owned(size))
					}
					w.hold(nil)
				case 1, 2:
					w.write(t, random.Intn(len(w.want)+1))
				default:
					if w.s.TxDirty&DirtyHeld == 0 {
						w.hold(nil)
					}
					w.add(t, size, owned(size))
				}
				w.check(t, what)
			}
			w.end()
		}
	})
	Convey("Where its chunks say that a frame ends, one ends", t, func() {
		random := rand.New(rand.NewSource(2))
		for range 40 {
			w := newSlow()
			for range random.Intn(30) {
				w.add(t, random.Intn(3000), false)
			}
			w.hold(nil)
			for range 30 {
				w.add(t, random.Intn(1<<(1+random.Intn(14))), false)
				ends := frameEnds(w.want)
				for _, at := range w.boundaries() {
					if at > 0 && !ends[at] {
						t.Fatalf("no frame ends at %d", at)
					}
				}
			}
			// Whole frames are written, as WebSocket does, and it is refused again.
			ends := frameEnds(w.want)
			for n := random.Intn(len(w.want)); n > 0; n-- {
				if ends[n] {
					w.write(t, n)
					break
				}
			}
			ends = frameEnds(w.want)
			for _, at := range w.boundaries() {
				if at > 0 && !ends[at] {
					t.Fatalf("after a write no frame ends at %d", at)
				}
			}
			w.end()
		}
	})
}

func TestHeldQueueWakesNobody(t *testing.T) {
	Convey("A message for a held queue does not wake the shard, which takes it when the kernel does", t, func() {
		w := newSlow()
		w.add(t, 10, false)
		So(w.sh.TakeDirty() == w.s, ShouldBeTrue)
		w.s.TxDirty = 0
		head, _ := takeMain(w.s)
		w.hold(head)
		w.sh.Dirty.MarkAsleep()
		for _, size := range []int{10, 3000, 100_000} {
			w.add(t, size, false)
			So(w.sh.Dirty.Asleep(), ShouldBeTrue)
		}
		w.sh.Dirty.Rouse()
		w.check(t, "held")
		w.write(t, len(w.want))
		So(len(w.want), ShouldEqual, 0)
		takeMain(w.s)
		w.add(t, 10, false)
		So(w.sh.TakeDirty() == w.s, ShouldBeTrue)
		w.end()
	})
}

func TestPackedCopies(t *testing.T) {
	Convey("NewPacked copies data into at most twice its bytes and 1 KiB", t, func() {
		data := make([]byte, 200_000)
		fill(data)
		for n := 0; n <= len(data); n += 1 + n/50 {
			c := NewPacked(data[:n])
			got := make([]byte, n)
			if c.ChainLen() != n || c.CopyChain(got) != n || !bytes.Equal(got, data[:n]) {
				t.Fatalf("another content of %d bytes", n)
			}
			if c.ChainSize() > 2*int64(n)+TinyChunkSize {
				t.Fatalf("%d bytes take %d", n, c.ChainSize())
			}
			FreeChain(c)
		}
	})
}
