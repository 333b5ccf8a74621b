// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

func TestAddressList(t *testing.T) {
	list := func(text string) *AddressList {
		l, err := ParseAddressList(text)
		So(err, ShouldBeNil)
		return l
	}
	contains := func(l *AddressList, addr string) bool { return l.Contains(netip.MustParseAddr(addr)) }
	Convey("A list of addresses", t, func() {
		Convey("has the addresses of its blocks, from the first to the last, and no others", func() {
			cases := []struct{ text, in, out string }{
				{"192.0.2.1", "192.0.2.1", "192.0.2.0 192.0.2.2 ::c000:201 ::1"},
				{"10.0.0.0/8", "10.0.0.0 10.255.255.255 10.1.2.3", "9.255.255.255 11.0.0.0"},
				{"0.0.0.0/0", "0.0.0.0 255.255.255.255 ::ffff:1.2.3.4", ":: ::1 ffff::"},
				{"::/0", ":: ::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "1.2.3.4 ::ffff:1.2.3.4"},
				{"2001:db8::/33", "2001:db8:: 2001:db8:7fff:ffff:ffff:ffff:ffff:ffff", "2001:db8:8000:: 2001:db7:ffff::"},
				{"fe80::/10", "fe80::1%eth0 febf::1", "fec0::1"},
				{"::ffff:192.0.2.0/120", "192.0.2.0 192.0.2.255 ::ffff:192.0.2.7", "192.0.1.255 192.0.3.0"},
				{"255.255.255.255, ::", "255.255.255.255 ::", "255.255.255.254 ::1"},
				{" 10.0.0.1,,10.0.0.2\t10.0.0.4\n", "10.0.0.1 10.0.0.2 10.0.0.4", "10.0.0.0 10.0.0.3 10.0.0.5"},
				{"10.0.0.0/30 10.0.0.0/8 10.0.0.0/31", "10.0.0.0 10.255.255.255", "11.0.0.0"},
			}
			for _, c := range cases {
				l := list(c.text)
				So(l.Empty(), ShouldBeFalse)
				for _, in := range strings.Fields(c.in) {
					So(fmt.Sprint(c.text, " has ", in, ": ", contains(l, in)), ShouldEndWith, "true")
				}
				for _, out := range strings.Fields(c.out) {
					So(fmt.Sprint(c.text, " has ", out, ": ", contains(l, out)), ShouldEndWith, "false")
				}
			}
		})
		Convey("is empty without an entry", func() {
			So(list("").Empty(), ShouldBeTrue)
			So(contains(list(""), "10.0.0.1"), ShouldBeFalse)
			So((*AddressList)(nil).Empty(), ShouldBeTrue)
		})
		Convey("is refused with a wrong entry, which the error names", func() {
			cases := []struct{ text, sentence string }{
				{"10.0.0.1 example.com", `"example.com" is not an IP address, or a block of them such as 192.0.2.0/24`},
				{" ", `" " has no entry; an empty text has all addresses pass`},
				{",,,", `",,," has no entry; an empty text has all addresses pass`},
				{"10.0.0", `"10.0.0" is not an IP address, or a block of them such as 192.0.2.0/24`},
				{"10.0.0.0/33,10.0.0.1", `"10.0.0.0/33" has a prefix of "33" bits; 0 to 32 are possible`},
				{"::/129", `"::/129" has a prefix of "129" bits; 0 to 128 are possible`},
				{"10.0.0.0/", `"10.0.0.0/" has a prefix of "" bits; 0 to 32 are possible`},
				{"10.0.0.0/-1", `"10.0.0.0/-1" has a prefix of "-1" bits; 0 to 32 are possible`},
				{"10.0.0.0/8/8", `"10.0.0.0/8/8" has a prefix of "8/8" bits; 0 to 32 are possible`},
				{"10.1.2.3/8", `"10.1.2.3/8" has bits behind its prefix: the block is 10.0.0.0/8`},
				{"fe80::1%eth0", `"fe80::1%eth0" has a zone, which the addresses of peers are compared without`},
				{"::ffff:0.0.0.0/95", `"::ffff:0.0.0.0/95" has bits behind its prefix: the block is ::fffe:0:0/95`},
				{strings.Repeat("x", 100), `"` + strings.Repeat("x", 64) + `..." is not an IP address, or a block of them such as 192.0.2.0/24`},
			}
			for _, c := range cases {
				_, err := ParseAddressList(c.text)
				So(err, ShouldNotBeNil)
				So(err.Error(), ShouldEqual, c.sentence)
			}
		})
		Convey("answers as its blocks do, one by one", func() {
			random := rand.New(rand.NewPCG(1, 2))
			some := func(bits int) netip.Prefix {
				four := netip.AddrFrom4([4]byte{10, 0, byte(random.UintN(4)), byte(random.UintN(256))})
				p, _ := four.Prefix(bits)
				return p
			}
			for range 50 {
				var blocks []netip.Prefix
				var text strings.Builder
				for range random.IntN(20) + 1 {
					b := some(random.IntN(13) + 20)
					blocks = append(blocks, b)
					fmt.Fprintf(&text, "%s,", b)
				}
				l, wrong := list(text.String()), 0
				for range 500 {
					addr, want := some(32).Addr(), false
					for _, b := range blocks {
						want = want || b.Contains(addr)
					}
					if l.Contains(addr) != want {
						wrong++
					}
				}
				So(wrong, ShouldEqual, 0)
			}
		})
	})
}

func FuzzAddressList(f *testing.F) {
	for _, seed := range []string{"", "10.0.0.0/8, ::1", "::ffff:1.2.3.4/128", "fe80::1%1", "1.2.3.4/", "0.0.0.0/0 ::/0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseAddressList(text)
		if err != nil {
			return
		}
		for i, r := range l.ranges {
			if r.last.Less(r.first) || r.first.BitLen() != r.last.BitLen() || r.first.Is4In6() {
				t.Fatal(r)
			}
			if i > 0 && !l.ranges[i-1].before(r.first) {
				t.Fatal("ranges touch")
			}
		}
	})
}
