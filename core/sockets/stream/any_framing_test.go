// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
)

// dialAny connects a client of tcp or tls to a port for all, or a browser of ws or wss.
func dialAny(t testing.TB, k *Socket, transport string) net.Conn {
	t.Helper()
	at, trusting := address(lastEndpoint(t, k)), &tls.Config{InsecureSkipVerify: true}
	var conn net.Conn
	var err error
	switch transport {
	case "tcp":
		conn, err = net.Dial("tcp", at)
	case "tls":
		conn, err = tls.Dial("tcp", at, trusting)
	default:
		conn, _, _, err = ws.Dialer{TLSConfig: trusting}.Dial(t.Context(), transport+"://"+at+"/chat")
	}
	must(t, err, "Dial")
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// wantBytes waits for these bytes.
func wantBytes(t testing.TB, from io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	_, err := io.ReadFull(from, got)
	must(t, err, "ReadFull")
	if string(got) != want {
		t.Fatalf("%.60x, not %.60x", got, want)
	}
}

func TestAnyWithMessages(t *testing.T) {
	Convey("On a port for all, browsers have messages and text, and programs a length of 4 bytes and bytes", t, func() {
		k, _ := anySocket(t, append(ownTLS(t), WithFraming(FramingMessages), WithMaxMessageSize(300_000), WithWebDeflate(true))...)
		raw := map[string]uint32{}
		peers := []uint32{}
		conns := map[string]net.Conn{}
		for _, transport := range []string{"tcp", "ws", "tls", "wss"} {
			conn := dialAny(t, k, transport)
			conns[transport] = conn
			web := strings.HasPrefix(transport, "w")
			if web {
				browser{t, conn}.say(ws.OpText, "hel", "lo")
			} else {
				_, err := conn.Write(frame("hello"))
				must(t, err, "Write")
			}
			up := recvKind(t, k, Connected)
			m := recvKind(t, k, Data)
			So(string(m.Body), ShouldEqual, "hello")
			So(m.Text, ShouldEqual, web)
			peers, raw[transport] = append(peers, up.Peer), up.Peer
			if !web {
				m.Text = true // also as text, bytes they are to a program
			}
			_, err := k.SendBatch(t.Context(), []Message{m})
			must(t, err, "SendBatch")
		}
		long := strings.Repeat("z", 200_000)
		_, err := k.Multicast(peers, []byte("to many"), AsText())
		must(t, err, "Multicast")
		_, err = k.Multicast(peers, []byte(long), AsText(), WithKey(1))
		must(t, err, "Multicast")
		for transport, peer := range raw {
			must(t, k.SendText(t.Context(), peer, []byte("grüße")), "SendText to %s", transport)
			must(t, k.Send(t.Context(), peer, []byte{0xFF}), "Send")
		}
		for transport, conn := range conns {
			for i, body := range []string{"hello", "to many", long, "grüße", "\xff"} {
				if !strings.HasPrefix(transport, "w") {
					wantBytes(t, conn, string(frame(body)))
					continue
				}
				op, got := browser{t, conn}.hear()
				So(op, ShouldEqual, map[bool]ws.OpCode{true: ws.OpText, false: ws.OpBinary}[i < 4])
				So(got == body, ShouldBeTrue)
			}
		}
		for transport, conn := range conns { // nothing that is too long gets in, on either side
			if strings.HasPrefix(transport, "w") {
				browser{t, conn}.say(ws.OpBinary, strings.Repeat("x", 300_001))
			} else {
				_, err := conn.Write([]byte{0, 4, 0x93, 0xE1})
				must(t, err, "Write")
			}
			So(recvKind(t, k, Disconnected).Peer, ShouldEqual, raw[transport])
		}
	})
	Convey("What a program did not get is counted with the mark of text as without", t, func() {
		k, _ := anySocket(t, WithFraming(FramingMessages), WithFullPolicy(FullDropOldest), WithSendBytes(100_000))
		conn := dialAny(t, k, "tcp")
		_, err := conn.Write(frame(""))
		must(t, err, "Write")
		peer := recvKind(t, k, Connected).Peer
		for range 5000 {
			must(t, k.SendText(t.Context(), peer, bytes.Repeat([]byte("z"), 4000)), "SendText")
		}
		must(t, k.ClosePeer(peer), "ClosePeer")
		all, err := io.ReadAll(conn)
		must(t, err, "ReadAll")
		So(len(all)%4004, ShouldEqual, 0)
		for ; len(all) > 0; all = all[4004:] {
			if !bytes.Equal(all[:4004], frame(strings.Repeat("z", 4000))) {
				t.Fatal("a frame that is none")
			}
		}
	})
}

func TestAnyWithHeaders(t *testing.T) {
	Convey("On a port for all, messages may have headers on each transport", t, func() {
		k, _ := anySocket(t, append(ownTLS(t), WithFraming(FramingHeaders))...)
		for _, transport := range []string{"tcp", "ws", "tls", "wss"} {
			conn := dialAny(t, k, transport)
			wire := headed("head", "body")
			if strings.HasPrefix(transport, "w") {
				browser{t, conn}.say(ws.OpBinary, wire[:3], wire[3:])
			} else {
				_, err := io.WriteString(conn, wire)
				must(t, err, "Write")
			}
			_ = recvKind(t, k, Connected)
			_, err := k.SendBatch(t.Context(), []Message{wantHeader(t, k, "head", "body")})
			must(t, err, "SendBatch")
			if strings.HasPrefix(transport, "w") {
				_, got := browser{t, conn}.hear()
				So(got, ShouldEqual, wire)
			} else {
				wantBytes(t, conn, wire)
			}
		}
	})
	Convey("What has no first byte of its own is refused with a sentence", t, func() {
		k := newSocketOnly(t, newContext(t))
		must(t, k.Set(WithFraming(FramingRaw)), "framing")
		err := k.Bind(anyPort)
		So(err, shouldBeErrno, errno.ENOCOMPATPROTO)
		So(errno.Detail(err), ShouldContainSubstring, "any://")
	})
}

func TestAnyWithMessagesBehindAProxy(t *testing.T) {
	Convey("A program behind a proxy may say its first word long after the header of PROXY", t, func() {
		k, _ := behindProxy(t, anyPort, WithFraming(FramingMessages))
		for _, pause := range []time.Duration{0, 20 * time.Millisecond, 100 * time.Millisecond} {
			conn := through(t, k, proxyLine("203.0.113.7"))
			time.Sleep(pause) // the header is read meanwhile, or not: both have to do
			_, err := conn.Write(frame("hello"))
			must(t, err, "Write")
			peer := recvKind(t, k, Connected).Peer
			So(string(recvKind(t, k, Data).Body), ShouldEqual, "hello")
			must(t, k.SendText(t.Context(), peer, []byte("back")), "SendText")
			wantBytes(t, conn, string(frame("back")))
		}
	})
}
