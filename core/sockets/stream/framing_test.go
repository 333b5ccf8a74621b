// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
)

// fastPair returns sockets of the mode FAST with a framing, and the id of each for the other.
func fastPair(t testing.TB, endpoint string, settings ...Setting) (server, client *Socket, toClient, toServer uint32) {
	t.Helper()
	ctx := newContext(t)
	server, client = newSocket(t, ctx), newSocket(t, ctx)
	must(t, server.Set(append(settings, WithMode(ModeFast))...), "settings")
	must(t, client.Set(append(settings, WithMode(ModeFast))...), "settings")
	must(t, server.Bind(endpoint), "Bind")
	must(t, client.Connect(lastEndpoint(t, server)), "Connect")
	return server, client, recvKind(t, server, Connected).Peer, recvKind(t, client, Connected).Peer
}

// recvBytes receives messages until so many bytes have come, and returns them together.
func recvBytes(t testing.TB, k *Socket, n int) string {
	t.Helper()
	var all []byte
	for len(all) < n {
		m := recvKind(t, k, Data)
		all = append(all, m.Body...)
		m.Release()
	}
	return string(all)
}

func TestFramingMustSuit(t *testing.T) {
	Convey("A transport that cannot have a framing is refused with a sentence", t, func() {
		for framing, endpoints := range map[int][]string{
			FramingMessages: {"tcp://127.0.0.1:*", "tls://127.0.0.1:*", "ipc://@framing"},
			FramingRaw:      {"ws://127.0.0.1:*", "wss://127.0.0.1:*"},
		} {
			for _, endpoint := range endpoints {
				k := newSocketOnly(t, newContext(t))
				must(t, k.Set(WithFraming(framing)), "framing")
				err := k.Bind(endpoint)
				So(err, shouldBeErrno, errno.ENOCOMPATPROTO)
				So(errno.Detail(err), ShouldContainSubstring, fmt.Sprintf("STREAM_FRAMING %d", framing))
				So(k.Connect(strings.Replace(endpoint, "*", "1", 1)), shouldBeErrno, errno.ENOCOMPATPROTO)
			}
		}
	})
	Convey("It is set before the first bind or connect", t, func() {
		k := newSocket(t, newContext(t))
		So(k.Set(WithFraming(4)), shouldBeErrno, errno.EINVAL)
		bind(t, k)
		So(k.Set(WithFraming(FramingRaw)), shouldBeErrno, errno.EINVAL)
	})
}

func TestRawFraming(t *testing.T) {
	Convey("A raw socket is any server of tcp, and what it sends is what it was given", t, func() {
		for _, mode := range []int{ModeCompat, ModeFast} {
			k := newSocket(t, newContext(t))
			must(t, k.Set(WithMode(mode), WithFraming(FramingRaw)), "settings")
			conn, err := net.Dial("tcp", strings.TrimPrefix(bind(t, k), "tcp://"))
			must(t, err, "Dial")
			_, err = conn.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
			must(t, err, "Write")
			answer := []string{"HTTP/1.0 200 OK\r\n\r\n", "", strings.Repeat("x", 100_000)}
			if mode == ModeCompat {
				id := want(t, k, connected)
				So(want(t, k, "GET / HTTP/1.0\r\n\r\n"), ShouldEqual, id)
				for _, part := range answer {
					mustSend(t, k, id, part)
				}
				mustSend(t, k, id, "\x00")
			} else {
				peer := recvKind(t, k, Connected).Peer
				So(recvBytes(t, k, 18), ShouldEqual, "GET / HTTP/1.0\r\n\r\n")
				for _, part := range answer {
					must(t, k.Send(t.Context(), peer, []byte(part)), "Send")
				}
				must(t, k.ClosePeer(peer), "ClosePeer")
			}
			got, err := io.ReadAll(conn)
			must(t, err, "ReadAll")
			So(string(got) == strings.Join(answer, ""), ShouldBeTrue)
			conn.Close()
		}
	})
	Convey("Raw bytes pass both ways between sockets, over all transports that can have them", t, func() {
		for _, endpoint := range []string{"tcp://127.0.0.1:*", "ipc://@", "tls://127.0.0.1:*"} {
			settings := []Setting{WithFraming(FramingRaw)}
			if strings.HasPrefix(endpoint, "tls") {
				settings = append(settings, ownTLS(t)...)
			}
			server, client, toClient, toServer := fastPair(t, fresh(endpoint), settings...)
			long := pattern(3<<20, 1)
			go func() { _ = client.Send(context.Background(), toServer, []byte(long)) }()
			So(recvBytes(t, server, len(long)) == long, ShouldBeTrue)
			took, err := server.Multicast([]uint32{toClient, toClient}, []byte("to many"))
			must(t, err, "Multicast")
			So(took, ShouldEqual, 2)
			So(recvBytes(t, client, 14), ShouldEqual, "to manyto many")
		}
	})
	Convey("No piece is longer than MAXMSGSIZE, and RCVHWM, RECV_BYTES and rates hold", t, func() {
		server, client, _, toServer := fastPair(t, "tcp://127.0.0.1:*", WithFraming(FramingRaw), WithMaxMessageSize(100), WithRecvHWM(3), WithRecvBytes(4096),
			WithRateBytes(1<<20))
		long := pattern(200_000, 2)
		go func() { _ = client.Send(context.Background(), toServer, []byte(long)) }()
		var all []byte
		for len(all) < len(long) {
			m := recvKind(t, server, Data)
			if len(m.Body) < 1 || len(m.Body) > 100 {
				t.Fatal("a message of", len(m.Body))
			}
			all = append(all, m.Body...)
			m.Release()
		}
		So(string(all) == long, ShouldBeTrue)
	})
}

