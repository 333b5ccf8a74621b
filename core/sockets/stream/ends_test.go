// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
)

// lateMs is longer than any time that is built in.
const lateMs = 1500

// TestEndsLoseNothing: what was accepted before the end arrives at a peer that reads
// late and goes on sending meanwhile, over every transport.
func TestEndsLoseNothing(t *testing.T) {
	Convey("Neither end of a connection loses anything, over any transport", t, func() {
		var all []*lateReader
		for _, endpoint := range slices.Concat(everyTransport, addedTransports) {
			all = append(all, newLateReader(t, endpoint, "ClosePeer"), newLateReader(t, endpoint, "Close"))
		}
		for end := time.Now().Add(lateMs * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
			for _, r := range all {
				_ = r.client.TrySend(r.down, make([]byte, 100))
			}
		}
		for _, r := range all {
			r.read(t)
		}
	})
}

// lateReader is a client that has not read yet when the server ends the connection.
type lateReader struct {
	endpoint, how  string
	server, client *Socket
	down           uint32 // the server, to the client
}

// lateMessages are sent to a lateReader.
const lateMessages = 300

func newLateReader(t *testing.T, endpoint, how string) *lateReader {
	ctx := newContext(t)
	server, client := newSocket(t, ctx), newSocket(t, ctx)
	newIdentity(t, "one").use(t, server, client)
	// Of many that are read one after the other the last ones take nothing for long.
	must(t, server.Set(WithMode(ModeFast), WithCloseTimeout(4*patience)), "mode")
	must(t, client.Set(WithMode(ModeFast), WithRecvHWM(1), WithRecvBuffer(8192)), "mode")
	must(t, server.Bind(fresh(endpoint)), "Bind")
	must(t, client.Connect(lastEndpoint(t, server)), "Connect")
	up, err := server.Recv(context.Background())
	must(t, err, "Recv")
	down, err := client.Recv(context.Background())
	must(t, err, "Recv")
	body := make([]byte, 10_000)
	for range lateMessages {
		must(t, server.Send(context.Background(), up.Peer, body), "Send")
	}
	if how == "Close" {
		must(t, server.Close(), "Close")
	} else {
		must(t, server.ClosePeer(up.Peer), "ClosePeer")
	}
	return &lateReader{endpoint, how, server, client, down.Peer}
}

// read checks that everything comes, and that nothing is left of the connection.
func (r *lateReader) read(t *testing.T) {
	name := r.how + " over " + r.endpoint
	So(fmt.Sprint(name, ": ", messagesToTheEnd(t, r.client)), ShouldEqual, fmt.Sprint(name, ": ", lateMessages))
	if r.how == "ClosePeer" {
		messagesToTheEnd(t, r.server)
		stats, err := r.server.Stats()
		So(err, ShouldBeNil)
		So(stats.Abandoned, ShouldEqual, 0)
		So(stats.Connections, ShouldEqual, 0)
	}
}

// messagesToTheEnd counts the messages in front of the disconnect event.
func messagesToTheEnd(t *testing.T, k *Socket) (n int) {
	for {
		m, err := k.Recv(context.Background())
		must(t, err, "Recv after %d messages", n)
		m.Release()
		if m.Kind == Disconnected {
			return n
		}
		n++
	}
}

// TestAbandoned: of a peer that never reads, the messages that its system did not
// take are counted, whatever their sizes.
func TestAbandoned(t *testing.T) {
	for name, size := range map[string]func(i int) int{
		"of one size":    func(int) int { return 3000 },
		"of a few sizes": func(i int) int { return 1000 + 5000*(i%3) },
		"of many sizes":  func(i int) int { return 20_000 + i*7919%30_000 },
		"that are long":  func(int) int { return 300_000 },
	} {
		Convey("Messages "+name, t, func() {
			k := newSocket(t, newContext(t))
			must(t, k.Set(WithMode(ModeFast), WithCloseTimeout(300*time.Millisecond), WithSendBuffer(65536)), "Set")
			unbounded(t, k) // all of it is queued before the end
			p := dial(t, bind(t, k))
			must(t, p.Conn.(*net.TCPConn).SetReadBuffer(65536), "SetReadBuffer")
			up, err := k.Recv(context.Background())
			must(t, err, "Recv")
			sent, ends := 0, []int{}
			for i := range 400 {
				body := make([]byte, size(i))
				must(t, k.Send(context.Background(), up.Peer, body), "Send")
				sent += 4 + len(body)
				ends = append(ends, sent)
			}
			must(t, k.ClosePeer(up.Peer), "ClosePeer")
			m, err := k.Recv(context.Background())
			So(err, ShouldBeNil)
			So(m.Kind, ShouldEqual, Disconnected)
			stats, err := k.Stats()
			So(err, ShouldBeNil)

			arrived, buf := 0, make([]byte, 1<<20)
			for {
				n, err := p.Read(buf)
				if arrived += n; err != nil {
					break // the reset
				}
			}
			whole := 0
			for whole < len(ends) && ends[whole] <= arrived {
				whole++
			}
			So(whole, ShouldBeLessThan, len(ends))
			So(int(stats.Abandoned), ShouldEqual, len(ends)-whole)
		})
	}
}

func TestAbortPeer(t *testing.T) {
	Convey("A connection that is aborted", t, func() {
		k := newSocket(t, newContext(t))
		must(t, k.Set(WithMode(ModeFast), WithCloseTimeout(-1)), "Set")
		unbounded(t, k) // all of it is queued before the end
		p := dial(t, bind(t, k))
		up, err := k.Recv(context.Background())
		must(t, err, "Recv")
		for range 400 {
			must(t, k.Send(context.Background(), up.Peer, make([]byte, 60_000)), "Send")
		}
		for _, closing := range []bool{false, true} {
			Convey(fmt.Sprintf("is over at once, while it closes: %v", closing), func() {
				if closing {
					must(t, k.ClosePeer(up.Peer), "ClosePeer")
				}
				So(k.AbortPeer(up.Peer), ShouldBeNil)
				m, err := k.Recv(context.Background())
				So(err, ShouldBeNil)
				So(m.Kind, ShouldEqual, Disconnected)
				stats, err := k.Stats()
				So(err, ShouldBeNil)
				So(stats.Connections, ShouldEqual, 0)
				So(stats.Abandoned, ShouldBeGreaterThan, 0)
				So(errno.Of(k.AbortPeer(up.Peer)), ShouldEqual, errno.EHOSTUNREACH)
			})
		}
		_ = p.Close()
	})
}
