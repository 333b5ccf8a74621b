// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"fmt"
	"testing"
	"unsafe"

	. "github.com/smartystreets/goconvey/convey"
)

func TestNewChunk(t *testing.T) {
	cases := []struct {
		need        uint64
		class, want uint32
		size        uint64
	}{
		{0, ClassTiny, ClassTiny, TinyChunkSize},
		{TinyChunkSize - HeaderSize, ClassTiny, ClassTiny, TinyChunkSize},
		{TinyChunkSize - HeaderSize + 1, ClassTiny, ClassSmall, SmallChunkSize},
		{SmallChunkSize - HeaderSize, ClassTiny, ClassSmall, SmallChunkSize},
		{SmallChunkSize - HeaderSize + 1, ClassSmall, ClassMid, MidChunkSize},
		{MidChunkSize - HeaderSize, ClassTiny, ClassMid, MidChunkSize},
		{MidChunkSize - HeaderSize + 1, ClassTiny, ClassLarge, LargeChunkSize},
		{LargeChunkSize - HeaderSize, ClassTiny, ClassLarge, LargeChunkSize},
		{8, ClassMid, ClassMid, MidChunkSize},
		{8, ClassLarge, ClassLarge, LargeChunkSize},
		{LargeChunkSize - HeaderSize + 1, ClassTiny, ClassDedicated, LargeChunkSize + PageSize},
		{1 << 20, ClassLarge, ClassDedicated, 1<<20 + PageSize},
		{3<<20 - HeaderSize, ClassTiny, ClassDedicated, 3 << 20},
	}
	Convey("NewChunk", t, func() {
		for _, c := range cases {
			Convey(fmt.Sprintf("of %d bytes from class %d", c.need, c.class), func() {
				chunk := NewChunk(c.need, c.class)
				So(chunk.Class, ShouldEqual, c.want)
				So(chunk.Size, ShouldEqual, c.size)
				So(chunk.Cap, ShouldEqual, c.size-HeaderSize)
				So(len(chunk.Bytes()), ShouldEqual, chunk.Cap)
				bytes := chunk.Bytes()
				bytes[0], bytes[len(bytes)-1] = 1, 2
				So(uintptr(unsafe.Pointer(&bytes[0])), ShouldEqual, uintptr(unsafe.Pointer(chunk))+HeaderSize)
				FreeChunk(chunk)
			})
		}
		Convey("gives a used chunk back as a new one", func() {
			chunk := NewChunk(8, ClassTiny)
			other := NewChunk(8, ClassTiny)
			chunk.Next, chunk.Ext, chunk.Owner = unsafe.Pointer(other), 1, 1
			chunk.Start, chunk.End, chunk.Msgs, chunk.ExtLen, chunk.Open = 1, 2, 3, 4, 1
			FreeChunk(chunk)
			again := NewChunk(8, ClassTiny)
			So(again == chunk, ShouldBeTrue)
			So(*again, ShouldResemble, Chunk{Class: ClassTiny, Cap: TinyChunkSize - HeaderSize, Size: TinyChunkSize})
			FreeChunk(again)
			FreeChunk(other)
		})
	})
}

func TestNewSlab(t *testing.T) {
	cases := []struct {
		need  uint64
		class uint32
		size  uint64
	}{
		{0, ClassSlab64, Slab64Size},
		{64<<10 + lengthSize + HeaderSize, ClassSlab64, Slab64Size},
		{Slab64Size - HeaderSize + 1, ClassSlab128, Slab128Size},
		{128<<10 + lengthSize + HeaderSize, ClassSlab128, Slab128Size},
		{256<<10 + lengthSize + HeaderSize, ClassSlab256, Slab256Size},
		{512<<10 + lengthSize + HeaderSize, ClassSlab512, Slab512Size},
		{Slab512Size - HeaderSize + 1, ClassBigSlab, BigSlabSize},
		{BigSlabSize - HeaderSize, ClassBigSlab, BigSlabSize},
		{BigSlabSize - HeaderSize + 1, ClassDedicated, BigSlabSize + PageSize},
		{2 << 20, ClassDedicated, 2<<20 + PageSize},
	}
	Convey("NewLongSlab", t, func() {
		for _, c := range cases {
			Convey(fmt.Sprintf("of %d bytes", c.need), func() {
				slab := NewLongSlab(c.need)
				So(slab.Class, ShouldEqual, c.class)
				So(slab.Size, ShouldEqual, c.size)
				So(slab.Refs.Load(), ShouldEqual, 1)
				So(uint64(len(slab.Bytes())), ShouldEqual, c.size-HeaderSize)
				slab.Bytes()[0], slab.Bytes()[c.size-HeaderSize-1] = 1, 1
				slab.Release()
			})
		}
	})
	Convey("Long frames are viewed however many slabs they have", t, func() {
		long := NewLongSlab(70_000)
		var all []*Slab
		for range MaxViewSlabs + 1 {
			all = append(all, NewLongSlab(70_000))
		}
		s := NewSlab()
		So(s.MayView(), ShouldBeTrue)
		for range MaxViewSlabs {
			all = append(all, NewSlab())
		}
		So(s.MayView(), ShouldBeFalse)
		So(long.MayView(), ShouldBeTrue)
		for _, slab := range append(all, s, long) {
			slab.Release()
		}
	})
	Convey("A slab goes to its pool with the last reference only", t, func() {
		slab := NewSlab()
		slab.Retain()
		slab.Release()
		So(slab.Refs.Load(), ShouldEqual, 1)
		other := NewSlab()
		So(other == slab, ShouldBeFalse)
		slab.Release()
		So(NewSlab() == slab, ShouldBeTrue)
		slab.Release()
		other.Release()
	})
}

func TestGrowSlab(t *testing.T) {
	Convey("A dedicated slab grows and keeps its content", t, func() {
		slab := NewLongSlab(2 << 20)
		fill(slab.Bytes())
		old := len(slab.Bytes())
		grown := GrowSlab(slab, 5<<20)
		So(grown != nil, ShouldBeTrue)
		So(grown.Size, ShouldEqual, 5<<20+PageSize)
		So(grown.Class, ShouldEqual, ClassDedicated)
		So(grown.Refs.Load(), ShouldEqual, 1)
		So(isFilled(grown.Bytes()[:old]), ShouldBeTrue)
		grown.Bytes()[len(grown.Bytes())-1] = 1
		grown.Release()
	})
}

func fill(b []byte) {
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
}

func isFilled(b []byte) bool {
	for i := range b {
		if b[i] != byte(i*7>>3) {
			return false
		}
	}
	return true
}
