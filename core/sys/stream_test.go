// SPDX-License-Identifier: MPL-2.0

package sys

import (
	"net/netip"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"
)

// listening is a descriptor that listens on a free port of this host.
func listening(t *testing.T) (int, Address) {
	fd, err := Socket(IPv4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Close(fd) })
	at := Address{AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}
	if err := Bind(fd, at); err != nil {
		t.Fatal(err)
	}
	if err := Listen(fd, 8); err != nil {
		t.Fatal(err)
	}
	at, err = Sockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fd, at
}

// connected are the two ends of a connection over tcp.
func connected(t *testing.T) (ours, theirs int) {
	server, at := listening(t)
	ours, err := Socket(IPv4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Close(ours) })
	if err := Connect(ours, at); err != nil && err != EINPROGRESS {
		t.Fatal(err)
	}
	readyFor(server, PollIn)
	theirs, _, e := Accept(server)
	if e != 0 {
		t.Fatal(e)
	}
	t.Cleanup(func() { Close(theirs) })
	return ours, theirs
}

// readyFor waits until a descriptor is ready.
func readyFor(fd int, bits int16) { _, _ = Poll([]PollFd{{Fd: int32(fd), Events: bits}}, -1) }

func vectors(texts ...string) []Vector {
	parts := make([]Vector, len(texts))
	for i, text := range texts {
		data := []byte(text)
		parts[i].Set(&data[0], len(data))
	}
	return parts
}

func TestStream(t *testing.T) {
	Convey("Two ends of a stream", t, func() {
		a, b := connected(t)
		buf := make([]byte, 64)

		Convey("have nothing to read at first", func() {
			_, e := Recv(a, buf)
			So(e, ShouldEqual, EAGAIN)
			_, e = RecvVectors(a, vectors("xx"))
			So(e, ShouldEqual, EAGAIN)
			n, e := Unread(a)
			So([]int{n, int(e)}, ShouldResemble, []int{0, 0})
		})
		Convey("carry bytes, in one piece or several", func() {
			n, e := SendVectors(a, vectors("one ", "two ", "three"))
			So([]int{n, int(e)}, ShouldResemble, []int{13, 0})
			n, e = Send(a, []byte(" four"))
			So([]int{n, int(e)}, ShouldResemble, []int{5, 0})
			readyFor(b, PollIn)
			n, e = Unread(b)
			So([]int{n, int(e)}, ShouldResemble, []int{18, 0})
			first, second := make([]byte, 4), make([]byte, 32)
			parts := make([]Vector, 2)
			parts[0].Set(&first[0], len(first))
			parts[1].Set(&second[0], len(second))
			n, e = RecvVectors(b, parts)
			So([]int{n, int(e)}, ShouldResemble, []int{18, 0})
			So(string(first)+string(second[:14]), ShouldEqual, "one two three four")
		})
		Convey("say how much is not acknowledged, with the end as one", func() {
			for e := Errno(0); e == 0; _, e = Send(a, make([]byte, 1<<20)) {
			}
			n, e := Unsent(a)
			So(e, ShouldEqual, Errno(0))
			So(n, ShouldBeGreaterThan, 0)
			_, e = Send(a, []byte("x"))
			So(e, ShouldEqual, EAGAIN)
		})
		Convey("end one direction at a time", func() {
			So(EndStream(a), ShouldBeNil)
			readyFor(b, PollIn)
			n, e := Recv(b, buf)
			So([]int{n, int(e)}, ShouldResemble, []int{0, 0})
			_, e = Send(b, []byte("still"))
			So(e, ShouldEqual, Errno(0))
			readyFor(a, PollIn)
			n, _ = Recv(a, buf)
			So(string(buf[:n]), ShouldEqual, "still")
		})
		Convey("raise no signal when the peer has gone, but return EPIPE", func() {
			_ = EndStream(a)
			_, e := Send(a, []byte("x"))
			So(e, ShouldEqual, unix.EPIPE)
			_, e = SendVectors(a, vectors("x"))
			So(e, ShouldEqual, unix.EPIPE)
		})
		Convey("are reset by a close that is told so", func() {
			ResetOnClose(a)
			Close(a)
			readyFor(b, PollIn)
			_, e := Recv(b, buf)
			So(e, ShouldEqual, ECONNRESET)
		})
	})
}

