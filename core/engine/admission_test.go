// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
)

func TestRateBucket(t *testing.T) {
	Convey("A bucket gives a second's worth at once, then one for each part of a second", t, func() {
		for _, rate := range []int{1, 3, 7, 1000, 99_999, 999_999_999} {
			var b rateBucket
			now := int64(5)
			most := min(rate, 100_000)
			if rate > most {
				b.owed = int64(rate-most) * second
				b.at = now
			}
			given := 0
			for range most {
				if b.take(rate, now) {
					given++
				}
			}
			So(given, ShouldEqual, most)
			So(b.take(rate, now), ShouldBeFalse)
			wait := b.wait(rate)
			So(wait, ShouldBeGreaterThan, 0)
			So(b.take(rate, now+int64(wait)-1), ShouldBeFalse)
			So(b.take(rate, now+int64(wait)), ShouldBeTrue)
			So(b.take(rate, now+int64(wait)), ShouldBeFalse)
			b.giveBack()
			So(b.take(rate, now+int64(wait)), ShouldBeTrue)
			b.pay(rate, now+10*second)
			So(b.owed, ShouldEqual, 0)
		}
	})
}

// someone returns the address of a number.
func someone(n int) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 10<<24|uint32(n))))
}

func TestAdmission(t *testing.T) {
	Convey("An Admission", t, func() {
		var a Admission
		now := time.Now()
		enter := func(from netip.Addr) (place, verdict) { return a.enter(from, now) }
		verdictOf := func(addr string) verdict {
			_, why := enter(netip.MustParseAddr(addr))
			return why
		}

		Convey("keeps everybody without rules, and counts them", func() {
			var places []place
			for i := range 1000 {
				p, why := enter(someone(i % 3))
				So(why, ShouldEqual, admitted)
				places = append(places, p)
			}
			So(a.places, ShouldEqual, 1000)
			So(a.Idle(), ShouldBeFalse)
			So(a.Memory(), ShouldEqual, 0)
			So(a.wait(now), ShouldEqual, 0)
			for _, p := range places {
				a.leave(p)
			}
			a.leave(noPlace)
			So(a.Idle(), ShouldBeTrue)
		})
		Convey("keeps as many as STREAM_MAX_CONNECTIONS, and one more when one has left", func() {
			a.SetRules(&Rules{Connections: 3})
			var first place
			for i := range 3 {
				p, why := enter(someone(i))
				So(why, ShouldEqual, admitted)
				first = p
			}
			So(verdictOf("10.0.0.9"), ShouldEqual, tooMany)
			a.leave(first)
			So(verdictOf("10.0.0.9"), ShouldEqual, admitted)
			So(verdictOf("10.0.0.9"), ShouldEqual, tooMany)
			_, why := enter(netip.Addr{}) // of the local system
			So(why, ShouldEqual, tooMany)
			a.SetRules(&Rules{})
			So(verdictOf("10.0.0.9"), ShouldEqual, admitted)
		})
		Convey("counts blocks of addresses of IPv4 and IPv6, and IPv4-mapped ones as IPv4", func() {
			a.SetRules(&Rules{AddressConnections: 2, Prefix4: 24, Prefix6: 64})
			So(verdictOf("192.0.2.1"), ShouldEqual, admitted)
			p, why := enter(netip.MustParseAddr("::ffff:192.0.2.255"))
			So(why, ShouldEqual, admitted)
			So(verdictOf("192.0.2.7"), ShouldEqual, tooManyOfAddress)
			So(verdictOf("::ffff:192.0.2.7"), ShouldEqual, tooManyOfAddress)
			So(verdictOf("192.0.3.0"), ShouldEqual, admitted)
			So(verdictOf("2001:db8::1"), ShouldEqual, admitted)
			So(verdictOf("2001:db8::ffff:ffff:ffff:ffff%3"), ShouldEqual, admitted)
			So(verdictOf("2001:db8::2"), ShouldEqual, tooManyOfAddress)
			So(verdictOf("2001:db8:0:1::2"), ShouldEqual, admitted)
			for range 3 {
				_, why = enter(netip.Addr{}) // the local system has no address
				So(why, ShouldEqual, admitted)
			}
			a.leave(p)
			So(verdictOf("192.0.2.7"), ShouldEqual, admitted)
			So(verdictOf("192.0.2.7"), ShouldEqual, tooManyOfAddress)
		})
		Convey("gives a place back to the block that it is of, whatever the prefix is by then", func() {
			a.SetRules(&Rules{AddressConnections: 1, Prefix4: 32})
			p, _ := enter(someone(1))
			a.SetRules(&Rules{AddressConnections: 1, Prefix4: 8})
			q, why := enter(someone(2))
			So(why, ShouldEqual, admitted)
			a.leave(p)
			_, why = enter(someone(3))
			So(why, ShouldEqual, tooManyOfAddress)
			a.SetRules(&Rules{AddressConnections: 1, Prefix4: 32})
			r, why := enter(someone(1))
			So(why, ShouldEqual, admitted)
			a.leave(q)
			a.leave(r)
			So(a.Idle(), ShouldBeTrue)
			So(a.Memory(), ShouldEqual, 0)
		})
	})
}

