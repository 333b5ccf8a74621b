// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

// forever is the longest time over which a C program can spread ends.
const forever = math.MaxInt32 * time.Millisecond

// paced runs a pacing by a clock of its own, with a turn at each time that it asks for, and
// returns when peers ended.
func paced(p *pacing, start time.Time, peers int, meanwhile func(now time.Time, left *int)) (ends []time.Time) {
	left, now := peers, start
	for left > 0 {
		p.plan(now, left)
		if now = p.next; now.After(p.end) {
			now = p.end
		}
		for more := true; more; {
			var n int
			n, more = p.take(now, left)
			for range n {
				ends = append(ends, now)
			}
			left -= n
		}
		if meanwhile != nil {
			meanwhile(now, &left)
		}
	}
	return ends
}

func TestPacing(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	Convey("The ends of peers are spread evenly over the time", t, func() {
		for peers, spread := range map[int]time.Duration{1: time.Minute, 2: forever, 100: 10 * time.Second,
			20_000: time.Minute, 100_000: time.Second, 300: 2 * time.Millisecond} {
			end := start.Add(spread)
			ends := paced(&pacing{end: end}, start, peers, nil)
			So(ends, ShouldHaveLength, peers)
			worst := time.Duration(0) // distance from the moment of an even spread
			for i, at := range ends {
				due := start.Add(time.Duration(float64(spread) * float64(i+1) / float64(peers+1)))
				worst = max(worst, at.Sub(due).Abs())
			}
			So(worst, ShouldBeLessThan, 2*drainTick+spread/time.Duration(peers+1))
		}
	})
	Convey("Without time, or so little that no clock shows it, all end at once", t, func() {
		for _, spread := range []time.Duration{-time.Hour, 0, 1, 999} {
			So(paced(&pacing{end: start.Add(spread)}, start, 1000, nil), ShouldHaveLength, 1000)
		}
	})
	Convey("Those that come later share what is left of the time", t, func() {
		late := 10
		p := &pacing{end: start.Add(time.Minute)}
		ends := paced(p, start, 10, func(now time.Time, left *int) {
			if late > 0 && now.Sub(start) > 30*time.Second {
				*left, late = *left+late, 0
			}
		})
		So(ends, ShouldHaveLength, 20)
		for i := 1; i < len(ends); i++ {
			So(ends[i], ShouldHappenBetween, ends[i-1], p.end)
		}
	})
	Convey("A shorter time hastens, and a longer one delays nobody", t, func() {
		p := &pacing{end: start.Add(forever)}
		p.plan(start, 3)
		So(p.next, ShouldHappenAfter, start.Add(time.Hour))
		p.end = start.Add(time.Minute)
		p.plan(start, 3)
		So(p.next, ShouldHappenWithin, time.Second, start.Add(15*time.Second))
		before := p.next
		p.end = start.Add(forever)
		p.plan(start, 3)
		So(p.next, ShouldEqual, before)
	})
	Convey("Without peers the next turn is at the end of the time", t, func() {
		p := &pacing{end: start.Add(time.Minute)}
		p.plan(start, 0)
		So(p.next, ShouldEqual, p.end)
		p.plan(start, 1)
		So(p.next, ShouldEqual, start.Add(30*time.Second))
	})
}

// drainer is a socket of the mode FAST that drains, with a monitor of that.
type drainer struct {
	t testing.TB
	*Socket
	monitor *sockets.Monitor
	why     engine.Cause // of the last Disconnected
}

func newDrainer(t testing.TB, ctx *core.Context) *drainer {
	k := newFastSocket(t, ctx)
	m, err := k.Monitor(engine.EventDrained)
	must(t, err, "Monitor")
	t.Cleanup(func() { _ = m.Close() })
	return &drainer{t, k, m, engine.CauseUnknown}
}

// wantDrained receives all that comes, until the event Drained; nothing may follow. Each
// connection that came is gone by then. It returns how many came and went.
func (d *drainer) wantDrained() (came, went int) {
	d.t.Helper()
	for {
		m, err := d.Recv(context.Background())
		must(d.t, err, "Recv")
		m.Release()
		switch m.Kind {
		case Connected:
			came++
		case Disconnected:
			went++
			d.why = m.Reason()
		case Drained:
			So(m.Peer, ShouldEqual, 0)
			So(m.Body, ShouldBeEmpty)
			d.wantNothing()
			return came, went
		}
	}
}

