// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

func TestPoll(t *testing.T) {
	Convey("Poll", t, func() {
		ctx := newContext(t)
		server, client, toClient, toServer := pair(t, ctx, nil)
		var fds [2]int
		must(t, unix.Pipe2(fds[:], unix.O_CLOEXEC), "pipe")
		Reset(func() { _, _ = unix.Close(fds[0]), unix.Close(fds[1]) })
		items := []sockets.PollItem{
			{Socket: server, Events: sockets.PollIn},
			{Fd: fds[0], Events: sockets.PollIn},
			{Socket: client, Events: sockets.PollIn},
		}
		poll := func(timeout time.Duration) (ready int, revents []int16) {
			n, err := sockets.Poll(items, timeout)
			So(err, ShouldBeNil)
			for _, item := range items {
				revents = append(revents, item.Revents)
			}
			return n, revents
		}
		write := func() {
			_, err := unix.Write(fds[1], []byte("x"))
			must(t, err, "write")
		}

		Convey("finds nothing, at once or after its timeout", func() {
			for _, timeout := range []time.Duration{0, 30 * time.Millisecond} {
				start := time.Now()
				n, revents := poll(timeout)
				So(n, ShouldEqual, 0)
				So(revents, ShouldResemble, []int16{0, 0, 0})
				So(time.Since(start), ShouldBeGreaterThanOrEqualTo, timeout)
				So(time.Since(start), ShouldBeLessThan, patience)
			}
		})
		Convey("finds what is there", func() {
			mustSend(t, client, toServer, "x")
			n, revents := poll(-1)
			So(n, ShouldEqual, 1)
			So(revents, ShouldResemble, []int16{sockets.PollIn, 0, 0})
			write()
			mustSend(t, server, toClient, "x")
			eventually(t, "all are ready", func() bool { n, _ := poll(0); return n == 3 })
			want(t, server, "x")
			_, revents = poll(-1)
			So(revents, ShouldResemble, []int16{0, sockets.PollIn, sockets.PollIn})
		})
		Convey("says a socket is readable between the two frames", func() {
			mustSend(t, client, toServer, "x")
			_, _, err := server.RecvFrame(nil, false)
			must(t, err, "Recv")
			_, revents := poll(0)
			So(revents[0], ShouldEqual, sockets.PollIn)
		})
		Convey("says a socket is always writable", func() {
			items[0].Events = sockets.PollIn | sockets.PollOut
			n, revents := poll(-1)
			So(n, ShouldEqual, 1)
			So(revents, ShouldResemble, []int16{sockets.PollOut, 0, 0})
		})
		Convey("is woken by a message, and by a descriptor", func() {
			for _, wake := range []func(){func() { mustSend(t, client, toServer, "x") }, write} {
				done := make(chan int, 1)
				go func() {
					n, _ := sockets.Poll(items[:2], -1)
					done <- n
				}()
				select {
				case <-done:
					t.Fatal("nothing is there yet")
				case <-time.After(20 * time.Millisecond):
				}
				wake()
				n := 0
				within(t, patience, "Poll", func() { n = <-done })
				So(n, ShouldEqual, 1)
				if items[0].Revents != 0 {
					want(t, server, "x")
				}
			}
		})
		Convey("reports errors of descriptors", func() {
			_ = unix.Close(fds[1])
			_, revents := poll(-1)
			So(revents[1], ShouldEqual, sockets.PollErr) // POLLHUP
			n, err := sockets.Poll([]sockets.PollItem{{Fd: 19_999, Events: sockets.PollIn}}, -1)
			So(err, ShouldBeNil)
			So(n, ShouldEqual, 1)
		})
		Convey("refuses a closed socket", func() {
			must(t, client.Close(), "Close")
			_, err := sockets.Poll(items, 0)
			So(err, shouldBeErrno, errno.ENOTSOCK)
		})
		Convey("waits for nothing but its timeout when it has no items", func() {
			n, err := sockets.Poll(nil, time.Millisecond)
			So(n, ShouldEqual, 0)
			So(err, ShouldBeNil)
		})
	})
}

