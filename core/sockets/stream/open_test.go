// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"syscall"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

func TestSettings(t *testing.T) {
	Convey("Given a socket", t, func() {
		k, err := Open()
		So(err, ShouldBeNil)
		Reset(func() { _ = k.Close() })
		So(getInt(t, k, sockets.OptMode), ShouldEqual, ModeFast)

		Convey("settings change the options that they stand for", func() {
			ints := []struct {
				setting Setting
				opt     sockets.Option
				want    int
			}{
				{WithSendHWM(7), sockets.OptSndHwm, 7},
				{WithRecvHWM(8), sockets.OptRcvHwm, 8},
				{WithLinger(1500 * time.Microsecond), sockets.OptLinger, 2},
				{WithLinger(-1), sockets.OptLinger, -1},
				{WithRecvTimeout(time.Second), sockets.OptRcvTimeo, 1000},
				{WithSendTimeout(0), sockets.OptSndTimeo, 0},
				{WithSendBuffer(4096), sockets.OptSndBuf, 4096},
				{WithRecvBuffer(8192), sockets.OptRcvBuf, 8192},
				{WithBacklog(5), sockets.OptBacklog, 5},
				{WithReconnect(time.Second, time.Minute), sockets.OptReconnectIvl, 1000},
				{WithReconnect(time.Second, time.Minute), sockets.OptReconnectIvlMax, 60000},
				{WithConnectTimeout(time.Second), sockets.OptConnectTimeout, 1000},
				{WithHandshakeTimeout(time.Second), sockets.OptHandshakeIvl, 1000},
				{WithKeepAlive(time.Minute, 1500*time.Millisecond, 4), sockets.OptKeepAlive, 1},
				{WithKeepAlive(time.Minute, 1500*time.Millisecond, 4), sockets.OptKeepAliveIdle, 60},
				{WithKeepAlive(time.Minute, 1500*time.Millisecond, 4), sockets.OptKeepAliveIntvl, 2},
				{WithKeepAlive(time.Minute, 1500*time.Millisecond, 4), sockets.OptKeepAliveCnt, 4},
				{WithUserTimeout(time.Second), sockets.OptMaxRT, 1000},
				{WithTOS(16), sockets.OptTOS, 16},
				{WithIPv6(true), sockets.OptIPv6, 1},
				{WithListener(3), sockets.OptUseFd, 3},
				{WithTLSVerify(false, ""), sockets.OptTLSVerify, 0},
				{WithTLSAuthorities("ca.pem", false), sockets.OptTLSTrustSystem, 0},
				{WithTLSClientCert(true), sockets.OptTLSClientCert, 1},
				{WithMode(ModeCompat), sockets.OptMode, ModeCompat},
			}
			for _, c := range ints {
				So(k.Set(c.setting), ShouldBeNil)
				So(getInt(t, k, c.opt), ShouldEqual, c.want)
			}
			texts := []struct {
				setting Setting
				opt     sockets.Option
				want    string
			}{
				{WithDevice("lo"), sockets.OptBindToDevice, "lo"},
				{WithTLSKeyPair("c.pem", "k.pem"), sockets.OptTLSCert, "c.pem"},
				{WithTLSKeyPair("c.pem", "k.pem"), sockets.OptTLSKey, "k.pem"},
				{WithTLSPassword("secret"), sockets.OptTLSPassword, "secret"},
				{WithTLSCiphers("DEFAULT:AES128-SHA"), sockets.OptTLSCiphers, "DEFAULT:AES128-SHA"},
				{WithTLSAuthorities("ca.pem", true), sockets.OptTLSCA, "ca.pem"},
				{WithTLSVerify(true, "name"), sockets.OptTLSHostname, "name"},
			}
			for _, c := range texts {
				So(k.Set(c.setting), ShouldBeNil)
				got, err := get(k, c.opt)
				So(err, ShouldBeNil)
				So(got, ShouldEqual, c.want+"\x00")
			}
			So(k.Set(WithMaxMessageSize(-1), WithAffinity(1), WithMaxMessageSize(1<<40)), ShouldBeNil)
			var size [8]byte
			_, err := k.Option(sockets.OptMaxMsgSize, size[:])
			So(err, ShouldBeNil)
			So(binary.NativeEndian.Uint64(size[:]), ShouldEqual, uint64(1<<40))
		})
		Convey("a value that does not fit is refused, and those before it are set", func() {
			err := k.Set(WithTOS(1), WithSendHWM(-1), WithTOS(2))
			So(err, shouldBeErrno, errno.EINVAL)
			So(errors.Is(err, syscall.EINVAL), ShouldBeTrue)
			So(getInt(t, k, sockets.OptTOS), ShouldEqual, 1)
			So(k.Set(WithSendHWM(1<<40)), shouldBeErrno, errno.EINVAL)
		})
	})
	Convey("A bad setting or endpoint leaves no socket behind", t, func() {
		c := core.NewContext()
		So(c.Set(core.OptMaxSockets, 1), ShouldBeNil)
		_, err := Listen("nonsense", InContext(c))
		So(err, shouldBeErrno, errno.EINVAL)
		_, err = Dial("tcp://127.0.0.1:1", InContext(c), WithTOS(-1))
		So(err, shouldBeErrno, errno.EINVAL)
		k, err := Listen("tcp://127.0.0.1:*", InContext(c))
		So(err, ShouldBeNil)
		_, err = Open(InContext(c))
		So(err, shouldBeErrno, errno.EMFILE)
		must(t, k.Close(), "Close")
		within(t, patience, "Term", func() { err = c.Term() })
		So(err, ShouldBeNil)
	})
}

