// SPDX-License-Identifier: MPL-2.0

package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
)

// longPath is a path of ipc that lacks one byte of the longest, and more.
func longPath(more string) string { return strings.Repeat("p", longestFile-1) + more }

func TestParse(t *testing.T) {
	good := map[string]Endpoint{
		"tcp://127.0.0.1:5555":       {Scheme: TCP, Host: "127.0.0.1", Port: 5555},
		"tcp://*:1":                  {Scheme: TCP, Host: "*", Port: 1},
		"tcp://*:*":                  {Scheme: TCP, Host: "*", Port: 0},
		"tcp://0.0.0.0:0":            {Scheme: TCP, Host: "0.0.0.0", Port: 0},
		"tcp://[::1]:65535":          {Scheme: TCP, Host: "::1", Port: 65535},
		"tcp://[::]:*":               {Scheme: TCP, Host: "::", Port: 0},
		"tcp://::1:80":               {Scheme: TCP, Host: "::1", Port: 80},
		"tcp://[fe80::1%eth0]:80":    {Scheme: TCP, Host: "fe80::1%eth0", Port: 80},
		"tcp://lo:7":                 {Scheme: TCP, Host: "lo", Port: 7},
		"tcp://host.example.org:443": {Scheme: TCP, Host: "host.example.org", Port: 443},
		"tcp://127.0.0.1:0080":       {Scheme: TCP, Host: "127.0.0.1", Port: 80},
		"tcp://lo:0;127.0.0.1:5":     {Scheme: TCP, Host: "127.0.0.1", Port: 5, Source: &Endpoint{Host: "lo"}},
		"tcp://[::1]:7;[::1]:5":      {Scheme: TCP, Host: "::1", Port: 5, Source: &Endpoint{Host: "::1", Port: 7}},
	}
	for text, want := range map[string]Endpoint{
		"tls://127.0.0.1:443":        {Scheme: TLS, Host: "127.0.0.1", Port: 443},
		"ws://*:80":                  {Scheme: WS, Host: "*", Port: 80, Path: "/"},
		"ws://[::1]:80/":             {Scheme: WS, Host: "::1", Port: 80, Path: "/"},
		"ws://[::1]:80/a/b;c":        {Scheme: WS, Host: "::1", Port: 80, Path: "/a/b;c"},
		"wss://a.example:1/x?y=z":    {Scheme: WSS, Host: "a.example", Port: 1, Path: "/x?y=z"},
		"ws://lo:0;127.0.0.1:5/p":    {Scheme: WS, Host: "127.0.0.1", Port: 5, Path: "/p", Source: &Endpoint{Host: "lo"}},
		"ipc:///tmp/a b":             {Scheme: IPC, Path: "/tmp/a b"},
		"ipc://relative":             {Scheme: IPC, Path: "relative"},
		"ipc://@name":                {Scheme: IPC, Path: "@name"},
		"ipc://*":                    {Scheme: IPC, Path: "*"},
		"ipc://" + longPath("x"):     {Scheme: IPC, Path: longPath("x")},
		"ipc://@" + longPath("")[1:]: {Scheme: IPC, Path: "@" + longPath("")[1:]},
	} {
		good[text] = want
	}
	Convey("Parse reads", t, func() {
		for text, want := range good {
			Convey(text, func() {
				got, err := Parse(text)
				So(err, ShouldBeNil)
				So(got, ShouldResemble, want)
			})
		}
	})
	bad := map[string]errno.Errno{
		"":                          errno.EINVAL,
		"tcp":                       errno.EINVAL,
		"tcp:/127.0.0.1:1":          errno.EINVAL,
		"127.0.0.1:1":               errno.EINVAL,
		"://127.0.0.1:1":            errno.EINVAL,
		"tcp://":                    errno.EINVAL,
		"tcp://127.0.0.1":           errno.EINVAL,
		"tcp://127.0.0.1:":          errno.EINVAL,
		"tcp://127.0.0.1:65536":     errno.EINVAL,
		"tcp://127.0.0.1:-1":        errno.EINVAL,
		"tcp://127.0.0.1:+1":        errno.EINVAL,
		"tcp://127.0.0.1:1x":        errno.EINVAL,
		"tcp://127.0.0.1:1 ":        errno.EINVAL,
		"tcp://127.0.0.1:http":      errno.EINVAL,
		"tcp://:5555":               errno.EINVAL,
		"tcp://[]:5555":             errno.EINVAL,
		"tcp://[::1:5555":           errno.EINVAL,
		"tcp://::1]:5555":           errno.EINVAL,
		"tcp://a b:1":               errno.EINVAL,
		"tcp://a/b:1":               errno.EINVAL,
		"tcp://eth0;1.2.3.4:1":      errno.EINVAL,
		"tcp://lo:0;":               errno.EINVAL,
		"tcp://;1.2.3.4:1":          errno.EINVAL,
		"tcp://lo:0;1.2.3.4:1;":     errno.EINVAL,
		"tcp://lo:0;lo:0;1.2.3.4:1": errno.EINVAL,
		"tcp://127.0.0.01:1":        errno.EINVAL,
		"tcp://127.0.0:1":           errno.EINVAL,
		"tcp://1.2.3.4:5:6":         errno.EINVAL,
		"tcp://[::1]:5:6":           errno.EINVAL,
		"tcp://::g:1":               errno.EINVAL,
		"tcp://a\tb:1":              errno.EINVAL,
		"tcp://*a:1":                errno.EINVAL,
		"tcp://" + strings.Repeat("x", 254) + ":1": errno.EINVAL,
		"ws://127.0.0.1":             errno.EINVAL,
		"ws:///path":                 errno.EINVAL,
		"ws://127.0.0.1:80/a b":      errno.EINVAL,
		"ws://127.0.0.1:80/a#b":      errno.EINVAL,
		"ws://127.0.0.1:80/\xc3\xa4": errno.EINVAL,
		"tls://127.0.0.1:443/path":   errno.EINVAL,
		"ipc://":                     errno.EINVAL,
		"ipc://@":                    errno.EINVAL,
		"ipc:///tmp/a\x00b":          errno.EINVAL,
		"ipc://" + longPath("xx"):    errno.ENAMETOOLONG,
		"inproc://name":              errno.ENOCOMPATPROTO,
		"udp://127.0.0.1:1":          errno.EPROTONOSUPPORT,
		"TCP://127.0.0.1:1":          errno.EPROTONOSUPPORT,
		"foo://127.0.0.1:1":          errno.EPROTONOSUPPORT,
		strings.Repeat("x", 10000):   errno.EINVAL,
	}
	Convey("Parse refuses, with a sentence", t, func() {
		for text, want := range bad {
			name := text[:min(len(text), 40)]
			Convey("<"+name+">", func() {
				_, err := Parse(text)
				So(errors.Is(err, want), ShouldBeTrue)
				So(errno.Of(err), ShouldEqual, want)
				So(len(errno.Detail(err)), ShouldBeGreaterThan, 10)
				So(errno.Detail(err), ShouldNotContainSubstring, "%!")
				So(len(errno.Detail(err)), ShouldBeLessThan, 300)
			})
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"tcp://1.2.3.4:5", "tcp://[::1]:*", "tcp://", "a://b:c", "tcp://x]:[:1",
		"ipc:///tmp/x", "ipc://@name", "ws://[::1%lo]:80/a?b", "wss://lo:443/", "tls://*:1", "tcp://a:1;b:2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ep, err := Parse(text)
		if err != nil {
			if errno.Detail(err) == "" {
				t.Fatalf("%q: no sentence in %v", text, err)
			}
			return
		}
		if !strings.HasPrefix(text, ep.Scheme.Name+"://") || (ep.Scheme.Address != File && ep.Host == "") {
			t.Fatalf("%q was read as %+v", text, ep)
		}
		again, err := Parse(ep.String())
		if err != nil || again.String() != ep.String() {
			t.Fatalf("%q was read as %+v, and that as %+v, %v", text, ep, again, err)
		}
	})
}

func TestAddresses(t *testing.T) {
	cases := []struct {
		name string
		ep   Endpoint
		ipv6 bool
		bind string // or the errno's text
		dial string
	}{
		{"a literal", Endpoint{Host: "127.0.0.1", Port: 5}, false, "127.0.0.1:5", "127.0.0.1:5"},
		{"every address", Endpoint{Host: "*", Port: 5}, false, "0.0.0.0:5", ""},
		{"every address of both", Endpoint{Host: "*", Port: 5}, true, "[::]:5", ""},
		{"IPv6 with IPV6", Endpoint{Host: "::1", Port: 5}, true, "[::1]:5", "[::1]:5"},
		{"IPv6 without IPV6", Endpoint{Host: "::1", Port: 5}, false, "invalid argument", "invalid argument"},
		{"an IPv4 address written as IPv6", Endpoint{Host: "::ffff:1.2.3.4", Port: 5}, false, "1.2.3.4:5", "1.2.3.4:5"},
		{"an interface", Endpoint{Host: "lo", Port: 5}, false, "127.0.0.1:5", ""},
		{"a name", Endpoint{Host: "localhost", Port: 5}, false, "127.0.0.1:5", "127.0.0.1:5"},
	}
	text := func(addr netip.AddrPort, err error) string {
		if err != nil {
			So(errno.Detail(err), ShouldNotBeEmpty)
			return errno.Of(err).Error()
		}
		return addr.String()
	}
	first := func(addrs []netip.AddrPort, err error) (netip.AddrPort, error) {
		if err != nil {
			return netip.AddrPort{}, err
		}
		return addrs[0], nil
	}
	Convey("The address of", t, func() {
		for _, c := range cases {
			Convey(c.name, func() {
				So(text(c.ep.listenAddress(c.ipv6)), ShouldEqual, c.bind)
				if c.dial != "" {
					So(text(first(c.ep.Dial(context.Background(), c.ipv6))), ShouldEqual, c.dial)
				}
			})
		}
		Convey("no such interface or host is ENODEV", func() {
			_, err := Endpoint{Host: "nosuchif0", Port: 5}.listenAddress(false)
			So(errors.Is(err, errno.ENODEV), ShouldBeTrue)
			So(errno.Detail(err), ShouldContainSubstring, "nosuchif0")
		})
	})
}

func TestInterleave(t *testing.T) {
	Convey("The addresses of a name take turns by family, beginning with that of the first", t, func() {
		for given, want := range map[string]string{
			"1.1.1.1":                     "1.1.1.1",
			"1.1.1.1 2.2.2.2":             "1.1.1.1 2.2.2.2",
			"::1 ::2 1.1.1.1":             "::1 1.1.1.1 ::2",
			"1.1.1.1 2.2.2.2 3.3.3.3 ::1": "1.1.1.1 ::1 2.2.2.2 3.3.3.3",
		} {
			var addrs []netip.Addr
			for _, text := range strings.Fields(given) {
				addrs = append(addrs, netip.MustParseAddr(text))
			}
			got := fmt.Sprint(interleave(addrs))
			So(got, ShouldEqual, "["+want+"]")
		}
	})
}

func TestFrom(t *testing.T) {
	from := func(source, to string) (netip.AddrPort, error) {
		return Endpoint{Source: &Endpoint{Host: source, Port: 9}}.From(netip.MustParseAddr(to))
	}
	Convey("The source for a target", t, func() {
		for _, c := range [][3]string{{"127.0.0.2", "127.0.0.1", "127.0.0.2:9"}, {"*", "127.0.0.1", "0.0.0.0:9"},
			{"*", "::1", "[::]:9"}, {"::1", "::1", "[::1]:9"}, {"lo", "127.0.0.1", "127.0.0.1:9"}, {"lo", "::1", "[::1]:9"}} {
			addr, err := from(c[0], c[1])
			So(err, ShouldBeNil)
			So(addr.String(), ShouldEqual, c[2])
		}
	})
	Convey("is of its family, and of an interface that is there", t, func() {
		for _, c := range []struct {
			source string
			err    errno.Errno
		}{{"::1", errno.EINVAL}, {"nosuchif0", errno.ENODEV}, {"localhost", errno.ENODEV}} {
			_, err := from(c.source, "127.0.0.1")
			So(errors.Is(err, c.err), ShouldBeTrue)
			So(errno.Detail(err), ShouldContainSubstring, c.source)
		}
	})
	Convey("A zone is an interface", t, func() {
		for _, zone := range []string{"lo", "1"} {
			_, err := Endpoint{Host: "fe80::1%" + zone, Port: 1}.listenAddress(true)
			So(err, ShouldBeNil)
		}
		for _, zone := range []string{"nosuchif0", "99999"} {
			So(errors.Is(HostPort.checkDial(Endpoint{Host: "fe80::1%" + zone, Port: 1}, true), errno.ENODEV), ShouldBeTrue)
		}
	})
	Convey("Bind takes no source", t, func() {
		_, err := Endpoint{Host: "127.0.0.1", Source: &Endpoint{Host: "lo"}}.listenAddress(false)
		So(errors.Is(err, errno.EINVAL), ShouldBeTrue)
	})
}

func TestCheckDial(t *testing.T) {
	Convey("CheckDial", t, func() {
		So(HostPort.checkDial(Endpoint{Host: "127.0.0.1", Port: 1}, false), ShouldBeNil)
		So(HostPort.checkDial(Endpoint{Host: "no.such.host.invalid", Port: 1}, false), ShouldBeNil) // looked up later
		So(HostPort.checkDial(Endpoint{Host: "::1", Port: 1}, true), ShouldBeNil)
		for _, ep := range []Endpoint{{Host: "*", Port: 1}, {Host: "127.0.0.1"}, {Host: "::1", Port: 1}} {
			err := HostPort.checkDial(ep, false)
			So(errors.Is(err, errno.EINVAL), ShouldBeTrue)
			So(errno.Detail(err), ShouldNotBeEmpty)
		}
	})
	Convey("Literal", t, func() {
		So(Endpoint{Host: "::1", Port: 1}.Literal(), ShouldBeTrue)
		So(Endpoint{Host: "localhost", Port: 1}.Literal(), ShouldBeFalse)
	})
	Convey("Text", t, func() {
		So(Text(TCP, netip.MustParseAddrPort("1.2.3.4:5")), ShouldEqual, "tcp://1.2.3.4:5")
		So(Text(TCP, netip.MustParseAddrPort("[::ffff:1.2.3.4]:5")), ShouldEqual, "tcp://1.2.3.4:5")
		So(Text(TCP, netip.MustParseAddrPort("[::1]:5")), ShouldEqual, "tcp://[::1]:5")
		So(Text(WSS, netip.MustParseAddrPort("1.2.3.4:5")), ShouldEqual, "wss://1.2.3.4:5")
	})
	Convey("String is what Parse reads", t, func() {
		for _, text := range []string{"tcp://[::1]:5", "tcp://1.2.3.4:5", "tcp://no.such.host:80",
			"ipc://@x", "ipc:///run/x", "ws://1.2.3.4:5", "wss://[::1]:5/path?query", "tls://1.2.3.4:5"} {
			e, err := Parse(text)
			So(err, ShouldBeNil)
			So(e.String(), ShouldEqual, text)
		}
	})
}
