// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/errno"
)

// pass has the process look as if systemd had passed descriptors.
func pass(t testing.TB, names string, fds ...int) {
	t.Helper()
	first := 900
	for i, fd := range fds {
		must(t, unix.Dup2(fd, first+i), "dup2")
	}
	activated.first, activated.used = first, nil
	for name, value := range map[string]string{"LISTEN_FDS": strconv.Itoa(len(fds)), "LISTEN_PID": strconv.Itoa(os.Getpid()), "LISTEN_FDNAMES": names} {
		must(t, os.Setenv(name, value), "setenv")
	}
	Reset(func() {
		activated.first, activated.used = 0, nil
		for _, name := range []string{"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"} {
			_ = os.Unsetenv(name)
		}
	})
}

func listenFile(t testing.TB) (fd, port int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err, "listen")
	file, err := l.(*net.TCPListener).File()
	must(t, err, "file")
	Reset(func() { _, _ = l.Close(), file.Close() })
	return int(file.Fd()), l.Addr().(*net.TCPAddr).Port
}

func TestListenName(t *testing.T) {
	Convey("A bind takes the descriptor that systemd has passed", t, func() {
		one, port1 := listenFile(t)
		two, port2 := listenFile(t)
		at := func(port int) string { return fmt.Sprintf("tcp://127.0.0.1:%d", port) }
		k := newFastSocket(t, newContext(t))
		serves := func(port int) {
			So(lastEndpoint(t, k), ShouldEqual, at(port))
			plain(t, at(port))
			recvKind(t, k, Connected)
		}
		bind := func(name, endpoint string) error {
			must(t, k.Set(WithListenName(name)), "setting")
			return k.Bind(endpoint)
		}
		Convey("of its name, once", func() {
			pass(t, "game:chat", one, two)
			So(bind("chat", "tcp://127.0.0.1:*"), ShouldBeNil)
			serves(port2)
			So(k.opt.strings[346], ShouldBeEmpty) // the next bind makes its own
			err := bind("chat", "tcp://127.0.0.1:*")
			So(err, shouldBeErrno, errno.EINVAL)
			So(errno.Detail(err), ShouldContainSubstring, `it has passed 2: "game chat"`)
		})
		Convey("of its port, when several have the name or any may", func() {
			pass(t, "game:game", one, two)
			So(bind("game", at(port2)), ShouldBeNil)
			serves(port2)
			So(bind("*", "tcp://127.0.0.1:*"), ShouldBeNil)
			serves(port1)
		})
		Convey("of the name unknown, when systemd has given no names", func() {
			pass(t, "", one, two)
			So(bind("unknown", at(port2)), ShouldBeNil)
			serves(port2)
			So(bind("unknown", "tcp://127.0.0.1:*"), ShouldBeNil)
			serves(port1)
		})
		Convey("or says why there is none", func() {
			So(bind("game", "tcp://127.0.0.1:*"), shouldBeErrno, errno.EINVAL) // started by hand
			So(errno.Detail(k.Bind("tcp://127.0.0.1:*")), ShouldContainSubstring, `LISTEN_FDS is ""`)
			pass(t, "game", one)
			for _, endpoint := range []string{at(port2), "ipc://*", "tcp://*:*"} {
				So(bind("game", endpoint), shouldBeErrno, errno.EINVAL)
			}
			must(t, os.Setenv("LISTEN_PID", "1"), "setenv")
			So(bind("game", at(port1)), shouldBeErrno, errno.EINVAL)
			So(errno.Detail(k.Bind(at(port1))), ShouldContainSubstring, `process "1"`)
		})
	})
}
