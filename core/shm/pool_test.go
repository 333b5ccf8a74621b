// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	. "github.com/smartystreets/goconvey/convey"
)

func TestPoolOrder(t *testing.T) {
	Convey("A pool gives the newest block first", t, func() {
		var p Pool
		So(p.pop() == nil, ShouldBeTrue)
		region := mapPages(4 * PageSize)
		defer unmapPages(region, 4*PageSize)
		var blocks []unsafe.Pointer
		for i := range 4 {
			blocks = append(blocks, unsafe.Add(region, i*PageSize))
			p.push(blocks[i])
		}
		for i := 3; i >= 0; i-- {
			So(p.pop() == blocks[i], ShouldBeTrue)
		}
		So(p.pop() == nil, ShouldBeTrue)
	})
}

func TestPoolTag(t *testing.T) {
	for _, row := range []struct {
		name string
		p    *Pool
		size uintptr
	}{{"of a chunk", new(Pool), TinyChunkSize}, {"of a reference", &Pools[ClassRef], RefSize}} {
		Convey("The tag of a head with the address "+row.name, t, func() {
			p, low := row.p, uint64(row.size-1)
			high := uintptr(1)<<47 - row.size
			block := *(*unsafe.Pointer)(unsafe.Pointer(&high))
			Convey("changes with every operation and leaves the address alone", func() {
				head := uint64(0)
				for range 5000 {
					next := p.repack(head, block)
					if next == head || uint64(uintptr(p.unpack(next))) != uint64(high) {
						t.Fatalf("%#x after %#x", next, head)
					}
					head = next
				}
				So(head>>48*uint64(row.size)|head&low, ShouldEqual, 5000)
			})
			Convey("wraps after 2^16 times the size", func() {
				last := uint64(1<<16-1)<<48 | uint64(high) | low
				So(p.repack(last, block), ShouldEqual, uint64(high))
			})
		})
	}
}

func TestPoolABA(t *testing.T) {
	Convey("A pop that was interrupted for as long as it takes", t, func() {
		var p Pool
		region := mapPages(3 * PageSize)
		defer unmapPages(region, 3*PageSize)
		a, b, c := region, unsafe.Add(region, PageSize), unsafe.Add(region, 2*PageSize)
		for _, block := range []unsafe.Pointer{a, b, c} {
			p.push(block)
		}
		head, next := p.look()
		So(p.unpack(head) == c, ShouldBeTrue)
		So(next == b, ShouldBeTrue)
		Convey("takes the block when nothing happened", func() {
			So(p.replace(head, next), ShouldBeTrue)
			So(p.pop() == b, ShouldBeTrue)
		})
		Convey("does not when the block was taken and given back, and what followed it is in use", func() {
			p.pop()
			p.pop()
			p.push(c)
			So(p.replace(head, next), ShouldBeFalse)
			So(p.pop() == c, ShouldBeTrue)
			So(p.pop() == a, ShouldBeTrue)
			So(p.pop() == nil, ShouldBeTrue)
		})
		Convey("does not when the block alone was taken and given back", func() {
			p.push(p.pop())
			So(p.replace(head, next), ShouldBeFalse)
		})
	})
}

// slowPop is pop for a thread that loses its processor in the middle of it.
func slowPop(p *Pool) unsafe.Pointer {
	for {
		head, next := p.look()
		runtime.Gosched()
		if block := p.unpack(head); block == nil || p.replace(head, next) {
			return block
		}
	}
}

// TestPoolStress marks the blocks it holds: a block that two hold at a time, or
// one that is lost, shows.
func TestPoolStress(t *testing.T) {
	const goroutines, blocks, rounds = 4, 6, 60_000
	region := mapPages(blocks * PageSize)
	var p Pool
	var held [blocks]atomic.Int32
	for i := range blocks {
		p.push(unsafe.Add(region, i*PageSize))
	}
	index := func(block unsafe.Pointer) int { return int((uintptr(block) - uintptr(region)) / PageSize) }
	var twice, dry atomic.Int32
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Add(1)
		go func() {
			defer wg.Done()
			var mine []unsafe.Pointer
			for n := range rounds {
				pop := p.pop
				if n%4 == g {
					pop = func() unsafe.Pointer { return slowPop(&p) }
				}
				if block := pop(); block == nil {
					dry.Add(1)
				} else {
					if held[index(block)].Add(1) != 1 {
						twice.Add(1)
					}
					mine = append(mine, block)
				}
				// Give back in another order than taken, at changing times.
				for len(mine) > (n+g)%3 {
					block := mine[0]
					mine = mine[1:]
					held[index(block)].Add(-1)
					p.push(block)
				}
			}
			for _, block := range mine {
				held[index(block)].Add(-1)
				p.push(block)
			}
		}()
	}
	wg.Wait()
	Convey("No block is held twice and none is lost", t, func() {
		So(twice.Load(), ShouldEqual, 0)
		seen := map[unsafe.Pointer]bool{}
		for block := p.pop(); block != nil; block = p.pop() {
			So(seen[block], ShouldBeFalse)
			seen[block] = true
		}
		So(len(seen), ShouldEqual, blocks)
	})
}

// TestChunkStress takes chunks as senders do and frees them as shards do: the
// content that one goroutine writes must not change while it holds the chunk.
func TestChunkStress(t *testing.T) {
	const goroutines, rounds = 4, 20_000
	var broken atomic.Int32
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Add(1)
		go func() {
			defer wg.Done()
			var mine []*Chunk
			for n := range rounds {
				c := NewChunk(4, uint32(n%2))
				c.Start, c.End = uint32(g), uint32(n)
				c.Bytes()[0], c.Bytes()[c.Cap-1] = byte(g), byte(n)
				mine = append(mine, c)
				for len(mine) > (n+g)%4 {
					c := mine[0]
					mine = mine[1:]
					if c.Start != uint32(g) || c.Bytes()[0] != byte(g) || c.Bytes()[c.Cap-1] != byte(c.End) {
						broken.Add(1)
					}
					FreeChunk(c)
				}
			}
			for _, c := range mine {
				FreeChunk(c)
			}
		}()
	}
	wg.Wait()
	Convey("Nobody wrote into another one's chunk", t, func() { So(broken.Load(), ShouldEqual, 0) })
}
