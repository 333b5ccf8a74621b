// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"fmt"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sys"
)

// TestCausesKeepTheirOrder: which of two causes a connection tells.
func TestCausesKeepTheirOrder(t *testing.T) {
	Convey("The first cause stays, unless an order turns into something harsher before it is told", t, func() {
		for first := CausePeerClosed; first <= CauseUndecided; first++ {
			for then := CausePeerClosed; then <= CauseUndecided; then++ {
				for _, announced := range []bool{false, true} {
					c := &Conn{announced: announced}
					c.because(first)
					c.because(then)
					ordered := first == CauseClosedHere || first == CauseDrained || first == CauseContext
					harsher := then == CauseAbortedHere || then == CauseStalled
					expected := first
					if ordered && harsher && !announced {
						expected = then
					}
					So(fmt.Sprint(first, ", then ", then, ": ", c.Cause()), ShouldEqual, fmt.Sprint(first, ", then ", then, ": ", expected))
				}
			}
		}
	})
}

// refusing is an owner that takes no connections.
type refusing struct {
	*ownerStub
	err    error
	closed bool
	counts map[Cause]int
	events []Event
}

func (o *refusing) Attach(*Conn, []byte) error { return o.err }
func (o *refusing) Enter() bool                { return false }
func (o *refusing) Closed() bool               { return o.closed }
func (o *refusing) TurnedAway(why Cause)       { o.counts[why]++ }
func (o *refusing) Observed() bool             { return true }
func (o *refusing) Observe(e Event)            { o.events = append(o.events, e) }

// TestConnectionsThatAreNotTaken: they are counted and told of, unless nobody asks any more.
func TestConnectionsThatAreNotTaken(t *testing.T) {
	for _, c := range []struct {
		err    error
		closed bool
		scheme *endpoint.Scheme
		counts map[Cause]int
	}{
		{errno.ENOMEM, false, endpoint.IPC, map[Cause]int{CauseNoMemory: 1}},
		{errno.EFSM, false, endpoint.IPC, map[Cause]int{CauseDrained: 1}},
		{errno.ENOTSOCK, true, endpoint.IPC, map[Cause]int{}},
		{nil, false, endpoint.TLS, map[Cause]int{CauseDrained: 1}},
		{nil, true, endpoint.TLS, map[Cause]int{}},
	} {
		Convey(fmt.Sprint("Over ", c.scheme.Name, ", closed: ", c.closed, ", because of ", c.err), t, func() {
			g := newStage(t)
			o := &refusing{ownerStub: g.owner, err: c.err, closed: c.closed, counts: map[Cause]int{}}
			from := newOrigin(o, &Transport{Endpoint: endpoint.Endpoint{Scheme: c.scheme}}, Limits{}, nil)
			ours, theirs := g.pair()
			g.sh.conns.Add(1)
			g.sh.welcome(arrival{origin: &from, fd: ours})
			So(g.sh.conns.Load(), ShouldEqual, 0)
			So(o.counts, ShouldResemble, c.counts)
			So(len(o.events), ShouldEqual, len(c.counts))
			for _, e := range o.events {
				So(e.Kind, ShouldEqual, EventDisconnected)
				So(o.counts[e.Cause], ShouldEqual, 1)
			}
			n, e := sys.Recv(theirs, make([]byte, 1))
			So(fmt.Sprint(n, e), ShouldEqual, fmt.Sprint(0, sys.Errno(0)))
		})
	}
}