// wantNothing: no peer is left, and nothing more comes.
func (d *drainer) wantNothing() {
	stats, err := d.Stats()
	must(d.t, err, "Stats")
	So(stats.Connections, ShouldEqual, 0)
	_, err = d.TryRecv()
	So(err, shouldBeErrno, errno.EAGAIN)
	e, err := d.monitor.Recv(true)
	So(err, ShouldBeNil)
	So(e.Kind, ShouldEqual, engine.EventDrained)
	_, err = d.monitor.Recv(true)
	So(err, shouldBeErrno, errno.EAGAIN)
	So(d.Drain(0, 0), ShouldBeNil) // once more does nothing
	_, err = d.TryRecv()
	So(err, shouldBeErrno, errno.EAGAIN)
	So(d.Bind("tcp://127.0.0.1:*"), shouldBeErrno, errno.EFSM)
	So(d.Connect("tcp://127.0.0.1:1"), shouldBeErrno, errno.EFSM)
}

func TestDrain(t *testing.T) {
	bg := context.Background()
	Convey("A socket that drains", t, func() {
		d := newDrainer(t, newContext(t))

		Convey("without endpoints has drained", func() {
			So(d.Drain(forever, 0), ShouldBeNil)
			d.wantDrained()
		})
		Convey("without peers stops listening, and has drained", func() {
			endpoint := bind(t, d.Socket)
			So(d.Drain(forever, 0), ShouldBeNil)
			d.wantDrained()
			_, err := net.Dial("tcp", endpoint[len("tcp://"):])
			So(err, ShouldNotBeNil)
			// One that was on its way between io threads comes too late.
			So(d.attach(nil, nil), shouldBeErrno, errno.EFSM)
			So(d.addPart(), ShouldBeFalse)
		})
		Convey("refuses what makes no sense, and nothing changes", func() {
			for _, code := range []int{-1, 1, 999, 1004, 1005, 1006, 1015, 2999, 5000} {
				So(d.Drain(0, code), shouldBeErrno, errno.EINVAL)
			}
			So(d.Drain(-1, 0), shouldBeErrno, errno.EINVAL)
			bind(t, d.Socket)
		})
		Convey("serves its peers until their end begins, and hastens", func() {
			endpoint := bind(t, d.Socket)
			var peers []peer
			var ids []uint32
			for range 3 {
				p, id := fastPeer(t, d.Socket, endpoint)
				peers, ids = append(peers, p), append(ids, id)
			}
			So(d.Drain(forever, 0), ShouldBeNil)
			for i, p := range peers {
				p.send("still")
				m, err := d.Recv(bg)
				So(err, ShouldBeNil)
				So(string(m.Body), ShouldEqual, "still")
				m.Release()
				So(d.Send(bg, ids[i], []byte("here")), ShouldBeNil)
				p.want("here")
			}
			end := d.drain.end
			So(d.Drain(2*forever, 0), ShouldBeNil) // a longer time changes nothing
			So(d.drain.end, ShouldEqual, end)
			count, err := d.PeerCount()
			So(err, ShouldBeNil)
			So(count, ShouldEqual, 3)
			So(d.Send(bg, ids[2], []byte("last")), ShouldBeNil)
			So(d.Drain(0, 0), ShouldBeNil)
			_, went := d.wantDrained()
			So(went, ShouldEqual, 3)
			So(d.why, ShouldEqual, engine.CauseDrained)
			peers[2].want("last")
			for _, p := range peers {
				p.wantEnd()
			}
			So(d.Send(bg, ids[0], nil), shouldBeErrno, errno.EHOSTUNREACH)
		})
		Convey("ends all peers within the time", func() {
			endpoint := bind(t, d.Socket)
			for range 5 {
				fastPeer(t, d.Socket, endpoint)
			}
			So(d.Drain(50*time.Millisecond, 0), ShouldBeNil)
			_, went := d.wantDrained()
			So(went, ShouldEqual, 5)
		})
	})
}

