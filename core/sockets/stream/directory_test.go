// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/shm"
)

func TestDirectory(t *testing.T) {
	Convey("The directory of ids", t, func() {
		var d directory
		a, b := &Socket{}, &Socket{}
		any := func(uint32) bool { return true }
		take := func(k *Socket, good func(uint32) bool) uint32 {
			first, ok := d.take(k, good)
			So(ok, ShouldBeTrue)
			return first
		}

		Convey("gives each block once, and tells whose it is", func() {
			So(take(a, nil), ShouldEqual, 0)
			So(take(b, nil), ShouldEqual, idsInBlock)
			So(take(a, nil), ShouldEqual, 2*idsInBlock)
			So(d.owner(5) == a, ShouldBeTrue)
			So(d.owner(idsInBlock+5) == b, ShouldBeTrue)
			So(d.owner(3*idsInBlock) == nil, ShouldBeTrue)
			So(d.owner(1<<31) == nil, ShouldBeTrue)
		})
		Convey("gives a block that came back after all others", func() {
			take(a, nil)
			d.drop(0, 0)
			So(d.owner(5) == nil, ShouldBeTrue)
			for n := range uint32(shm.IDBlocks - 1) {
				if first, ok := d.take(a, nil); !ok || first != (n+1)<<shm.IDBlockBits {
					t.Fatalf("not in turn after %d", n)
				}
			}
			So(take(b, nil), ShouldEqual, 0)
		})
		Convey("gives what is left of a block to the next socket that takes any", func() {
			take(a, nil)
			d.drop(0, 77)
			So(d.owner(5) == nil, ShouldBeTrue)
			So(take(b, any), ShouldEqual, idsInBlock)
			So(take(b, nil), ShouldEqual, 77)
			So(d.owner(5) == b, ShouldBeTrue)
		})
		Convey("gives a socket that has asked for it a good block", func() {
			So(take(a, func(block uint32) bool { return block%4 == 3 }), ShouldEqual, 3*idsInBlock)
		})
		Convey("without a free block gives a socket its own once more, and others none", func() {
			for range shm.IDBlocks {
				if _, ok := d.take(a, nil); !ok {
					t.Fatal("a block was missing")
				}
			}
			_, ok := d.take(b, nil)
			So(ok, ShouldBeFalse)
			So(take(a, any), ShouldEqual, 0)
			So(take(a, any), ShouldEqual, idsInBlock)
			d.drop(9, 0)
			So(take(b, nil), ShouldEqual, 9*idsInBlock)
		})
	})
}

func TestBlocksOfIDs(t *testing.T) {
	Convey("The blocks of a socket", t, func() {
		k := newSocket(t, newContext(t))
		endpoint := bind(t, k)
		base := ownBlock()
		setNextID(t, k, base)
		entry := func() *idBlock { return ids.block(blockOf(base)) }

		Convey("are its own while one of their ids is in use", func() {
			first, _ := accept(t, k, endpoint)
			setNextID(t, k, base+idsInBlock-2)
			second, secondID := accept(t, k, endpoint)
			So(secondID, ShouldEqual, id(base+idsInBlock-1))
			third, thirdID := accept(t, k, endpoint)
			So(blockOfText(thirdID), ShouldNotEqual, blockOf(base))
			So(entry().owner.Load() == k, ShouldBeTrue)
			for _, p := range []peer{first, second} {
				So(entry().owner.Load() == k, ShouldBeTrue)
				must(t, p.Close(), "Close")
				want(t, k, disconnected)
			}
			eventually(t, "the block went back", func() bool { return entry().owner.Load() == nil })
			mustSend(t, k, thirdID, "still there")
			third.want("still there")
		})
		Convey("may be many that are nearly used up, and have no id for a free slot", func() {
			last := uint32(idsInBlock - 1)
			setNextID(t, k, base+2)
			_, taken := accept(t, k, endpoint)
			So(taken, ShouldEqual, id(base+3)) // the slot of the last id of each block
			k.mu.Lock()
			k.idsLeft = 0
			k.mu.Unlock()
			for range 2 * idBlocksTried {
				ids.mu.Lock()
				block := blockOf(ownBlock())
				ids.give(k, block)
				ids.block(block).owner.Store(nil)
				ids.rests = append(ids.rests, idRest{block, block<<shm.IDBlockBits | last})
				ids.mu.Unlock()
			}
			next, nextID := accept(t, k, endpoint)
			mustSend(t, k, nextID, "hello")
			next.want("hello")
		})
		Convey("lie where its table has room, also beside other sockets that take every other one", func() {
			table := shm.NewTable(4 * idsInBlock)
			Reset(func() { shm.FreeTable(table) })
			full := shm.NewSession(k.shared, nil)
			for n := range uint32(2 * idsInBlock) { // blocks 0 and 1 of each four
				table.Slot(n).Store(full)
			}
			for n := range uint32(idsInBlock/4*3 + 1) { // and too much of 2
				table.Slot(2*idsInBlock + n).Store(full)
			}
			small := k.table()
			So(k.roomyBlocks() == nil, ShouldBeTrue)
			k.shared.Table.Store(table)
			good := k.roomyBlocks()
			var roomy []bool
			for block := range uint32(8) {
				roomy = append(roomy, good(block))
			}
			k.shared.Table.Store(small)
			full.Release()
			So(roomy, ShouldResemble, []bool{false, false, false, true, false, false, false, true})
		})
	})
}
