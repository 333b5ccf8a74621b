// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"encoding/binary"
	"fmt"
	"net"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

// stuck returns a socket with SNDHWM hwm and a peer that reads nothing, whose
// queue is full after `queued` messages.
func stuck(t testing.TB, hwm int, body func(n int) string) (k *Socket, p peer, id string, queued int) {
	t.Helper()
	k = newSocket(t, newContext(t))
	set(t, k, sockets.OptSndHwm, hwm)
	set(t, k, sockets.OptSndBuf, 64<<10)
	p, id = accept(t, k, bind(t, k))
	must(t, p.Conn.(*net.TCPConn).SetReadBuffer(16<<10), "SO_RCVBUF")
	for full := 0; queued < 10_000; {
		err := k.SendFrame([]byte(id), true, true)
		if err == nil {
			err = k.SendFrame([]byte(body(queued)), false, true)
		}
		if err == nil {
			queued, full = queued+1, 0
			continue
		}
		So(err, shouldBeErrno, errno.EAGAIN)
		if full++; full == 10 { // the kernel takes nothing any more
			return k, p, id, queued
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the queue does not fill")
	return
}

func TestSndHwm(t *testing.T) {
	body := func(n int) string { return pattern(60_000, n) }
	Convey("At SNDHWM", t, func() {
		k, p, id, queued := stuck(t, 10, body)

		Convey("a send without wait is EAGAIN on whichever call finds out, and nothing is lost", func() {
			So(k.SendFrame([]byte(id), true, true), shouldBeErrno, errno.EAGAIN)
			So(k.SendFrame([]byte(id), true, false), ShouldBeNil)
			So(k.SendFrame([]byte("body"), false, true), shouldBeErrno, errno.EAGAIN)
			Convey("and the body alone may be sent again", func() {
				set(t, k, sockets.OptSndTimeo, 1)
				So(k.SendFrame([]byte("body"), false, false), shouldBeErrno, errno.EAGAIN)
				for n := range queued {
					p.want(body(n))
				}
				So(k.SendFrame([]byte("body"), false, false), ShouldBeNil)
				p.want("body")
			})
			Convey("or the whole message", func() {
				for n := range queued {
					p.want(body(n))
				}
				mustSend(t, k, id, "whole")
				p.want("whole")
			})
		})
		Convey("a send waits for SNDTIMEO, which applies at once", func() {
			for _, ms := range []int{0, 30} {
				set(t, k, sockets.OptSndTimeo, ms)
				start := time.Now()
				So(send(k, id, "x"), shouldBeErrno, errno.EAGAIN)
				So(time.Since(start), ShouldBeGreaterThanOrEqualTo, time.Duration(ms)*time.Millisecond)
				So(time.Since(start), ShouldBeLessThan, patience)
			}
		})
		Convey("a send goes on when the peer reads", func() {
			sent := make(chan error, 1)
			go func() { sent <- send(k, id, "at last") }()
			for n := range queued {
				p.want(body(n))
			}
			So(<-sent, ShouldBeNil)
			p.want("at last")
		})
		Convey("a send ends when the peer goes", func() {
			sent := make(chan error, 1)
			go func() { sent <- send(k, id, "never") }()
			eventually(t, "the sender waits", func() bool { return k.blocked.Load() == 1 })
			must(t, p.Close(), "close")
			So(<-sent, shouldBeErrno, errno.EHOSTUNREACH)
		})
		Convey("another peer is not affected", func() {
			other, otherID := accept(t, k, lastEndpoint(t, k))
			mustSend(t, k, otherID, "hello")
			other.want("hello")
		})
	})
}

func TestRcvHwm(t *testing.T) {
	Convey("RCVHWM", t, func() {
		for _, c := range []struct{ hwm, messages, size int }{
			{1, 300, 10}, {1, 10, 200_000}, {2, 300, 3000}, {5, 2000, 0}, {7, 200, 20_000}, {300, 3000, 100}, {3, 5, 1_500_000},
		} {
			Convey(fmt.Sprintf("%d keeps %d messages of %d bytes back, and loses none", c.hwm, c.messages, c.size), func() {
				k := newSocket(t, newContext(t))
				set(t, k, sockets.OptRcvHwm, c.hwm)
				p, id := accept(t, k, bind(t, k))
				body := func(n int) string { return fmt.Sprint(n, ":") + pattern(c.size, n) }
				go func() {
					for n := range c.messages {
						if _, err := p.Write(frame(body(n))); err != nil {
							return
						}
					}
					_ = p.Close()
				}()
				conn := connOf(k)
				eventually(t, "the mark is reached", func() bool {
					return int(conn.Shared.RxMsgs()) >= min(c.hwm, c.messages) ||
						k.shared.RxWaiting.Load() > 1<<20
				})
				most := 0
				for n := range c.messages {
					if n < c.messages/2 {
						most = max(most, int(conn.Shared.RxMsgs()))
					}
					if want(t, k, body(n)) != id {
						t.Fatal("another id")
					}
				}
				So(most, ShouldBeLessThanOrEqualTo, c.hwm)
				So(want(t, k, disconnected), ShouldEqual, id)
			})
		}
	})
}

func TestThrottle(t *testing.T) {
	Convey("What is not received waits in the kernel, not in memory", t, func() {
		const messages, size = 600, 50_000
		k := newSocket(t, newContext(t))
		endpoint := bind(t, k)
		var peers []peer
		whole := map[string]int{}
		for range 3 {
			p, id := accept(t, k, endpoint)
			peers = append(peers, p)
			whole[id] = messages
		}
		for _, p := range peers {
			go func() {
				for n := range messages {
					if _, err := p.Write(frame(pattern(size, n))); err != nil {
						return
					}
				}
			}()
		}
		eventually(t, "the socket is throttled", func() bool { return k.shared.RxThrottled.Load() == 1 })
		So(k.shared.RxWaiting.Load(), ShouldBeBetween, 1<<20-1, 3<<19)
		next := map[string]int{}
		for range 3 * messages {
			m, err := receive(k)
			must(t, err, "receive")
			if m.body != pattern(size, next[m.id]) {
				t.Fatalf("peer %x: not message %d", m.id, next[m.id])
			}
			next[m.id]++
		}
		So(next, ShouldResemble, whole)
	})
}

func TestMaxMsgSize(t *testing.T) {
	Convey("MAXMSGSIZE", t, func() {
		k := newSocket(t, newContext(t))
		setInt64(t, k, sockets.OptMaxMsgSize, 1000)
		p, id := accept(t, k, bind(t, k))
		Convey("lets bodies of that length through", func() {
			p.send(pattern(1000, 1))
			So(want(t, k, pattern(1000, 1)), ShouldEqual, id)
		})
		Convey("cuts the connection at the length of a longer one, after what came before", func() {
			p.write(append(frame("before"), binary.BigEndian.AppendUint32(nil, 1001)...))
			So(want(t, k, "before"), ShouldEqual, id)
			So(want(t, k, disconnected), ShouldEqual, id)
			p.wantEnd()
		})
		Convey("does not limit what is sent", func() {
			mustSend(t, k, id, pattern(5000, 1))
			p.want(pattern(5000, 1))
		})
	})
	Convey("MAXMSGSIZE 0 takes empty bodies only", t, func() {
		k := newSocket(t, newContext(t))
		setInt64(t, k, sockets.OptMaxMsgSize, 0)
		p, id := accept(t, k, bind(t, k))
		p.send("", "x")
		So(want(t, k, ""), ShouldEqual, id)
		So(want(t, k, disconnected), ShouldEqual, id)
	})
	Convey("A length alone takes no memory, and the end of its connection frees what there is", t, func() {
		k := newSocket(t, newContext(t))
		p, id := accept(t, k, bind(t, k))
		p.write([]byte{255, 255, 255, 255, 1, 2, 3})
		eventually(t, "the frame has begun", func() bool { return onDriver(t, k, func() bool { return bigSlab(k) > 0 }) })
		So(onDriver(t, k, func() bool { return bigSlab(k) < 4<<20 }), ShouldBeTrue)
		must(t, p.Close(), "close")
		So(want(t, k, disconnected), ShouldEqual, id)
	})
}

func TestRcvTimeo(t *testing.T) {
	Convey("A receive without a message", t, func() {
		k := newSocket(t, newContext(t))
		for _, name := range []string{"of a socket without an endpoint", "of a bound socket", "of one of two sockets on a shard"} {
			Convey(name, func() {
				if name != "of a socket without an endpoint" {
					bind(t, k)
				}
				if name == "of one of two sockets on a shard" {
					bind(t, newSocket(t, k.ctx))
				}
				_, _, err := k.RecvFrame(nil, true)
				So(err, shouldBeErrno, errno.EAGAIN)
				for _, ms := range []int{0, 30} {
					set(t, k, sockets.OptRcvTimeo, ms)
					start := time.Now()
					_, _, err := k.RecvFrame(nil, false)
					So(err, shouldBeErrno, errno.EAGAIN)
					So(time.Since(start), ShouldBeGreaterThanOrEqualTo, time.Duration(ms)*time.Millisecond)
					So(time.Since(start), ShouldBeLessThan, patience)
				}
			})
		}
	})
}
