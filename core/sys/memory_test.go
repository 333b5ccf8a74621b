// SPDX-License-Identifier: MPL-2.0

package sys

import (
	"os"
	"os/exec"
	"testing"
	"unsafe"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"
)

func TestMemory(t *testing.T) {
	page := uintptr(os.Getpagesize())
	Convey("A mapping is zeroed, keeps its content when it grows, and loses it when told", t, func() {
		p := Map(2 * page)
		So(p != nil, ShouldBeTrue)
		So(uintptr(p)%page == 0, ShouldBeTrue)
		bytes := func(n uintptr) []byte { return unsafe.Slice((*byte)(p), n) }
		So(bytes(2 * page)[page], ShouldEqual, 0)
		bytes(2 * page)[page] = 7
		p = Remap(p, 2*page, 64*page)
		So(p != nil, ShouldBeTrue)
		So(bytes(64 * page)[page], ShouldEqual, 7)
		So(bytes(64 * page)[63*page], ShouldEqual, 0)
		Discard(p, 64*page)
		So(bytes(64 * page)[page], ShouldEqual, 0)
		bytes(64 * page)[page] = 8
		So(bytes(64 * page)[page], ShouldEqual, 8)
		Unmap(p, 64*page)
	})
	Convey("What cannot be is refused, and leaves the old mapping", t, func() {
		So(Map(1<<60) == nil, ShouldBeTrue)
		p := Map(page)
		*(*byte)(p) = 9
		So(Remap(p, page, 1<<60) == nil, ShouldBeTrue)
		So(*(*byte)(p), ShouldEqual, 9)
		Unmap(p, page)
	})
}

// boundedEnv has this test's process look at its own address space, which it bounds.
const boundedEnv = "ZLINK_TEST_BOUNDED"

func TestHasRoom(t *testing.T) {
	if os.Getenv(boundedEnv) != "" {
		limit := unix.Rlimit{Cur: 64 << 30, Max: 64 << 30}
		if unix.Setrlimit(unix.RLIMIT_AS, &limit) != nil || !HasRoom(1<<30) || HasRoom(128<<30) {
			os.Exit(1)
		}
		os.Exit(0)
	}
	Convey("An unbounded address space has room, a bounded one for what fits", t, func() {
		So(HasRoom(1<<40), ShouldBeTrue)
		again := exec.Command(os.Args[0], "-test.run=TestHasRoom")
		again.Env = append(os.Environ(), boundedEnv+"=1")
		So(again.Run(), ShouldBeNil)
	})
}
