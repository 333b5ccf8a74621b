// SPDX-License-Identifier: MPL-2.0

package endpoint

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
)

func TestParse(t *testing.T) {
	good := map[string]Endpoint{
		"tcp://127.0.0.1:5555":       {"127.0.0.1", 5555},
		"tcp://*:1":                  {"*", 1},
		"tcp://*:*":                  {"*", 0},
		"tcp://0.0.0.0:0":            {"0.0.0.0", 0},
		"tcp://[::1]:65535":          {"::1", 65535},
		"tcp://[::]:*":               {"::", 0},
		"tcp://::1:80":               {"::1", 80},
		"tcp://[fe80::1%eth0]:80":    {"fe80::1%eth0", 80},
		"tcp://lo:7":                 {"lo", 7},
		"tcp://host.example.org:443": {"host.example.org", 443},
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
		"":                         errno.EINVAL,
		"tcp":                      errno.EINVAL,
		"tcp:/127.0.0.1:1":         errno.EINVAL,
		"127.0.0.1:1":              errno.EINVAL,
		"://127.0.0.1:1":           errno.EINVAL,
		"tcp://":                   errno.EINVAL,
		"tcp://127.0.0.1":          errno.EINVAL,
		"tcp://127.0.0.1:":         errno.EINVAL,
		"tcp://127.0.0.1:65536":    errno.EINVAL,
		"tcp://127.0.0.1:-1":       errno.EINVAL,
		"tcp://127.0.0.1:+1":       errno.EINVAL,
		"tcp://127.0.0.1:1x":       errno.EINVAL,
		"tcp://127.0.0.1:1 ":       errno.EINVAL,
		"tcp://127.0.0.1:http":     errno.EINVAL,
		"tcp://:5555":              errno.EINVAL,
		"tcp://[]:5555":            errno.EINVAL,
		"tcp://[::1:5555":          errno.EINVAL,
		"tcp://::1]:5555":          errno.EINVAL,
		"tcp://a b:1":              errno.EINVAL,
		"tcp://a/b:1":              errno.EINVAL,
		"tcp://eth0;1.2.3.4:1":     errno.EINVAL,
		"inproc://name":            errno.ENOCOMPATPROTO,
		"udp://127.0.0.1:1":        errno.EPROTONOSUPPORT,
		"TCP://127.0.0.1:1":        errno.EPROTONOSUPPORT,
		"foo://127.0.0.1:1":        errno.EPROTONOSUPPORT,
		strings.Repeat("x", 10000): errno.EINVAL,
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
			})
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"tcp://1.2.3.4:5", "tcp://[::1]:*", "tcp://", "a://b:c", "tcp://x]:[:1"} {
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
		if ep.Host == "" || !strings.HasPrefix(text, "tcp://") {
			t.Fatalf("%q was read as %+v", text, ep)
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
		{"a literal", Endpoint{"127.0.0.1", 5}, false, "127.0.0.1:5", "127.0.0.1:5"},
		{"every address", Endpoint{"*", 5}, false, "0.0.0.0:5", ""},
		{"every address of both", Endpoint{"*", 5}, true, "[::]:5", ""},
		{"IPv6 with IPV6", Endpoint{"::1", 5}, true, "[::1]:5", "[::1]:5"},
		{"IPv6 without IPV6", Endpoint{"::1", 5}, false, "invalid argument", "invalid argument"},
		{"an IPv4 address written as IPv6", Endpoint{"::ffff:1.2.3.4", 5}, false, "1.2.3.4:5", "1.2.3.4:5"},
		{"an interface", Endpoint{"lo", 5}, false, "127.0.0.1:5", ""},
		{"a name", Endpoint{"localhost", 5}, false, "127.0.0.1:5", "127.0.0.1:5"},
	}
	text := func(addr netip.AddrPort, err error) string {
		if err != nil {
			So(errno.Detail(err), ShouldNotBeEmpty)
			return errno.Of(err).Error()
		}
		return addr.String()
	}
	Convey("The address of", t, func() {
		for _, c := range cases {
			Convey(c.name, func() {
				So(text(c.ep.Bind(c.ipv6)), ShouldEqual, c.bind)
				if c.dial != "" {
					So(text(c.ep.Dial(context.Background(), c.ipv6)), ShouldEqual, c.dial)
				}
			})
		}
		Convey("no such interface or host is ENODEV", func() {
			_, err := Endpoint{"nosuchif0", 5}.Bind(false)
			So(errors.Is(err, errno.ENODEV), ShouldBeTrue)
			So(errno.Detail(err), ShouldContainSubstring, "nosuchif0")
		})
	})
}

func TestCheckDial(t *testing.T) {
	Convey("CheckDial", t, func() {
		So(Endpoint{"127.0.0.1", 1}.CheckDial(false), ShouldBeNil)
		So(Endpoint{"no.such.host.invalid", 1}.CheckDial(false), ShouldBeNil) // looked up later
		So(Endpoint{"::1", 1}.CheckDial(true), ShouldBeNil)
		for _, ep := range []Endpoint{{"*", 1}, {"127.0.0.1", 0}, {"::1", 1}} {
			err := ep.CheckDial(false)
			So(errors.Is(err, errno.EINVAL), ShouldBeTrue)
			So(errno.Detail(err), ShouldNotBeEmpty)
		}
	})
	Convey("Literal", t, func() {
		So(Endpoint{"::1", 1}.Literal(), ShouldBeTrue)
		So(Endpoint{"localhost", 1}.Literal(), ShouldBeFalse)
	})
	Convey("Text", t, func() {
		So(Text(netip.MustParseAddrPort("1.2.3.4:5")), ShouldEqual, "tcp://1.2.3.4:5")
		So(Text(netip.MustParseAddrPort("[::ffff:1.2.3.4]:5")), ShouldEqual, "tcp://1.2.3.4:5")
		So(Text(netip.MustParseAddrPort("[::1]:5")), ShouldEqual, "tcp://[::1]:5")
	})
}