func TestDrainPeers(t *testing.T) {
	bg := context.Background()
	Convey("A socket that drains", t, func() {
		d := newDrainer(t, newContext(t))

		Convey("does not wait for those that go by themselves", func() {
			endpoint := bind(t, d.Socket)
			var peers []peer
			for range 10 {
				p, _ := fastPeer(t, d.Socket, endpoint)
				peers = append(peers, p)
			}
			peers[0].send("and may be answered")
			So(d.Drain(forever, 0), ShouldBeNil)
			for _, p := range peers {
				_ = p.Close()
			}
			_, went := d.wantDrained()
			So(went, ShouldEqual, 10)
			So(d.why, ShouldEqual, engine.CausePeerClosed)
		})
		Convey("resets a peer that takes nothing", func() {
			must(t, d.Set(WithCloseTimeout(100*time.Millisecond), WithSendBuffer(65536)), "Set")
			unbounded(t, d.Socket) // all of it is queued before the end
			p, id := fastPeer(t, d.Socket, bind(t, d.Socket))
			must(t, p.Conn.(*net.TCPConn).SetReadBuffer(65536), "SetReadBuffer")
			for range 400 {
				So(d.Send(bg, id, make([]byte, 30_000)), ShouldBeNil)
			}
			So(d.Drain(0, 0), ShouldBeNil)
			_, went := d.wantDrained()
			So(went, ShouldEqual, 1)
			So(d.why, ShouldEqual, engine.CauseStalled)
			stats, err := d.Stats()
			So(err, ShouldBeNil)
			So(stats.Abandoned, ShouldBeGreaterThan, 0)
		})
		Convey("writes what is queued to one that reads late", func() {
			p, id := fastPeer(t, d.Socket, bind(t, d.Socket))
			for range lateMessages {
				So(d.Send(bg, id, make([]byte, 10_000)), ShouldBeNil)
			}
			So(d.Drain(0, 0), ShouldBeNil)
			for range lateMessages {
				p.want(string(make([]byte, 10_000)))
			}
			p.wantEnd()
			d.wantDrained()
		})
		Convey("and is closed says nothing more", func() {
			p, _ := fastPeer(t, d.Socket, bind(t, d.Socket))
			So(d.Drain(forever, 0), ShouldBeNil)
			So(d.Close(), ShouldBeNil)
			So(d.drain.timer.Stop(), ShouldBeFalse) // nothing waits for the end of the time
			So(d.Drain(0, 0), shouldBeErrno, errno.ENOTSOCK)
			p.wantEnd()
			e, err := d.monitor.Recv(false)
			So(err, ShouldBeNil)
			So(e.Kind, ShouldEqual, engine.EventStopped)
		})
		Convey("and whose context is shut down can be closed", func() {
			p, _ := fastPeer(t, d.Socket, bind(t, d.Socket))
			So(d.Drain(forever, 0), ShouldBeNil)
			d.ctx.Shutdown()
			So(d.Drain(0, 0), shouldBeErrno, errno.ETERM)
			_, err := d.Recv(bg)
			So(err, shouldBeErrno, errno.ETERM)
			So(d.Close(), ShouldBeNil)
			p.wantEnd()
		})
	})
}

func TestDrainHandshakes(t *testing.T) {
	Convey("A handshake that is not over when the time is ends", t, func() {
		for _, transport := range []string{"tls", "ws", "wss", "any"} {
			for _, first := range []string{"", "G", "\x16\x03"} {
				d := newDrainer(t, newContext(t))
				newIdentity(t, "server").use(t, d.Socket)
				must(t, d.Set(WithHandshakeTimeout(0)), "Set")
				must(t, d.Bind(transport+"://127.0.0.1:*"), "Bind")
				var all []net.Conn
				for range 5 {
					c := plain(t, d.Addr())
					_, err := io.WriteString(c, first)
					must(t, err, "write")
					all = append(all, c)
				}
				So(d.Drain(0, 0), ShouldBeNil)
				came, went := d.wantDrained()
				So(fmt.Sprint(transport, came, went), ShouldEqual, fmt.Sprint(transport, 0, 0))
				for _, c := range all {
					_, err := io.Copy(io.Discard, c)
					So(err, shouldBeOver)
				}
			}
		}
	})
}

// shouldBeOver: a read ended, and not for want of patience.
func shouldBeOver(actual any, _ ...any) string {
	if err, is := actual.(net.Error); is && err.Timeout() {
		return fmt.Sprint("the stream does not end: ", err)
	}
	return ""
}

