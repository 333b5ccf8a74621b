// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"net"
	"strings"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

func TestLinger(t *testing.T) {
	const messages, size = 200, 60_000
	// closed returns a peer that has read nothing of a closed socket's messages,
	// and the end of the context's Term.
	closed := func(linger int) (peer, chan struct{}) {
		ctx := core.NewContext()
		k := newSocket(t, ctx)
		set(t, k, sockets.OptSndBuf, 64<<10)
		unbounded(t, k) // all of it is queued before the end
		p, id := accept(t, k, bind(t, k))
		must(t, p.Conn.(*net.TCPConn).SetReadBuffer(64<<10), "SO_RCVBUF")
		for n := range messages {
			mustSend(t, k, id, pattern(size, n))
		}
		set(t, k, sockets.OptLinger, linger)
		So(k.Close(), ShouldBeNil)
		over := make(chan struct{})
		go func() {
			_ = ctx.Term()
			close(over)
		}()
		return p, over
	}
	isOver := func(over chan struct{}, limit time.Duration) bool {
		select {
		case <-over:
			return true
		case <-time.After(limit):
			return false
		}
	}
	// rest counts the whole messages that still come.
	rest := func(p peer) (n int) {
		for ; ; n++ {
			if body, err := p.body(); err != nil || body != pattern(size, n) {
				return n
			}
		}
	}
	Convey("LINGER 0 drops what is not written", t, func() {
		p, over := closed(0)
		So(isOver(over, patience), ShouldBeTrue)
		So(rest(p), ShouldBeLessThan, messages)
	})
	Convey("LINGER -1 takes as long as the peer does, and nothing is lost", t, func() {
		p, over := closed(-1)
		So(isOver(over, 50*time.Millisecond), ShouldBeFalse)
		So(rest(p), ShouldEqual, messages)
		So(isOver(over, patience), ShouldBeTrue)
	})
	Convey("LINGER 100 gives up after 100 ms", t, func() {
		start := time.Now()
		p, over := closed(100)
		So(isOver(over, patience), ShouldBeTrue)
		So(time.Since(start), ShouldBeGreaterThanOrEqualTo, 100*time.Millisecond)
		So(rest(p), ShouldBeLessThan, messages)
	})
	Convey("LINGER 60000 ends as soon as the peer has everything", t, func() {
		p, over := closed(60_000)
		So(rest(p), ShouldEqual, messages)
		So(isOver(over, patience), ShouldBeTrue)
	})
}

func TestShutdownWhileBlocked(t *testing.T) {
	pipe := func() int {
		var fds [2]int
		must(t, unix.Pipe(fds[:]), "pipe")
		t.Cleanup(func() { _, _ = unix.Close(fds[0]), unix.Close(fds[1]) })
		return fds[0]
	}
	recv := func(k *Socket) error {
		_, _, err := k.RecvFrame(nil, false)
		return err
	}
	cases := []struct {
		name    string
		prepare func(k *Socket)
		call    func(k *Socket) error
	}{
		{"Recv without an endpoint", func(*Socket) {}, recv},
		{"Recv that drives the shard", func(k *Socket) { bind(t, k) }, recv},
		{"Recv beside another socket", func(k *Socket) { bind(t, k); bind(t, newSocket(t, k.ctx)) }, recv},
		{"Poll", func(k *Socket) { bind(t, k) }, func(k *Socket) error {
			_, err := sockets.Poll([]sockets.PollItem{{Socket: k, Events: sockets.PollIn}}, -1)
			return err
		}},
		{"Poll with a descriptor", func(k *Socket) { bind(t, k) }, func(k *Socket) error {
			_, err := sockets.Poll([]sockets.PollItem{{Fd: pipe(), Events: sockets.PollIn}, {Socket: k, Events: sockets.PollIn}}, -1)
			return err
		}},
		{"Recv of a monitor", func(*Socket) {}, func(k *Socket) error {
			m, err := k.Monitor(0)
			if err != nil {
				return err
			}
			_, err = m.Recv(false)
			return err
		}},
	}
	Convey("Shutdown ends, with ETERM, a blocked", t, func() {
		for _, c := range cases {
			Convey(c.name, func() {
				ctx := newContext(t)
				k := newSocket(t, ctx)
				set(t, k, sockets.OptRcvTimeo, -1)
				c.prepare(k)
				for _, pause := range []time.Duration{30 * time.Millisecond, 0} {
					result := make(chan error, 1)
					go func() { result <- c.call(k) }()
					time.Sleep(pause) // blocked, or just about to be
					ctx.Shutdown()
					select {
					case err := <-result:
						So(err, shouldBeErrno, errno.ETERM)
					case <-time.After(patience):
						t.Fatal("still blocked")
					}
				}
			})
		}
		Convey("Send", func() {
			k, _, id, _ := stuck(t, 4, func(n int) string { return pattern(60_000, n) })
			set(t, k, sockets.OptSndTimeo, -1)
			set(t, k, sockets.OptLinger, 0)
			result := make(chan error, 1)
			go func() { result <- send(k, id, "x") }()
			eventually(t, "the sender waits", func() bool { return k.blocked.Load() == 1 })
			k.ctx.Shutdown()
			So(<-result, shouldBeErrno, errno.ETERM)
		})
	})
	Convey("After Shutdown every call but Close is ETERM", t, func() {
		ctx := newContext(t)
		k := newSocket(t, ctx)
		endpoint := bind(t, k)
		ctx.Shutdown()
		_, _, err := k.RecvFrame(nil, true)
		So(err, shouldBeErrno, errno.ETERM)
		So(k.SendFrame([]byte("x"), true, true), shouldBeErrno, errno.ETERM)
		So(k.Bind(endpoint), shouldBeErrno, errno.ETERM)
		So(k.Connect(endpoint), shouldBeErrno, errno.ETERM)
		So(k.Unbind(endpoint), shouldBeErrno, errno.ETERM)
		So(k.SetOption(sockets.OptLinger, cInt(0)), shouldBeErrno, errno.ETERM)
		_, err = k.Option(sockets.OptType, make([]byte, 4))
		So(err, shouldBeErrno, errno.ETERM)
		_, err = New(ctx)
		So(err, shouldBeErrno, errno.ETERM)
		So(k.Close(), ShouldBeNil)
	})
}

