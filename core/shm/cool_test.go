// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	. "github.com/smartystreets/goconvey/convey"
)

// blocksOf are the addresses of a list, first one first.
func blocksOf(list unsafe.Pointer) (all []unsafe.Pointer) {
	for ; list != nil; list = link(list) {
		all = append(all, list)
	}
	return all
}

func TestListsOfFreeBlocks(t *testing.T) {
	Convey("A list of free blocks", t, func() {
		all := take(ClassTiny, 10)
		var c chain
		for _, block := range slices.Backward(all) {
			c.push(block)
		}
		Reset(func() { giveAll(ClassTiny, all) })
		for n := range 12 {
			first, rest := split(c.first, n)
			So(blocksOf(first.first), ShouldResemble, append([]unsafe.Pointer(nil), all[:min(n, 10)]...))
			So(blocksOf(rest), ShouldResemble, append([]unsafe.Pointer(nil), all[min(n, 10):]...))
			if n > 0 {
				So(first.last, ShouldEqual, all[min(n, 10)-1])
			}
			c.first = first.before(rest)
			So(blocksOf(c.first), ShouldResemble, all)
		}
		Convey("gives its addresses", func() {
			addresses := addressesOf(c.first)
			for i, at := range addresses {
				So(at, ShouldEqual, uintptr(all[i]))
			}
			unmapPages(unsafe.Pointer(&addresses[0]), addressBytes(len(addresses)))
			So(addressesOf(nil), ShouldBeNil)
		})
	})
}

func TestJoinedSpans(t *testing.T) {
	Convey("Spans are sorted and do not touch, whatever is joined", t, func() {
		random := rand.New(rand.NewPCG(1, 2))
		for range 200 {
			const blocks, size = 200, 8
			in := [blocks]int{} // 1, 2: the list that the block is in
			var lists [3][]uintptr
			for i := range in {
				in[i] = random.IntN(3)
				lists[in[i]] = append(lists[in[i]], uintptr(i)*size)
			}
			a, b := joined(lists[1], size), joined(lists[2], size)
			all := merged(make([]span, 0, len(a)+len(b)), a, b)
			left := [blocks]bool{}
			for i, s := range all {
				So(i == 0 || all[i-1].to < s.from, ShouldBeTrue)
				for at := s.from; at < s.to; at += size {
					left[at/size] = true
				}
			}
			for i := range in {
				So(left[i], ShouldEqual, in[i] != 0)
			}
		}
	})
}