func TestAdmissionRates(t *testing.T) {
	Convey("An Admission", t, func() {
		var a Admission
		now := time.Now()
		enter := func(from netip.Addr) (place, verdict) { return a.enter(from, now) }
		verdictOf := func(addr string) verdict {
			_, why := enter(netip.MustParseAddr(addr))
			return why
		}

		Convey("lets an address in as often as STREAM_ADDRESS_ACCEPT_RATE, also after it has left", func() {
			a.SetRules(&Rules{AddressRate: 5, Prefix4: 32})
			for range 5 {
				p, why := enter(someone(1))
				So(why, ShouldEqual, admitted)
				a.leave(p)
			}
			_, why := enter(someone(1))
			So(why, ShouldEqual, tooFastOfAddress)
			_, why = enter(someone(2))
			So(why, ShouldEqual, admitted)
			now = now.Add(time.Second / 5)
			p, why := enter(someone(1))
			So(why, ShouldEqual, admitted)
			_, why = enter(someone(1))
			So(why, ShouldEqual, tooFastOfAddress)
			a.leave(p)
		})
		Convey("accepts as many in a second as STREAM_ACCEPT_RATE, without those that it refuses", func() {
			a.SetRules(&Rules{Rate: 4})
			for range 4 {
				So(a.wait(now), ShouldEqual, 0)
			}
			So(a.wait(now), ShouldEqual, time.Second/4)
			a.unwait()
			So(a.wait(now), ShouldEqual, 0)
			now = now.Add(time.Second / 4)
			So(a.wait(now), ShouldEqual, 0)
			So(a.wait(now), ShouldEqual, time.Second/4)
			a.SetRules(&Rules{})
			So(a.wait(now), ShouldEqual, 0)
		})
		Convey("refuses addresses that are denied, also if they are allowed, and those that are not allowed", func() {
			all := func(text string) *AddressList {
				l, err := ParseAddressList(text)
				So(err, ShouldBeNil)
				return l
			}
			a.SetRules(&Rules{Allow: all("10.0.0.0/8 ::1"), Deny: all("10.1.0.0/16")})
			So(verdictOf("10.2.0.1"), ShouldEqual, admitted)
			So(verdictOf("::1"), ShouldEqual, admitted)
			So(verdictOf("10.1.0.1"), ShouldEqual, denied)
			So(verdictOf("11.0.0.1"), ShouldEqual, notAllowed)
			_, why := enter(netip.Addr{})
			So(why, ShouldEqual, admitted)
			So(a.places, ShouldEqual, 3)
			a.SetRules(&Rules{Deny: all("10.1.0.0/16")})
			So(verdictOf("11.0.0.1"), ShouldEqual, admitted)
			So(verdictOf("::ffff:10.1.0.1"), ShouldEqual, denied)
		})
	})
}