func TestSendOwned(t *testing.T) {
	Convey("Given a server and a client", t, func() {
		ctx := context.Background()
		server, err := Listen("tcp://127.0.0.1:*", WithSendHWM(1))
		So(err, ShouldBeNil)
		client, err := Dial(server.Addr())
		So(err, ShouldBeNil)
		Reset(func() {
			_ = server.Close()
			_ = client.Close()
		})
		hello, err := server.Recv(ctx)
		So(err, ShouldBeNil)
		_, err = client.Recv(ctx)
		So(err, ShouldBeNil)

		Convey("done is called once for each body, whatever its size, when it has gone", func() {
			for _, size := range []int{0, 1, 100_000, 3_000_000} {
				done := make(chan struct{}, 2)
				body := make([]byte, size)
				So(server.SendOwned(ctx, hello.Peer, body, func() { done <- struct{}{} }), ShouldBeNil)
				m, err := client.Recv(ctx)
				So(err, ShouldBeNil)
				So(len(m.Body), ShouldEqual, size)
				m.Release()
				within(t, patience, "done", func() { <-done })
				So(len(done), ShouldEqual, 0)
			}
		})
		Convey("done is not called for a body that is refused", func() {
			called := false
			err := server.SendOwned(ctx, hello.Peer+1, []byte("x"), func() { called = true })
			So(err, shouldBeErrno, errno.EHOSTUNREACH)
			So(called, ShouldBeFalse)
		})
	})
}

func TestShutdown(t *testing.T) {
	Convey("Given a peer that does not read", t, func() {
		ctx := context.Background()
		server, err := Listen("tcp://127.0.0.1:*", WithSendBuffer(64<<10))
		So(err, ShouldBeNil)
		p := dial(t, server.Addr())
		Reset(func() { _ = p.Close() })
		hello, err := server.Recv(ctx)
		So(err, ShouldBeNil)
		for range 200 {
			must(t, server.Send(ctx, hello.Peer, make([]byte, 100_000)), "Send")
		}
		Convey("Shutdown waits as long as its context allows", func() {
			short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			defer cancel()
			So(server.Shutdown(short), ShouldEqual, context.DeadlineExceeded)
			So(server.Shutdown(ctx), shouldBeErrno, errno.ENOTSOCK)
		})
		Convey("Shutdown ends when the peer has gone", func() {
			done := make(chan error, 1)
			go func() { done <- server.Shutdown(ctx) }()
			time.Sleep(20 * time.Millisecond)
			So(len(done), ShouldEqual, 0)
			must(t, p.Close(), "close")
			within(t, patience, "Shutdown", func() { err = <-done })
			So(err, ShouldBeNil)
		})
	})
}
