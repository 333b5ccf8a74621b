// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	. "github.com/smartystreets/goconvey/convey"
)

// The tests of this package make all ticks themselves: one of a timer, between two of
// a test, would give memory back that the test counts.
var ticksAsked atomic.Int32

func init() { tickLater = func(func()) { ticksAsked.Add(1) } }

// take takes n blocks of a class and writes to all of each.
func take(class uint32, n int) (all []unsafe.Pointer) {
	for range n {
		block := get(class)
		fill(unsafe.Slice((*byte)(block), blockSize[class])[HeaderSize:])
		all = append(all, block)
	}
	return all
}

func giveAll(class uint32, all []unsafe.Pointer) {
	for _, block := range all {
		give(class, block)
	}
}

// pagesOf is the pages that blocks lie in.
func pagesOf(class uint32, all []unsafe.Pointer) map[uintptr]bool {
	pages := map[uintptr]bool{}
	for _, block := range all {
		for at := uintptr(block) &^ (PageSize - 1); at < uintptr(block)+blockSize[class]; at += PageSize {
			pages[at] = true
		}
	}
	return pages
}

// resident counts the pages of blocks that have memory.
func resident(class uint32, all []unsafe.Pointer) (pages int) {
	for at := range pagesOf(class, all) {
		var in [1]byte
		_, _, e := unix.Syscall(unix.SYS_MINCORE, at, PageSize, uintptr(unsafe.Pointer(&in[0])))
		if e == 0 && in[0]&1 != 0 {
			pages++
		}
	}
	return pages
}

// addresses is how many bytes of addresses a class has.
func addresses(class uint32) uintptr {
	growMutex.Lock()
	defer growMutex.Unlock()
	all := classes[class].warm
	for _, s := range classes[class].cold {
		all += s.to - s.from
	}
	return all
}

func TestMemoryComesBack(t *testing.T) {
	for class := uint32(ClassTiny); class < ClassDedicated; class++ {
		size := blockSize[class]
		many := keepWarm[class] + max(8, int(4<<20/size))
		Convey(fmt.Sprint("Free blocks of class ", class), t, func() {
			Trim()
			all := take(class, many)
			pages := len(pagesOf(class, all))
			if !raceBuild {
				So(resident(class, all), ShouldEqual, pages)
			}
			giveAll(class, all)
			Convey("keep their memory for two ticks", func() {
				Tick()
				Tick()
				if !raceBuild {
					So(resident(class, all), ShouldEqual, pages)
				}
				Convey("and are used again before new ones are", func() {
					before := addresses(class)
					again := take(class, many)
					So(addresses(class), ShouldEqual, before)
					giveAll(class, again)
				})
			})
			Convey("give all of it back at the third, headers too, but for a few", func() {
				for range 3 {
					Tick()
				}
				if !raceBuild {
					So(resident(class, all), ShouldBeLessThanOrEqualTo, (keepWarm[class]*max(PageSize, int(size))+int(growStep[class]))/PageSize)
				}
				Convey("and can be used again, before new addresses are", func() {
					before := addresses(class)
					again := take(class, many)
					So(addresses(class), ShouldEqual, before)
					for _, block := range again {
						if class <= ClassLarge {
							So((*Chunk)(block).Class, ShouldEqual, class)
							So((*Chunk)(block).Size, ShouldEqual, uint64(size))
						} else {
							So((*Slab)(block).Class, ShouldEqual, class)
							So((*Slab)(block).Size, ShouldEqual, uint64(size))
						}
						give(class, block)
					}
				})
			})
			Convey("that are needed between ticks keep it", func() {
				some := take(class, 2)
				giveAll(class, some)
				for range 6 {
					Tick()
					again := take(class, 2)
					So(again[0] == some[1] || again[0] == some[0], ShouldBeTrue)
					giveAll(class, []unsafe.Pointer{again[1], again[0]})
					some = again
				}
			})
			Reset(Trim)
		})
	}
	Convey("A tick while blocks come back counts for those that are there", t, func() {
		Trim()
		all := take(ClassBigSlab, 8)
		give(ClassBigSlab, all[0])
		Tick()
		giveAll(ClassBigSlab, all[1:])
		Tick()
		Tick()
		if !raceBuild {
			So(resident(ClassBigSlab, all[:1]), ShouldEqual, 0)
			So(resident(ClassBigSlab, all[1:]), ShouldEqual, 7*BigSlabSize/PageSize)
		}
		Tick()
		if !raceBuild {
			So(resident(ClassBigSlab, all), ShouldEqual, 0)
		}
	})
	Convey("A page of tiny blocks stays as long as one of them is used", t, func() {
		Trim()
		all := take(ClassTiny, 4096)
		for i, block := range all {
			if i%64 != 0 {
				give(ClassTiny, block)
			}
		}
		for range 4 {
			Tick()
		}
		for i := 0; i < len(all); i += 64 {
			So(isFilled(unsafe.Slice((*byte)(all[i]), TinyChunkSize)[HeaderSize:]), ShouldBeTrue)
			give(ClassTiny, all[i])
		}
		if !raceBuild {
			Trim()
			So(resident(ClassTiny, all), ShouldBeLessThanOrEqualTo, keepWarm[ClassTiny]+64)
		}
	})
}

// TestTickStress takes and gives blocks while ticks take their memory: what one
// holds must not change, and none is held twice.
func TestTickStress(t *testing.T) {
	const goroutines, rounds = 4, 4_000
	var broken atomic.Int32
	var workers, ticks sync.WaitGroup
	var over atomic.Bool
	ticks.Add(1)
	go func() {
		defer ticks.Done()
		for !over.Load() {
			Tick()
		}
	}()
	for g := range goroutines {
		workers.Add(1)
		go func() {
			defer workers.Done()
			var mine []*Chunk
			for n := range rounds {
				c := NewChunk(4, uint32(n%4))
				c.Start, c.End = uint32(g), uint32(n)
				c.Bytes()[0], c.Bytes()[c.Cap-1] = byte(g), byte(n)
				mine = append(mine, c)
				for len(mine) > (n>>6+g)%300 {
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
	workers.Wait()
	over.Store(true)
	ticks.Wait()
	Convey("Nobody's block was taken or given twice", t, func() { So(broken.Load(), ShouldEqual, 0) })
}