// browser is a client of WebSocket that knows nothing of this library.
type browser struct {
	t testing.TB
	net.Conn
}

func browse(t testing.TB, k *Socket) browser {
	t.Helper()
	conn, _, _, err := ws.Dial(t.Context(), lastEndpoint(t, k))
	must(t, err, "Dial")
	t.Cleanup(func() { _ = conn.Close() })
	return browser{t, conn}
}

func (b browser) say(op ws.OpCode, parts ...string) {
	b.t.Helper()
	for i, part := range parts {
		must(b.t, ws.WriteFrame(b, ws.MaskFrame(ws.NewFrame(op, i == len(parts)-1, []byte(part)))), "WriteFrame")
		op = ws.OpContinuation
	}
}

func (b browser) hear() (ws.OpCode, string) {
	b.t.Helper()
	h, err := ws.ReadHeader(b)
	must(b.t, err, "ReadHeader")
	body := make([]byte, h.Length)
	_, err = io.ReadFull(b, body)
	must(b.t, err, "ReadFull")
	return h.OpCode, string(body)
}

// wantClose waits for a Close frame with a code.
func (b browser) wantClose(code ws.StatusCode) {
	b.t.Helper()
	for {
		if op, body := b.hear(); op == ws.OpClose {
			got, _ := ws.ParseCloseFrameData([]byte(body))
			So(got, ShouldEqual, code)
			return
		}
	}
}