func TestDrainDialled(t *testing.T) {
	Convey("What a socket that drains has dialled is not dialled again", t, func() {
		for _, transport := range everyTransport {
			d := newDrainer(t, newContext(t))
			server := newFastSocket(t, d.ctx)
			newIdentity(t, "one").use(t, server, d.Socket)
			must(t, d.Set(WithReconnect(time.Millisecond, 0)), "Set")
			must(t, server.Bind(fresh(transport)), "Bind")
			must(t, d.Connect(lastEndpoint(t, server)), "Connect")
			m, err := d.Recv(context.Background())
			must(t, err, "Recv")
			So(m.Kind, ShouldEqual, Connected)
			So(d.Drain(0, 0), ShouldBeNil)
			_, went := d.wantDrained()
			So(went, ShouldEqual, 1)
			So(d.Disconnect(lastEndpoint(t, server)), ShouldBeNil)
			So(messagesToTheEnd(t, server), ShouldEqual, 1) // the connect event
		}
	})
	Convey("Nor is one that its peer ends during the drain", t, func() {
		d := newDrainer(t, newContext(t))
		must(t, d.Set(WithReconnect(time.Millisecond, 0)), "Set")
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err, "Listen")
		defer func() { _ = l.Close() }()
		must(t, d.Connect("tcp://"+l.Addr().String()), "Connect")
		c, err := l.Accept()
		must(t, err, "Accept")
		So(d.Drain(forever, 0), ShouldBeNil)
		must(t, c.Close(), "Close")
		came, went := d.wantDrained()
		So(came, ShouldEqual, 1)
		So(went, ShouldEqual, 1)
	})
	Convey("Dialers that have no connection end at once", t, func() {
		d := newDrainer(t, newContext(t))
		newIdentity(t, "one").use(t, d.Socket)
		must(t, d.Set(WithReconnect(time.Hour, 0), WithHandshakeTimeout(0)), "Set")
		silent, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err, "Listen")
		defer func() { _ = silent.Close() }()
		for _, endpoint := range []string{"tcp://127.0.0.1:1", "tcp://no-such-host.invalid:1",
			"wss://" + silent.Addr().String(), "tcp://192.0.2.1:1"} {
			must(t, d.Connect(endpoint), "Connect %s", endpoint)
		}
		c, err := silent.Accept() // the handshake runs
		must(t, err, "Accept")
		defer func() { _ = c.Close() }()
		So(d.Drain(forever, 0), ShouldBeNil)
		came, went := d.wantDrained()
		So(came+went, ShouldEqual, 0)
	})
}

func TestDrainCompat(t *testing.T) {
	Convey("A socket in the mode COMPAT tells its monitors", t, func() {
		k := newSocket(t, newContext(t, core.OptIOThreads, 4))
		m, err := k.Monitor(engine.EventDrained)
		must(t, err, "Monitor")
		defer func() { _ = m.Close() }()
		endpoint := bind(t, k)
		for range 20 {
			p := dial(t, endpoint)
			p.send("hello")
			id := want(t, k, connected)
			So(want(t, k, "hello"), ShouldEqual, id)
		}
		So(k.Drain(0, 0), ShouldBeNil)
		for range 20 {
			want(t, k, disconnected)
		}
		e, err := m.Recv(false)
		So(err, ShouldBeNil)
		So(e.Kind, ShouldEqual, engine.EventDrained)
		_, _, err = k.RecvFrame(nil, true)
		So(err, shouldBeErrno, errno.EAGAIN)
	})
}

// TestDrainUnderLoad: whatever happens meanwhile, each connect event has its disconnect
// event, and Drained follows them, once.
func TestDrainUnderLoad(t *testing.T) {
	Convey("Connections come, are closed and sent to while several goroutines drain", t, func() {
		for round := range 20 {
			d := newDrainer(t, newContext(t, core.OptIOThreads, 1+round%4))
			endpoint := bind(t, d.Socket)
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for range 20 {
						c, err := net.Dial("tcp", endpoint[len("tcp://"):])
						if err != nil {
							return // it has stopped listening
						}
						_, _ = c.Write(frame("hello"))
						_ = c.SetDeadline(time.Now().Add(patience))
						if round%2 == 0 {
							_ = c.Close()
						}
						all.Go(func() {
							_, err := io.Copy(io.Discard, c)
							if shouldBeOver(err) != "" {
								t.Error("a peer was not ended: ", err)
							}
							_ = c.Close()
						})
					}
				})
			}
			for i := range 3 {
				all.Go(func() {
					time.Sleep(time.Duration(round) * time.Millisecond / 4)
					if err := d.Drain(time.Duration(20*i)*time.Millisecond, 0); err != nil {
						t.Error("Drain: ", err)
					}
				})
			}
			came, went := 0, 0
			for over := false; !over; {
				m, err := d.Recv(context.Background())
				must(t, err, "Recv")
				switch m.Kind {
				case Connected:
					came++
				case Disconnected:
					went++
				case Drained:
					over = true
				default:
					_ = d.TrySend(m.Peer, m.Body)
				}
				m.Release()
			}
			all.Wait()
			So(went, ShouldEqual, came)
			d.wantNothing()
			So(d.Close(), ShouldBeNil)
		}
	})
	Convey("Sockets are closed while they drain", t, func() {
		for round := range 30 {
			ctx := newContext(t, core.OptIOThreads, 2)
			d := newDrainer(t, ctx)
			endpoint := bind(t, d.Socket)
			for range 20 {
				dial(t, endpoint)
			}
			var all sync.WaitGroup
			all.Go(func() { _ = d.Drain(time.Duration(round)*time.Millisecond/4, 0) })
			all.Go(func() {
				time.Sleep(time.Duration(round) * time.Millisecond / 5)
				if round%2 == 0 {
					ctx.Shutdown()
				}
				_ = d.Close()
			})
			all.Wait()
		}
	})
}