func TestSockets(t *testing.T) {
	Convey("A descriptor of ours does not block, and no program inherits it", t, func() {
		for _, family := range []Family{Local, IPv4} {
			fd, err := Socket(family)
			So(err, ShouldBeNil)
			flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
			So(flags&unix.O_NONBLOCK, ShouldNotEqual, 0)
			flags, _ = unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			So(flags&unix.FD_CLOEXEC, ShouldNotEqual, 0)
			on, err := Listening(fd)
			So([]any{on, err}, ShouldResemble, []any{false, nil})
			Close(fd)
			_, err = Listening(fd)
			So(err, ShouldEqual, unix.EBADF)
		}
	})
	Convey("One that listens says so, accepts, and refuses when it is ended", t, func() {
		fd, at := listening(t)
		on, err := Listening(fd)
		So([]any{on, err}, ShouldResemble, []any{true, nil})
		_, _, e := Accept(fd)
		So(e, ShouldEqual, EAGAIN)
		client, err := Socket(IPv4)
		So(err, ShouldBeNil)
		Reset(func() { Close(client) })
		if err := Connect(client, at); err != nil {
			So(err, ShouldEqual, EINPROGRESS)
		}
		readyFor(client, PollOut)
		So(ConnectError(client), ShouldBeNil)
		readyFor(fd, PollIn)
		accepted, from, e := Accept(fd)
		So(e, ShouldEqual, Errno(0))
		Reset(func() { Close(accepted) })
		own, _ := Sockname(client)
		So(from, ShouldResemble, own)
		peer, err := Peername(client)
		So([]any{peer, err}, ShouldResemble, []any{at, nil})
		EndListening(fd)
		_, _, e = Accept(fd)
		So(e, ShouldEqual, EINVAL)

		late, _ := Socket(IPv4)
		Reset(func() { Close(late) })
		if err = Connect(late, at); err == EINPROGRESS {
			readyFor(late, PollOut)
			err = ConnectError(late)
		}
		So(err, ShouldEqual, ECONNREFUSED)
	})
	Convey("The table of descriptors grows once, and keeps nothing open", t, func() {
		fd, _ := listening(t)
		GrowTable(fd, 300)
		_, err := unix.FcntlInt(299, unix.F_GETFD, 0)
		So(err, ShouldEqual, unix.EBADF)
	})
	Convey("A device that is not there, or has too long a name, is ENODEV", t, func() {
		fd, _ := listening(t)
		So(BindToDevice(fd, "nosuchdev0"), ShouldEqual, ENODEV)
		So(BindToDevice(fd, "lo"+strings.Repeat("x", MaxDevice)), ShouldEqual, ENODEV)
	})
}

func TestOptions(t *testing.T) {
	Convey("Each option is the kernel's of that level and name", t, func() {
		fd, err := Socket(IPv6)
		if err == EAFNOSUPPORT {
			SkipConvey("this system has no IPv6", func() {})
			return
		}
		So(err, ShouldBeNil)
		Reset(func() { Close(fd) })
		for _, o := range []struct {
			option      Option
			level, name int
			value, want int
		}{
			{SendBuffer, unix.SOL_SOCKET, unix.SO_SNDBUF, 20_000, 40_000}, // the kernel doubles
			{ReceiveBuffer, unix.SOL_SOCKET, unix.SO_RCVBUF, 30_000, 60_000},
			{ReuseAddress, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1, 1},
			{KeepAlive, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1, 1},
			{NoDelay, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1, 1},
			{KeepAliveCount, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3, 3},
			{KeepAliveIdle, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 4, 4},
			{KeepAliveInterval, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 5, 5},
			{UserTimeout, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 1500, 1500},
			{TypeOfService, unix.IPPROTO_IP, unix.IP_TOS, 0x10, 0x10},
			{TrafficClass, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, 0x10, 0x10},
			{IPv6Only, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1, 1},
			{BindNoPort, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1, 1},
		} {
			So(SetOption(fd, o.option, o.value), ShouldBeNil)
			got, err := unix.GetsockoptInt(fd, o.level, o.name)
			So(err, ShouldBeNil)
			So(got, ShouldEqual, o.want)
		}
		So(SetOption(fd, KeepAliveCount, 128), ShouldEqual, EINVAL)
	})
}

func TestAddresses(t *testing.T) {
	Convey("An address goes to the kernel's form and back", t, func() {
		for _, text := range []string{"1.2.3.4:5", "[::1]:65535", "[2001:db8::7]:80", "[fe80::7%12]:80"} {
			a := Address{AddrPort: netip.MustParseAddrPort(text)}
			So(addressOf(a.sockaddr()), ShouldResemble, a)
		}
		local := Address{Path: "@name"}
		So(addressOf(local.sockaddr()), ShouldResemble, local)
		So(addressOf(&unix.SockaddrUnix{}).IsValid(), ShouldBeFalse)
		So(addressOfRaw(&unix.RawSockaddrAny{}).IsValid(), ShouldBeFalse)
	})
	Convey("An address of IPv4 that came as one of IPv6 is one of IPv4", t, func() {
		sa := unix.SockaddrInet6{Addr: netip.MustParseAddr("::ffff:1.2.3.4").As16(), Port: 5}
		So(addressOf(&sa).String(), ShouldEqual, "1.2.3.4:5")
	})
	Convey("Each has its family", t, func() {
		So(Address{Path: "/x"}.Family(), ShouldEqual, Local)
		So(Address{AddrPort: netip.MustParseAddrPort("1.2.3.4:5")}.Family(), ShouldEqual, IPv4)
		So(Address{AddrPort: netip.MustParseAddrPort("[::1]:5")}.Family(), ShouldEqual, IPv6)
		So(FamilyOf(netip.MustParseAddr("1.2.3.4")), ShouldEqual, IPv4)
		So(FamilyOf(netip.MustParseAddr("::1")), ShouldEqual, IPv6)
	})
	Convey("A path that the kernel cannot hold is too long", t, func() {
		fd, err := Socket(Local)
		So(err, ShouldBeNil)
		Reset(func() { Close(fd) })
		So(Bind(fd, Address{Path: "@" + strings.Repeat("x", MaxPath)}), ShouldEqual, ENAMETOOLONG)
		So(Bind(fd, Address{Path: "@" + strings.Repeat("x", MaxPath-1)}), ShouldBeNil)
	})
}