func TestMessagesFraming(t *testing.T) {
	Convey("A message of a browser is a message, and one that is sent is one of the browser", t, func() {
		k := webServer(t, WithFraming(FramingMessages))
		b := browse(t, k)
		peer := recvKind(t, k, Connected).Peer
		b.say(ws.OpText, "hello")
		b.say(ws.OpBinary, "by", "", "tes")
		b.say(ws.OpText, "")
		for _, want := range []Message{{Text: true, Body: []byte("hello")}, {Body: []byte("bytes")}, {Text: true}} {
			m := recvKind(t, k, Data)
			So(m.Text, ShouldEqual, want.Text)
			So(string(m.Body), ShouldEqual, string(want.Body))
			_, err := k.SendBatch(t.Context(), []Message{m}) // it is sent on as it came
			must(t, err, "SendBatch")
		}
		must(t, k.SendText(t.Context(), peer, []byte("grüße")), "SendText")
		must(t, k.Send(t.Context(), peer, []byte{0xFF}), "Send")
		_, err := k.Multicast([]uint32{peer}, []byte("to many"), AsText())
		must(t, err, "Multicast")
		must(t, k.Join(peer, "all"), "Join")
		_, err = k.Publish("all", bytes.Repeat([]byte("y"), 100_000), WithKey(1))
		must(t, err, "Publish")
		for _, want := range []struct {
			op   ws.OpCode
			body string
		}{{ws.OpText, "hello"}, {ws.OpBinary, "bytes"}, {ws.OpText, ""}, {ws.OpText, "grüße"}, {ws.OpBinary, "\xff"}, {ws.OpText, "to many"},
			{ws.OpBinary, strings.Repeat("y", 100_000)}} {
			op, body := b.hear()
			So(op, ShouldEqual, want.op)
			So(body == want.body, ShouldBeTrue)
		}
	})
	Convey("Bad text ends with 1007, a message above MAXMSGSIZE with 1009, in any fragments", t, func() {
		for _, c := range []struct {
			op    ws.OpCode
			parts []string
			code  ws.StatusCode
		}{{ws.OpText, []string{"\xff"}, 1007}, {ws.OpText, []string{"a", "\xe2"}, 1007}, {ws.OpBinary, []string{strings.Repeat("x", 11)}, 1009},
			{ws.OpText, []string{"123456", "78901", ""}, 1009}} {
			k := webServer(t, WithFraming(FramingMessages), WithMaxMessageSize(10))
			b := browse(t, k)
			_ = recvKind(t, k, Connected)
			b.say(ws.OpText, "good")
			b.say(c.op, c.parts...)
			b.wantClose(c.code)
			So(string(recvKind(t, k, Data).Body), ShouldEqual, "good")
			_ = recvKind(t, k, Disconnected)
		}
	})
	Convey("Every announced length above MAXMSGSIZE is told and counted as too long", t, func() {
		for _, length := range []uint64{70_000, 1 << 31, 1<<32 + 3, 1<<32 + 4, 1<<63 - 1} {
			k := webServer(t, WithFraming(FramingMessages), WithMaxMessageSize(10))
			b := browse(t, k)
			_ = recvKind(t, k, Connected)
			_, err := b.Write(append(binary.BigEndian.AppendUint64([]byte{0x82, 0xFF}, length), "mask"...))
			must(t, err, "write")
			b.wantClose(1009)
			So(wantEnd(t, k), ShouldEqual, engine.CauseTooLong)
			stats, err := k.Stats()
			So(err, ShouldBeNil)
			So(stats.Oversize, ShouldEqual, 1)
		}
	})
	Convey("Both kinds pass in order between sockets, with and without TLS, however long and however tight the limits", t, func() {
		for _, endpoint := range []string{"ws://127.0.0.1:*", "wss://127.0.0.1:*"} {
			settings := []Setting{WithFraming(FramingMessages), WithRecvHWM(5), WithRecvBytes(100_000)}
			if strings.HasPrefix(endpoint, "wss") {
				settings = append(settings, ownTLS(t)...)
			}
			server, client, toClient, toServer := fastPair(t, endpoint, settings...)
			for _, way := range []struct {
				from, to *Socket
				peer     uint32
			}{{client, server, toServer}, {server, client, toClient}} {
				sizes := []int{0, 1, 125, 126, 5000, 65536, 300_000, 3}
				go func() {
					for i := range 200 {
						m := Message{Peer: way.peer, Text: i/2%2 == 0, Body: []byte(plainText(sizes[i%len(sizes)], i))}
						if _, err := way.from.SendBatch(context.Background(), []Message{m}); err != nil {
							return
						}
					}
				}()
				for i := range 200 {
					m := recvKind(t, way.to, Data)
					if m.Text != (i/2%2 == 0) || string(m.Body) != plainText(sizes[i%len(sizes)], i) {
						t.Fatalf("message %d is another one", i)
					}
					m.Release()
				}
			}
		}
	})
	Convey("A policy that drops the oldest messages drops whole ones, and text stays text", t, func() {
		k := webServer(t, WithFraming(FramingMessages), WithFullPolicy(FullDropOldest), WithSendBytes(100_000))
		b := browse(t, k)
		peer := recvKind(t, k, Connected).Peer
		for i := range 3000 {
			text := fmt.Sprintf("%06d", i) + strings.Repeat("z", 4000)
			if i%2 == 0 {
				must(t, k.SendText(t.Context(), peer, []byte(text)), "SendText")
			} else {
				must(t, k.Send(t.Context(), peer, []byte(text)), "Send")
			}
		}
		in := browser{t, bufferedConn{b.Conn, bufio.NewReader(b.Conn)}}
		last := -1
		for last < 2999 {
			op, body := in.hear()
			i := 0
			_, err := fmt.Sscanf(body[:6], "%d", &i)
			must(t, err, "Sscanf")
			if len(body) != 4006 || i <= last || (op == ws.OpText) != (i%2 == 0) {
				t.Fatalf("message %d after %d is %v of %d bytes", i, last, op, len(body))
			}
			last = i
		}
	})
}

