// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"os"
	"runtime"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/sys"
)

// ownThread is the thread of a function that onOwnThread was given on Go's first thread,
// where initialisation runs, and TestMain after it.
var (
	ownThread    int
	ownThreadRan = make(chan struct{})
)

func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	first := sys.ThreadID() == firstThread
	onOwnThread(func() {
		if first {
			ownThread = sys.ThreadID()
		}
		close(ownThreadRan)
	})
	runtime.UnlockOSThread()
	os.Exit(m.Run())
}

func TestOwnThread(t *testing.T) {
	Convey("A shard's thread is never the one that Go begins with, which would not end", t, func() {
		<-ownThreadRan
		So(ownThread, ShouldNotEqual, 0)
		So(ownThread, ShouldNotEqual, firstThread)
	})
}

func TestHandOver(t *testing.T) {
	Convey("A shard that hands its role to a receiver", t, func() {
		g := newStage(t)
		c, fd := g.plain()
		g.owner.takeAll()
		Convey("writes what senders left if the receiver has nothing to take, or if calls are posted", func() {
			g.threadless()
			g.queue(c, "an answer")
			g.sh.leaveRole()
			g.sh.flushFor(nil)
			So(swallow(fd), ShouldEqual, len(frameOf("an answer")))
			g.queue(c, "an answer")
			g.sh.flushFor(g.owner.shared)
			So(swallow(fd), ShouldEqual, len(frameOf("an answer")))
			ran := false
			g.sh.Post(func() { ran = true })
			g.owner.shared.RxHand.Store(1)
			g.sh.flushFor(g.owner.shared)
			So(ran, ShouldBeTrue)
			So(g.sh.TryDrive(), ShouldBeTrue)
		})
		Convey("leaves the writing to a receiver that has something to take", func() {
			_, e := sys.Send(fd, []byte(frameOf("hello")))
			So(e, ShouldEqual, sys.Errno(0))
			So(g.sh.poll(), ShouldBeNil)
			g.sh.readReady()
			g.threadless()
			g.queue(c, "an answer")
			g.sh.leaveRole()
			g.sh.flushFor(g.owner.shared)
			So(swallow(fd), ShouldEqual, 0)
			So(g.sh.TryDrive(), ShouldBeTrue)
			g.sh.flushDirty()
			So(swallow(fd), ShouldEqual, len(frameOf("an answer")))
			g.owner.takeAll()
		})
		Convey("reads no more once the receiver is awake, and a receiver that drives does", func() {
			const connections = 3
			g.owner.receiving = true
			g.sh.Users.Store(1)
			fds := []int{fd}
			for range connections - 1 {
				_, more := g.plain()
				fds = append(fds, more)
			}
			g.owner.takeAll()
			for _, fd := range fds {
				_, e := sys.Send(fd, []byte(frameOf("hello")))
				So(e, ShouldEqual, sys.Errno(0))
			}
			So(g.sh.poll(), ShouldBeNil)
			So(g.sh.ready.len(), ShouldEqual, connections)
			So(g.owner.shared.RxInbox.MarkAsleep(), ShouldBeTrue)
			g.sh.readReady()
			So(g.sh.ready.len(), ShouldEqual, connections-1)
			So(g.sh.handOver, ShouldEqual, g.owner.shared)
			g.threadless()
			g.sh.leaveRole()
			So(g.sh.TryDrive(), ShouldBeTrue)
			g.sh.readReady()
			So(g.sh.ready.len(), ShouldEqual, 0)
			g.owner.takeAll()
		})
	})
}
