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
