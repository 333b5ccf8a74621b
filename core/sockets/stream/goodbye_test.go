// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"
)

// ending is a way in which a server ends a WebSocket connection.
type ending struct {
	code  ws.StatusCode
	wrong []byte                       // what the peer does wrong
	end   func(k *Socket, peer uint32) // what the application does; nil: nothing
}

func closePeer(k *Socket, peer uint32) { So(k.ClosePeer(peer), ShouldBeNil) }

// tooLong is the length of a message above MAXMSGSIZE.
var tooLong = []byte{0, 32, 0, 0}

var endings = []ending{
	{1000, nil, closePeer},
	{1000, masked(ws.NewTextFrame([]byte("wrong"))), closePeer}, // while the connection ends
	{1001, nil, func(k *Socket, _ uint32) { So(k.Close(), ShouldBeNil) }},
	{1008, nil, func(k *Socket, peer uint32) { So(k.ClosePeerWith(peer, 1008, "no"), ShouldBeNil) }},
	{1002, []byte("\xC2\x81\x00\x00\x00\x00x"), nil},
	{1002, []byte("\x82\x01x"), nil},
	{1002, []byte("\x89\xFE\x00\x80\x00\x00\x00\x00" + strings.Repeat("p", 128)), nil},
	{1003, masked(ws.NewTextFrame([]byte("text"))), nil},
	{1007, masked(ws.NewBinaryFrame([]byte("text"))), nil},
	{1009, masked(ws.NewBinaryFrame(tooLong)), nil},
}

func masked(f ws.Frame) []byte {
	b, _ := ws.CompileFrame(ws.MaskFrame(f))
	return b
}

// TestGoodbye: a peer that is told the end while it sends goes on until it has read that,
// and its connection ends when it has answered.
func TestGoodbye(t *testing.T) {
	for _, scheme := range []string{"ws", "wss"} {
		for _, e := range endings {
			Convey(fmt.Sprintf("Over %s: %d after %.10q", scheme, e.code, e.wrong), t, func() {
				for !saysGoodbye(t, scheme, e) {
				}
			})
		}
	}
}

// saysGoodbye makes one connection and sees its end. It returns false if the machine was
// too slow for that to show anything.
func saysGoodbye(t *testing.T, scheme string, e ending) bool {
	k, peer, conn := goodbyePeer(t, scheme, 10*time.Second)
	defer conn.Close()
	raw, begin := fdOf(t, conn), time.Now()
	if e.end != nil {
		e.end(k, peer)
		eventually(t, "the server closes", func() bool {
			unread, err := unix.IoctlGetInt(raw, unix.SIOCINQ)
			return err == nil && unread > 0
		})
	}
	write(t, conn, e.wrong)
	expectClose(t, conn, e.code)
	rest := masked(ws.NewBinaryFrame(bytes.Repeat([]byte{1}, 100_000)))
	for range 30 { // the server's system alone does not take so much
		write(t, conn, rest)
	}
	eventually(t, "the server takes what comes", func() bool {
		left, err := unix.IoctlGetInt(raw, unix.SIOCOUTQ)
		return err == nil && left == 0
	})
	n, _, err := unix.Recvfrom(raw, make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	if time.Since(begin) > 3*time.Second {
		return false
	}
	So(n, ShouldEqual, -1)
	So(err, ShouldEqual, unix.EAGAIN)
	write(t, conn, masked(ws.NewCloseFrame(ws.NewCloseFrameBody(e.code, ""))))
	expectEnd(t, conn)
	return true
}

// TestEndlessPeer: a peer that is told the end and goes on sending does not keep its
// connection for ever.
func TestEndlessPeer(t *testing.T) {
	for _, scheme := range []string{"ws", "wss"} {
		for _, e := range endings {
			Convey(fmt.Sprintf("Over %s: %d after %.10q", scheme, e.code, e.wrong), t, func() {
				k, peer, conn := goodbyePeer(t, scheme, 100*time.Millisecond)
				defer conn.Close()
				write(t, conn, e.wrong)
				if e.end != nil && e.wrong == nil {
					e.end(k, peer)
				}
				part := masked(ws.NewBinaryFrame(make([]byte, 100)))
				eventually(t, "the connection ends", func() bool {
					_, err := conn.Write(part)
					return err != nil
				})
			})
		}
	}
}

// goodbyePeer connects a client to a server of its own, and returns what the server calls it.
func goodbyePeer(t *testing.T, scheme string, limit time.Duration) (k *Socket, peer uint32, conn net.Conn) {
	k = newSocket(t, newContext(t))
	newIdentity(t, "one").use(t, k, k)
	must(t, k.Set(WithMode(ModeFast), WithMaxMessageSize(1<<20), WithRecvBuffer(65536), WithCloseTimeout(limit)), "Set")
	must(t, k.Bind(scheme+"://127.0.0.1:*"), "Bind")
	conn = plain(t, lastEndpoint(t, k))
	must(t, conn.SetDeadline(time.Now().Add(patience)), "SetDeadline")
	if scheme != "ws" {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		must(t, conn.(*tls.Conn).Handshake(), "Handshake")
	}
	if scheme != "tls" {
		_, _, err := ws.Dialer{}.Upgrade(conn, &url.URL{Scheme: "ws", Host: "x", Path: "/"})
		must(t, err, "Upgrade")
	}
	up, err := k.Recv(context.Background())
	must(t, err, "Recv")
	return k, up.Peer, conn
}

func write(t *testing.T, conn net.Conn, data []byte) {
	_, err := conn.Write(data)
	must(t, err, "write")
}

// expectClose reads a Close frame with this code.
func expectClose(t *testing.T, conn net.Conn, code ws.StatusCode) {
	h, err := ws.ReadHeader(conn)
	must(t, err, "read a header")
	So(h.OpCode, ShouldEqual, ws.OpClose)
	payload := make([]byte, h.Length)
	_, err = io.ReadFull(conn, payload)
	must(t, err, "read a Close frame")
	So(binary.BigEndian.Uint16(payload), ShouldEqual, code)
}

// expectEnd reads the end of the stream.
func expectEnd(t *testing.T, conn net.Conn) {
	_, err := conn.Read(make([]byte, 1))
	So(err, ShouldEqual, io.EOF)
}

// fdOf returns the descriptor of a connection.
func fdOf(t *testing.T, conn net.Conn) (fd int) {
	if secure, is := conn.(*tls.Conn); is {
		conn = secure.NetConn()
	}
	raw, err := conn.(*net.TCPConn).SyscallConn()
	must(t, err, "SyscallConn")
	must(t, raw.Control(func(n uintptr) { fd = int(n) }), "Control")
	return fd
}

// TestAlertArrives: a peer that broke TLS and reads late finds the alert, and the end.
func TestAlertArrives(t *testing.T) {
	for _, scheme := range []string{"tls", "wss"} {
		Convey("Over "+scheme, t, func() {
			_, _, conn := goodbyePeer(t, scheme, 10*time.Second)
			raw := conn.(*tls.Conn).NetConn().(*net.TCPConn)
			defer raw.Close()
			write(t, raw, append([]byte{23, 3, 3, 0, 64}, make([]byte, 64)...))
			for range 30 {
				write(t, raw, make([]byte, 100_000))
			}
			must(t, raw.CloseWrite(), "CloseWrite")
			all, err := io.ReadAll(raw)
			So(err, ShouldBeNil)
			So(len(all), ShouldBeGreaterThan, 0)
		})
	}
}
