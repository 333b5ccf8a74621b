// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"net/netip"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

func TestTCPOptions(t *testing.T) {
	system := TCPOptions{KeepAlive: -1, KeepAliveCount: -1, KeepAliveIdle: -1, KeepAliveInterval: -1}
	all := TCPOptions{SndBuf: 20_000, RcvBuf: 30_000, KeepAlive: 1, KeepAliveCount: 3, KeepAliveIdle: 4,
		KeepAliveInterval: 5, TOS: 0x10, UserTimeout: 1500 * time.Millisecond}
	get := func(fd, level, name int) int {
		v, err := unix.GetsockoptInt(fd, level, name)
		So(err, ShouldBeNil)
		return v
	}
	Convey("Descriptors get their options", t, func() {
		fd, err := all.open(sys.IPv4)
		So(err, ShouldBeNil)
		Reset(func() { _ = unix.Close(fd) })
		So(get(fd, unix.SOL_SOCKET, unix.SO_SNDBUF), ShouldEqual, 40_000) // the kernel doubles
		So(get(fd, unix.SOL_SOCKET, unix.SO_RCVBUF), ShouldEqual, 60_000)
		So(get(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE), ShouldEqual, 1)
		So(get(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT), ShouldEqual, 3)
		So(get(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE), ShouldEqual, 4)
		So(get(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL), ShouldEqual, 5)
		So(get(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT), ShouldEqual, 1500)
		So(get(fd, unix.IPPROTO_IP, unix.IP_TOS), ShouldEqual, 0x10)
		So(get(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY), ShouldEqual, 1)
	})
	Convey("or the system's", t, func() {
		plain, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		So(err, ShouldBeNil)
		fd, err := system.open(sys.IPv4)
		So(err, ShouldBeNil)
		Reset(func() { _, _ = unix.Close(fd), unix.Close(plain) })
		for _, o := range [][2]int{{unix.SOL_SOCKET, unix.SO_SNDBUF}, {unix.SOL_SOCKET, unix.SO_RCVBUF},
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE}, {unix.IPPROTO_TCP, unix.TCP_KEEPCNT}, {unix.IPPROTO_IP, unix.IP_TOS}} {
			So(get(fd, o[0], o[1]), ShouldEqual, get(plain, o[0], o[1]))
		}
		So(get(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY), ShouldEqual, 1)
	})
	Convey("A device that is not there is an error with a sentence, and no descriptor stays", t, func() {
		_, err := TCPOptions{Device: "nosuchdev0"}.open(sys.IPv4)
		So(err, ShouldNotBeNil)
		So(errno.Of(err), ShouldEqual, errno.ENODEV)
		So(errno.Detail(err), ShouldContainSubstring, "nosuchdev0")
	})
	Convey("An option that the system does not take is named", t, func() {
		_, err := TCPOptions{KeepAlive: -1, KeepAliveCount: 128}.open(sys.IPv4)
		So(errno.Of(err), ShouldEqual, errno.EINVAL)
		So(errno.Detail(err), ShouldContainSubstring, "TCP_KEEPALIVE_CNT 128")
	})
}

func TestAddress(t *testing.T) {
	Convey("An address fits a connection", t, func() {
		p := ipOf(Address{AddrPort: netip.MustParseAddrPort("1.2.3.4:5")})
		So(p.Kind, ShouldEqual, 4)
		So(p.IP[:4], ShouldResemble, []byte{1, 2, 3, 4})
		for _, text := range []string{"1.2.3.4:5", "[::1]:65535", "[fe80::7%12]:80"} {
			So(roundTrip(Address{AddrPort: netip.MustParseAddrPort(text)}).String(), ShouldEqual, text)
		}
		So(roundTrip(Address{}).IsValid(), ShouldBeFalse)
	})
}

// roundTrip stores an address in a session and returns what that has.
func roundTrip(a Address) Address {
	var s shm.Session
	s.SetPeer(ipOf(a))
	return AddressOf(&s)
}