type bufferedConn struct {
	net.Conn
	in *bufio.Reader
}

func (b bufferedConn) Read(p []byte) (int, error) { return b.in.Read(p) }

// ownTLS are the settings of a server and of its client that verifies it.
func ownTLS(t testing.TB) []Setting {
	id := newIdentity(t, "127.0.0.1")
	return []Setting{WithTLSKeyPair(id.cert, id.key), WithTLSAuthorities(id.cert, false)}
}

// plainText is text of so many bytes, which differs with i.
func plainText(size, i int) string {
	return strings.Repeat(fmt.Sprintf("%d,", i), size/2+1)[:size]
}

func TestDeflateFraming(t *testing.T) {
	settings := []Setting{WithFraming(FramingMessages), WithWebDeflate(true), WithMaxMessageSize(300_000)}
	Convey("Messages are compressed between those who agree, and others are served as before", t, func() {
		server, client, toClient, toServer := fastPair(t, "ws://127.0.0.1:*", settings...)
		b := browse(t, server)
		third := recvKind(t, server, Connected).Peer
		for i, size := range []int{0, 1, 500, 5000, 200_000} {
			text := plainText(size, i)
			must(t, client.SendText(t.Context(), toServer, []byte(text)), "SendText")
			m := recvKind(t, server, Data)
			So(m.Text, ShouldBeTrue)
			So(string(m.Body) == text, ShouldBeTrue)
			m.Release()
			took, err := server.Multicast([]uint32{toClient, third}, []byte(text))
			must(t, err, "Multicast")
			So(took, ShouldEqual, 2)
			m = recvKind(t, client, Data)
			So(m.Text, ShouldBeFalse)
			So(string(m.Body) == text, ShouldBeTrue)
			m.Release()
			op, body := b.hear()
			So(op, ShouldEqual, ws.OpBinary)
			So(body == text, ShouldBeTrue)
		}
	})
	Convey("An answer names the extension only if it was offered", t, func() {
		k := webServer(t, settings...)
		for offered, want := range map[string]string{
			"permessage-deflate; client_max_window_bits":                                "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
			"x-other, permessage-deflate; server_max_window_bits=9, permessage-deflate": "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
			"x-other": "",
		} {
			_, answer := knock(t, lastEndpoint(t, k), "/", "Sec-WebSocket-Extensions: "+offered)
			So(answer.Header.Get("Sec-WebSocket-Extensions"), ShouldEqual, want)
		}
		_, answer := knock(t, lastEndpoint(t, webServer(t, WithFraming(FramingMessages))), "/", "Sec-WebSocket-Extensions: permessage-deflate")
		So(answer.Header, ShouldNotContainKey, "Sec-Websocket-Extensions")
	})
	Convey("Where nothing is compressed, nobody may ask for it", t, func() {
		for _, framing := range []int{FramingLength, FramingRaw, FramingHeaders} {
			k := newSocketOnly(t, newContext(t))
			must(t, k.Set(WithFraming(framing), WithWebDeflate(true), WithMaxMessageSize(10)), "settings")
			err := k.Bind("tcp://127.0.0.1:*")
			So(err, shouldBeErrno, errno.EINVAL)
			So(errno.Detail(err), ShouldContainSubstring, "STREAM_FRAMING 1")
		}
	})
	Convey("It needs messages of WebSocket, and a limit of their size", t, func() {
		for _, settings := range [][]Setting{{WithWebDeflate(true), WithMaxMessageSize(10)}, {WithFraming(FramingMessages), WithWebDeflate(true)}} {
			k := newSocketOnly(t, newContext(t))
			must(t, k.Set(settings...), "settings")
			So(k.Bind("ws://127.0.0.1:*"), shouldBeErrno, errno.EINVAL)
		}
	})
}
