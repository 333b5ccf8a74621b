// SPDX-License-Identifier: MPL-2.0

package sys

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"
)

func TestLocalNames(t *testing.T) {
	Convey("In a folder", t, func() {
		dir := t.TempDir()
		folder, err := OpenFolder(dir)
		So(err, ShouldBeNil)
		Reset(func() { Close(folder) })

		Convey("one at a time has the lock", func() {
			other, err := OpenFolder(dir)
			So(err, ShouldBeNil)
			Reset(func() { Close(other) })
			So(LockFolder(folder), ShouldBeNil)
			So(LockFolder(other), ShouldEqual, EAGAIN)
			UnlockFolder(folder)
			So(LockFolder(other), ShouldBeNil)
		})
		Convey("a file keeps its id, and another one has another", func() {
			write := func(name string) FileID {
				So(os.WriteFile(filepath.Join(dir, name), nil, 0o600), ShouldBeNil)
				id, err := FileAt(folder, name)
				So(err, ShouldBeNil)
				return id
			}
			first, second := write("first"), write("second")
			So(first, ShouldNotResemble, second)
			So(write("first"), ShouldResemble, first)
			So(os.Symlink("first", filepath.Join(dir, "link")), ShouldBeNil)
			link, err := FileAt(folder, "link")
			So(err, ShouldBeNil)
			So(link, ShouldNotResemble, first)
			So(RemoveAt(folder, "first"), ShouldBeNil)
			gone, err := FileAt(folder, "first")
			So(err, ShouldEqual, unix.ENOENT)
			So(gone, ShouldResemble, FileID{})
		})
		Convey("a socket is deserted once no process has it, and nothing else ever is", func() {
			path := filepath.Join(dir, "socket")
			fd, err := Socket(Local)
			So(err, ShouldBeNil)
			So(Bind(fd, Address{Path: path}), ShouldBeNil)
			So(Deserted(path), ShouldBeFalse)
			at, err := Sockname(fd)
			So([]any{at, err}, ShouldResemble, []any{Address{Path: path}, nil})
			Close(fd)
			So(Deserted(path), ShouldBeTrue)
			So(Deserted(filepath.Join(dir, "none")), ShouldBeFalse)
		})
	})
	Convey("No folder is opened in the place of a file", t, func() {
		path := filepath.Join(t.TempDir(), "file")
		So(os.WriteFile(path, nil, 0o600), ShouldBeNil)
		_, err := OpenFolder(path)
		So(err, ShouldEqual, unix.ENOTDIR)
	})
	Convey("A name that is no file is free at once, and the number stays taken", t, func() {
		name := Address{Path: "@zlink-test-" + filepath.Base(t.TempDir()) + t.Name()}
		fd, err := Socket(Local)
		So(err, ShouldBeNil)
		other, err := Socket(Local)
		So(err, ShouldBeNil)
		Reset(func() { Close(fd); Close(other) })
		So(Bind(fd, name), ShouldBeNil)
		So(Bind(other, name), ShouldEqual, EADDRINUSE)
		FreeName(fd)
		So(Bind(other, name), ShouldBeNil)
		_, err = unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		So(err, ShouldBeNil)
	})
	Convey("The process is where the system says, not its environment", t, func() {
		t.Setenv("PWD", "/")
		want, err := filepath.EvalSymlinks(".")
		So(err, ShouldBeNil)
		here, err := WorkingFolder()
		So(err, ShouldBeNil)
		a, err := os.Stat(here)
		So(err, ShouldBeNil)
		b, err := os.Stat(want)
		So(err, ShouldBeNil)
		So(os.SameFile(a, b), ShouldBeTrue)
	})
}