func TestPollManySockets(t *testing.T) {
	Convey("Poll over many sockets finds every message", t, func() {
		const clients, rounds = 200, 20
		ctx := newContext(t)
		server := newSocket(t, ctx)
		endpoint := bind(t, server)
		var items []sockets.PollItem
		toClient := make([]string, clients)
		for i := range clients {
			k := newSocket(t, ctx)
			must(t, k.Connect(endpoint), "Connect")
			toClient[i] = want(t, server, connected)
			want(t, k, connected)
			items = append(items, sockets.PollItem{Socket: k, Events: sockets.PollIn})
		}
		for round := range rounds {
			i := round * 37 % clients
			sent := make(chan error, 1) // one sends at a time
			go func() { sent <- send(server, toClient[i], "ping") }()
			n, err := sockets.Poll(items, patience)
			So(err, ShouldBeNil)
			So(n, ShouldEqual, 1)
			So(items[i].Revents, ShouldEqual, sockets.PollIn)
			want(t, items[i].Socket.(*Socket), "ping")
			So(<-sent, ShouldBeNil)
		}
	})
}

// readable waits with an ordinary poll.
func readable(fd int, timeout time.Duration) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(timeout/time.Millisecond))
	for err == unix.EINTR {
		n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(timeout/time.Millisecond))
	}
	return err == nil && n == 1
}

func TestFd(t *testing.T) {
	Convey("FD", t, func() {
		server, client, toClient, toServer := pair(t, newContext(t), nil)
		So(server.fd, ShouldBeNil) // none before the first request
		fd := getInt(t, server, sockets.OptFd)
		So(getInt(t, server, sockets.OptFd), ShouldEqual, fd)

		Convey("is quiet when nothing is there", func() {
			So(getInt(t, server, sockets.OptEvents), ShouldEqual, sockets.PollOut)
			So(readable(fd, 0), ShouldBeFalse)
		})
		Convey("becomes readable with a message, and EVENTS shows it until it is received", func() {
			So(getInt(t, server, sockets.OptEvents), ShouldEqual, sockets.PollOut)
			mustSend(t, client, toServer, "x")
			So(readable(fd, patience), ShouldBeTrue)
			for range 3 {
				So(getInt(t, server, sockets.OptEvents), ShouldEqual, sockets.PollIn|sockets.PollOut)
			}
			So(want(t, server, "x"), ShouldEqual, toClient)
			So(getInt(t, server, sockets.OptEvents), ShouldEqual, sockets.PollOut)
			So(readable(fd, 0), ShouldBeFalse)
		})
		Convey("is readable at once when a message was there before the request", func() {
			mustSend(t, server, toClient, "x")
			eventually(t, "the message is there", func() bool {
				n, _ := sockets.Poll([]sockets.PollItem{{Socket: client, Events: sockets.PollIn}}, 0)
				return n == 1
			})
			So(readable(getInt(t, client, sockets.OptFd), 0), ShouldBeTrue)
		})
		Convey("is closed with the socket", func() {
			must(t, server.Close(), "Close")
			_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			So(err, ShouldEqual, unix.EBADF)
		})
	})
}

// TestFdStress has clients that wait for each answer, so that every message has
// to end a sleep of the server's own loop.
func TestFdStress(t *testing.T) {
	const clients, rounds = 3, 1500
	k := newSocket(t, newContext(t))
	endpoint := bind(t, k)
	fd := getInt(t, k, sockets.OptFd)
	for c := range clients {
		p := dial(t, endpoint)
		go func() {
			for n := range rounds {
				for range 1 + n%3 {
					if _, err := p.Write(frame(pattern(1+n%2000, n+c) + "!")); err != nil {
						return
					}
				}
				for range 1 + n%3 {
					if body, err := p.body(); err != nil || body != pattern(1+n%2000, n+c)+"!" {
						return
					}
				}
				if n%100 == c {
					time.Sleep(3 * time.Millisecond) // the shard's thread takes over
				}
			}
		}()
	}
	got := 0
	for got < clients*rounds*2 {
		if !readable(fd, patience) {
			t.Fatalf("missed a message after %d", got)
		}
		for getInt(t, k, sockets.OptEvents)&sockets.PollIn != 0 {
			m, err := receive(k)
			must(t, err, "receive")
			if !isEvent(m.body) {
				got++
				must(t, send(k, m.id, m.body), "send")
			}
		}
	}
	Convey("An ordinary loop over FD and EVENTS missed no message", t, func() { So(got, ShouldEqual, clients*rounds*2) })
}