func TestReconnect(t *testing.T) {
	Convey("A lost connection is dialled again, with a new id and its own events", t, func() {
		client := newSocket(t, newContext(t))
		set(t, client, sockets.OptReconnectIvl, 5)
		server := newSocket(t, newContext(t))
		endpoint := bind(t, server)
		must(t, client.Connect(endpoint), "Connect")
		first := want(t, client, connected)
		must(t, server.Close(), "Close")
		So(want(t, client, disconnected), ShouldEqual, first)
		So(send(client, first, "x"), shouldBeErrno, errno.EHOSTUNREACH)

		again := newSocket(t, newContext(t))
		must(t, again.Bind(endpoint), "Bind")
		second := want(t, client, connected)
		So(second, ShouldNotEqual, first)
		toClient := want(t, again, connected)
		mustSend(t, client, second, "hello")
		So(want(t, again, "hello"), ShouldEqual, toClient)
	})
	Convey("A connect comes before the bind", t, func() {
		client, server := newSocket(t, newContext(t)), newSocket(t, newContext(t))
		set(t, client, sockets.OptReconnectIvl, 1)
		set(t, client, sockets.OptReconnectIvlMax, 20)
		endpoint := deadEndpoint(t)
		must(t, client.Connect(endpoint), "Connect")
		time.Sleep(30 * time.Millisecond) // several tries
		must(t, server.Bind(endpoint), "Bind")
		want(t, client, connected)
		want(t, server, connected)
	})
	Convey("RECONNECT_IVL -1 never dials again, and accepted connections are never dialled", t, func() {
		server, client, _, toServer := pair(t, newContext(t), func(_, client *Socket) { set(t, client, sockets.OptReconnectIvl, -1) })
		mustSend(t, client, toServer, disconnected)
		want(t, client, disconnected)
		want(t, server, disconnected)
		for _, k := range []*Socket{client, server} {
			set(t, k, sockets.OptRcvTimeo, 150)
			_, err := receive(k)
			So(err, shouldBeErrno, errno.EAGAIN)
		}
	})
}

func TestUnbindDisconnect(t *testing.T) {
	Convey("Unbind stops listening and leaves accepted connections alone", t, func() {
		k := newSocket(t, newContext(t))
		endpoint := bind(t, k)
		p, id := accept(t, k, endpoint)
		So(k.Unbind("tcp://127.0.0.1:1"), shouldBeErrno, errno.ENOENT)
		So(k.Unbind(endpoint), ShouldBeNil)
		So(k.Unbind(endpoint), shouldBeErrno, errno.ENOENT)
		So(k.Unbind("nonsense"), shouldBeErrno, errno.EINVAL)
		_, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "tcp://"))
		So(err, ShouldNotBeNil)
		p.send("still here")
		So(want(t, k, "still here"), ShouldEqual, id)
		So(k.Bind(endpoint), ShouldBeNil)
		accept(t, k, endpoint)
	})
	Convey("Disconnect ends the connection after what is queued", t, func() {
		server, client, toClient, toServer := pair(t, newContext(t), nil)
		body := pattern(3<<20, 1)
		mustSend(t, client, toServer, body)
		endpoint := lastEndpoint(t, client)
		So(client.Disconnect(endpoint), ShouldBeNil)
		So(client.Disconnect(endpoint), shouldBeErrno, errno.ENOENT)
		So(want(t, server, body), ShouldEqual, toClient)
		So(want(t, server, disconnected), ShouldEqual, toClient)
		So(want(t, client, disconnected), ShouldEqual, toServer)
	})
	Convey("Bind tells what is wrong", t, func() {
		k := newSocket(t, newContext(t))
		endpoint := bind(t, k)
		for text, number := range map[string]errno.Errno{endpoint: errno.EADDRINUSE, "tcp://192.0.2.1:*": errno.EADDRNOTAVAIL,
			"tcp://nosuchif0:1": errno.ENODEV, "inproc://x": errno.ENOCOMPATPROTO, "x": errno.EINVAL, "tcp://[::1]:*": errno.EINVAL} {
			err := k.Bind(text)
			So(err, shouldBeErrno, number)
			So(errno.Detail(err), ShouldNotBeEmpty)
			So(lastEndpoint(t, k), ShouldEqual, endpoint)
		}
		So(k.Connect("tcp://*:1"), shouldBeErrno, errno.EINVAL)
		So(k.Connect("tcp://127.0.0.1:0"), shouldBeErrno, errno.EINVAL)
	})
	Convey("IPv6 works when it is allowed", t, func() {
		server, client := newSocket(t, newContext(t, core.OptIPv6, 1)), newSocket(t, newContext(t, core.OptIPv6, 1))
		if err := server.Bind("tcp://[::1]:*"); err != nil {
			SkipSo(err, ShouldBeNil) // no IPv6 here
			return
		}
		must(t, client.Connect(lastEndpoint(t, server)), "Connect")
		want(t, server, connected)
		mustSend(t, client, want(t, client, connected), "six")
		want(t, server, "six")
		So(lastEndpoint(t, server), ShouldStartWith, "tcp://[::1]:")
	})
}
