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
	"github.com/zlink/zlink/core/engine"
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
				{WithReusePort(true), sockets.OptReusePort, 1},
				{WithTLSVerify(false, ""), sockets.OptTLSVerify, 0},
				{WithTLSAuthorities("ca.pem", false), sockets.OptTLSTrustSystem, 0},
				{WithTLSClientCert(true), sockets.OptTLSClientCert, 1},
				{WithMode(ModeCompat), sockets.OptMode, ModeCompat},
				{WithHeaderMax(2048), sockets.OptHeaderMax, 2048},
				{WithRecvBytes(2048), sockets.OptRecvBytes, 2048},
				{WithRateMessages(1000), sockets.OptRateMessages, 1000},
				{WithRateBytes(1 << 20), sockets.OptRateBytes, 1 << 20},
				{WithProfile(ProfilePublic), sockets.OptProfile, ProfilePublic},
				{WithRatePolicy(RateCut), sockets.OptRatePolicy, RateCut},
				{WithSendBytes(1), sockets.OptSendBytes, 1},
				{WithFullPolicy(FullCut), sockets.OptFullPolicy, FullCut},
				{WithMaxConnections(9), sockets.OptMaxConnections, 9},
				{WithAddressConnections(8), sockets.OptAddressConnections, 8},
				{WithAddressPrefix(24, 56), sockets.OptAddressPrefix4, 24},
				{WithAddressPrefix(24, 56), sockets.OptAddressPrefix6, 56},
				{WithAcceptRate(7), sockets.OptAcceptRate, 7},
				{WithAddressAcceptRate(6), sockets.OptAddressAcceptRate, 6},
				{WithHandshakes(5), sockets.OptHandshakes, 5},
				{WithHeartbeat(time.Second, time.Minute), sockets.OptHeartbeatIvl, 1000},
				{WithIdleTimeout(2 * time.Minute), sockets.OptIdleTimeout, 120_000},
				{WithFirstMessageTimeout(30 * time.Second), sockets.OptFirstMessage, 30_000},
				{WithMaxAge(time.Hour), sockets.OptMaxAge, 3_600_000},
				{WithHeartbeat(time.Second, time.Minute), sockets.OptHeartbeatTimeout, 60000},
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
				{WithAllow("10.0.0.0/8 ::1"), sockets.OptAllow, "10.0.0.0/8 ::1"},
				{WithDeny("192.0.2.1"), sockets.OptDeny, "192.0.2.1"},
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

func TestDialSettings(t *testing.T) {
	Convey("Given a server on one address of the loopback", t, func() {
		server, err := Listen("tcp://127.0.0.1:*")
		So(err, ShouldBeNil)
		Reset(func() { must(t, server.Close(), "Close") })

		Convey("a dialled peer has its name, and the client the address that the endpoint says", func() {
			client, err := Dial("tcp://127.0.0.9:0;"+server.Addr()[len("tcp://"):], WithPeerName("server"))
			So(err, ShouldBeNil)
			defer client.Close()
			eventually(t, "both know each other", func() bool {
				ours, _ := client.PeerCount()
				theirs, _ := server.PeerCount()
				return ours == 1 && theirs == 1
			})
			peers, err := client.Peers(10)
			So(err, ShouldBeNil)
			So(string(peers[0].RoutingID), ShouldEqual, "server")
			named, err := client.Peer([]byte("server"))
			So(err, ShouldBeNil)
			So(named.Remote, ShouldEqual, server.Addr())
			peers, err = server.Peers(10)
			So(err, ShouldBeNil)
			So(peers[0].Remote, ShouldStartWith, "tcp://127.0.0.9:")
		})
		Convey("an address that is not this system's is refused at once", func() {
			_, err := Dial("tcp://192.0.2.1:0;" + server.Addr()[len("tcp://"):])
			So(err, shouldBeErrno, errno.EADDRNOTAVAIL)
		})
	})
}

func TestMonitorOptions(t *testing.T) {
	Convey("Given a socket's monitor", t, func() {
		k, err := Listen("tcp://127.0.0.1:*")
		So(err, ShouldBeNil)
		m, err := k.Monitor(engine.EventListening | engine.EventAccepted)
		So(err, ShouldBeNil)
		Reset(func() {
			must(t, m.Close(), "Close")
			must(t, k.Close(), "Close")
		})
		value := func(opt sockets.Option) (int32, error) {
			var buf [4]byte
			_, err := m.Option(opt, buf[:])
			return int32(binary.NativeEndian.Uint32(buf[:])), err
		}
		set := func(opt sockets.Option, v int32) error {
			return m.SetOption(opt, binary.NativeEndian.AppendUint32(nil, uint32(v)))
		}
		Convey("its two options keep what they are set to, and refuse the rest", func() {
			for _, opt := range []sockets.Option{sockets.OptRcvTimeo, sockets.OptLinger} {
				So(set(opt, 7), ShouldBeNil)
				got, err := value(opt)
				So(err, ShouldBeNil)
				So(got, ShouldEqual, 7)
				So(set(opt, -2), shouldBeErrno, errno.EINVAL)
				So(m.SetOption(opt, []byte{1}), shouldBeErrno, errno.EINVAL)
				_, err = m.Option(opt, nil)
				So(err, shouldBeErrno, errno.EINVAL)
			}
			So(set(sockets.OptSndHwm, 1), shouldBeErrno, errno.EINVAL)
			_, err := value(sockets.OptSndHwm)
			So(err, shouldBeErrno, errno.EINVAL)
		})
		Convey("it has events to tell once somebody has connected", func() {
			before, err := value(sockets.OptEvents)
			So(err, ShouldBeNil)
			client, err := Dial(k.Addr())
			So(err, ShouldBeNil)
			defer client.Close()
			eventually(t, "the event", func() bool {
				now, err := value(sockets.OptEvents)
				return err == nil && now != before
			})
			fd, err := value(sockets.OptFd)
			So(err, ShouldBeNil)
			So(fd, ShouldBeGreaterThan, 0)
		})
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
		server, err := Listen("tcp://127.0.0.1:*", WithSendBuffer(64<<10), WithSendBytes(0), WithSendBytesTotal(0)) // all of it is queued before the end
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