func TestAdmissionTables(t *testing.T) {
	Convey("The tables of an Admission", t, func() {
		var a Admission
		now := time.Now()
		enter := func(from netip.Addr) (place, verdict) { return a.enter(from, now) }

		Convey("have a bounded number of blocks without connections, and none that owes nothing", func() {
			const addresses = 100_000
			a.SetRules(&Rules{AddressRate: 1, AddressConnections: 10, Prefix4: 32})
			now = now.Add(time.Hour) // none of them has paid when it leaves, however long that takes
			for i := range addresses {
				p, why := enter(someone(i))
				if why != admitted || a.blocks.resting > restingMost+1 {
					So(why, ShouldEqual, admitted)
					So(a.blocks.resting, ShouldBeLessThanOrEqualTo, restingMost+1)
				}
				a.leave(p)
			}
			So(len(a.blocks.index), ShouldEqual, a.blocks.resting)
			So(a.blocks.resting, ShouldBeGreaterThan, restingMost-tidyMost)
			So(a.Memory(), ShouldBeLessThan, 4<<20)
			now = now.Add(2 * time.Second)
			for i := range restingMost {
				p, _ := enter(someone(i))
				a.leave(p)
				now = now.Add(time.Second)
			}
			So(len(a.blocks.index), ShouldBeLessThanOrEqualTo, 1+tidyMost)
		})
		Convey("have no more of them when a crowd leaves together", func() {
			a.SetRules(&Rules{AddressRate: 1, Prefix4: 32})
			now = now.Add(time.Hour) // none of them has paid when it leaves
			places := make([]place, 2*restingMost)
			for i := range places {
				places[i], _ = enter(someone(i))
			}
			for _, p := range places {
				a.leave(p)
			}
			So(a.Idle(), ShouldBeTrue)
			So(a.blocks.resting, ShouldBeBetweenOrEqual, restingMost-tidyMost, restingMost)
		})
		Convey("have a block for each of 100,000 addresses that are connected, and none once they have left", func() {
			const addresses = 100_000
			a.SetRules(&Rules{AddressConnections: 1, Prefix4: 32})
			places := make([]place, addresses)
			for i := range places {
				places[i], _ = enter(someone(i))
			}
			So(len(a.blocks.index), ShouldEqual, addresses)
			So(a.Memory(), ShouldBeLessThan, 150*addresses)
			for _, i := range []int{0, addresses / 2, addresses - 1} {
				_, why := enter(someone(i))
				So(why, ShouldEqual, tooManyOfAddress)
			}
			for _, p := range places {
				a.leave(p)
			}
			So(a.Idle(), ShouldBeTrue)
			So(a.Memory(), ShouldEqual, 0)
		})
		Convey("count right while many threads use it and its rules change", func() {
			rules := []*Rules{{}, {Connections: 50}, {AddressConnections: 3, Prefix4: 30}, {AddressRate: 1000, Prefix4: 32}, {Rate: 100, AddressRate: 9, Prefix4: 28}}
			var all sync.WaitGroup
			for thread := range 4 {
				all.Go(func() {
					var held []place
					for i := range 20_000 {
						if i%500 == 0 {
							a.SetRules(rules[(i/500+thread)%len(rules)])
						}
						if a.wait(time.Now()) == 0 && i%7 == 0 {
							a.unwait()
						}
						if p, why := a.enter(someone(i%97), time.Now()); why == admitted {
							held = append(held, p)
						}
						if len(held) > 20 || i%3 == 0 && len(held) > 0 {
							a.leave(held[0])
							held = held[1:]
						}
					}
					for _, p := range held {
						a.leave(p)
					}
				})
			}
			all.Wait()
			So(a.Idle(), ShouldBeTrue)
			So(a.blocks.resting, ShouldEqual, len(a.blocks.index))
		})
	})
}
