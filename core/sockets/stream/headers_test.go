// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

// headed is a message with a header on the wire.
func headed(header, body string) string {
	sizes := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(nil, uint16(len(header))), uint32(len(body)))
	return string(sizes) + header + body
}

// wantHeader waits for a message with this header and body.
func wantHeader(t testing.TB, k *Socket, header, body string) Message {
	t.Helper()
	m := recvKind(t, k, Data)
	if string(m.Header) != header || string(m.Body) != body {
		t.Fatalf("a header of %d bytes and a body of %d, not %d and %d", len(m.Header), len(m.Body), len(header), len(body))
	}
	return m
}

func TestHeaderFraming(t *testing.T) {
	Convey("Headers and bodies are what the peer's bytes say, and those of the peer's are what was sent", t, func() {
		k := newSocket(t, newContext(t))
		must(t, k.Set(WithMode(ModeFast), WithFraming(FramingHeaders)), "settings")
		conn, err := net.Dial("tcp", strings.TrimPrefix(bind(t, k), "tcp://"))
		must(t, err, "Dial")
		defer conn.Close()
		peer := recvKind(t, k, Connected).Peer
		for _, m := range [][2]string{{"head", "body"}, {"", "body"}, {"head", ""}, {"", ""}, {pattern(65535, 1), pattern(100_000, 2)}} {
			_, err = io.WriteString(conn, headed(m[0], m[1]))
			must(t, err, "Write")
			got := wantHeader(t, k, m[0], m[1])
			_, err := k.SendBatch(t.Context(), []Message{got}) // it is sent on as it came
			must(t, err, "SendBatch")
			must(t, k.Send(t.Context(), peer, []byte("plain")), "Send")
			_, err = k.Multicast([]uint32{peer}, []byte(m[1]), WithHeader([]byte(m[0])))
			must(t, err, "Multicast")
			wire := headed(m[0], m[1]) + headed("", "plain") + headed(m[0], m[1])
			back := make([]byte, len(wire))
			_, err = io.ReadFull(conn, back)
			must(t, err, "ReadFull")
			So(string(back) == wire, ShouldBeTrue)
		}
	})
	Convey("Headers pass between sockets over all transports, in batches, however long and however tight the limits", t, func() {
		for _, endpoint := range []string{"tcp://127.0.0.1:*", "ipc://@", "tls://127.0.0.1:*", "ws://127.0.0.1:*", "wss://127.0.0.1:*"} {
			settings := []Setting{WithFraming(FramingHeaders), WithRecvHWM(5), WithRecvBytes(100_000)}
			if strings.Contains(endpoint, "s://") && !strings.HasPrefix(endpoint, "ws:") {
				settings = append(settings, ownTLS(t)...)
			}
			server, client, toClient, toServer := fastPair(t, fresh(endpoint), settings...)
			for _, way := range []struct {
				from, to *Socket
				peer     uint32
			}{{client, server, toServer}, {server, client, toClient}} {
				sizes := []int{0, 1, 30, 65, 126, 5000, 65535, 300_000, 3}
				text := func(i, by int) string { return plainText(sizes[i/by%len(sizes)], i) }
				header := func(i int) string { return text(i, 2)[:min(65535, len(text(i, 2)))] }
				go func() {
					for i := 0; i < 200; {
						var batch []Message
						for range 1 + i%3 {
							batch = append(batch, Message{Peer: way.peer, Header: []byte(header(i)), Body: []byte(text(i, 1))})
							i++
						}
						if _, err := way.from.SendBatch(context.Background(), batch); err != nil {
							return
						}
					}
				}()
				for i := range 200 {
					m := wantHeader(t, way.to, header(i), text(i, 1))
					m.Release()
				}
			}
		}
	})
	Convey("A long body is sent on from its slab, and a body that was lent is given back", t, func() {
		server, client, toClient, toServer := fastPair(t, "tcp://127.0.0.1:*", WithFraming(FramingHeaders))
		body, given := []byte(pattern(1<<20, 3)), 0
		must(t, client.SendOwned(t.Context(), toServer, body, func() { given++ }), "SendOwned")
		So(given, ShouldEqual, 1)
		m := wantHeader(t, server, "", string(body))
		m.Header, m.Peer = []byte("new"), toClient
		_, err := server.SendBatch(t.Context(), []Message{m})
		must(t, err, "SendBatch")
		wantHeader(t, client, "new", string(body))
	})
	Convey("In the mode COMPAT the body comes without its header, and is sent with an empty one", t, func() {
		k := newSocket(t, newContext(t))
		must(t, k.Set(WithFraming(FramingHeaders)), "settings")
		conn, err := net.Dial("tcp", strings.TrimPrefix(bind(t, k), "tcp://"))
		must(t, err, "Dial")
		defer conn.Close()
		id := want(t, k, connected)
		_, err = io.WriteString(conn, headed("head", "body")+headed("", "")+headed("h", "next"))
		must(t, err, "Write")
		for _, body := range []string{"body", "", "next"} {
			So(want(t, k, body), ShouldEqual, id)
		}
		mustSend(t, k, id, "answer")
		must(t, k.SendFrame([]byte(id), true, false), "id")
		_, err = k.ForC().SendMessage(0, Parcel{Header: []byte("x"), Body: []byte{0}}, false, false) // with a header it closes nothing
		must(t, err, "SendMessage")
		mustSend(t, k, id, disconnected)
		all, err := io.ReadAll(conn)
		must(t, err, "ReadAll")
		So(string(all), ShouldEqual, headed("", "answer")+headed("x", "\x00"))
	})
}

func TestHeaderErrors(t *testing.T) {
	Convey("A header that cannot be sent is refused with a sentence, by every call", t, func() {
		server, client, toClient, toServer := fastPair(t, "tcp://127.0.0.1:*", WithFraming(FramingHeaders))
		plain, _, toOther, _ := fastPair(t, "tcp://127.0.0.1:*")
		long := make([]byte, 65536)
		for _, c := range []struct {
			k      *Socket
			peer   uint32
			header []byte
			want   errno.Errno
		}{{server, toClient, long, errno.EMSGSIZE}, {plain, toOther, []byte("h"), errno.EINVAL}} {
			m := Message{Peer: c.peer, Header: c.header, Body: []byte("b")}
			for what, call := range map[string]func() error{
				"SendBatch": func() error { _, err := c.k.SendBatch(t.Context(), []Message{m}); return err },
				"Multicast": func() error { _, err := c.k.Multicast([]uint32{c.peer}, m.Body, WithHeader(c.header)); return err },
				"SendKey":   func() error { return c.k.SendKey(c.peer, 1, m.Body, WithHeader(c.header)) },
				"SendMessage": func() error {
					_, err := c.k.ForC().SendMessage(c.peer, Parcel{Header: c.header, Body: m.Body}, false, false)
					return err
				},
			} {
				Convey(fmt.Sprint(what, " ", len(c.header)), func() {
					err := call()
					So(err, shouldBeErrno, c.want)
					So(errno.Detail(err), ShouldContainSubstring, "header")
				})
			}
		}
		Convey("and a batch ends before it", func() {
			n, err := client.SendBatch(t.Context(), []Message{{Peer: toServer, Body: []byte("good")}, {Peer: toServer, Header: long}})
			So([]any{n, errno.Of(err)}, ShouldResemble, []any{1, errno.EMSGSIZE})
			wantHeader(t, server, "", "good")
		})
	})
	Convey("A header and a body above MAXMSGSIZE together cut the connection", t, func() {
		server, client, toClient, toServer := fastPair(t, "tcp://127.0.0.1:*", WithFraming(FramingHeaders), WithMaxMessageSize(10))
		batch := []Message{{Peer: toServer, Header: []byte("12345"), Body: []byte("67890")}, {Peer: toServer, Header: []byte("123456"), Body: []byte("78901")}}
		_, err := client.SendBatch(t.Context(), batch)
		must(t, err, "SendBatch")
		wantHeader(t, server, "12345", "67890")
		So(recvKind(t, server, Disconnected).Peer, ShouldEqual, toClient)
		stats, err := server.Stats()
		must(t, err, "Stats")
		So(stats.Oversize, ShouldEqual, 1)
	})
}

func TestHeadersInFullQueues(t *testing.T) {
	Convey("Bounds count headers, and a policy that drops the oldest messages drops whole ones", t, func() {
		k := newSocket(t, newContext(t))
		must(t, k.Set(WithMode(ModeFast), WithFraming(FramingHeaders), WithFullPolicy(FullDropOldest), WithSendBytes(100_000)), "settings")
		set(t, k, sockets.OptSndBuf, 4096)
		conn, err := net.Dial("tcp", strings.TrimPrefix(bind(t, k), "tcp://"))
		must(t, err, "Dial")
		defer conn.Close()
		peer := recvKind(t, k, Connected).Peer
		const count = 3000
		for i := range count {
			m := Message{Peer: peer, Header: fmt.Appendf(nil, "%06d%s", i, strings.Repeat("h", i%3000)), Body: bytes.Repeat([]byte{byte(i)}, 3000-i%3000)}
			_, err := k.SendBatch(t.Context(), []Message{m})
			must(t, err, "SendBatch")
		}
		stats, err := k.Stats()
		must(t, err, "Stats")
		So(stats.BytesQueued, ShouldBeLessThan, 110_000)
		So(stats.MsgsDropped, ShouldBeGreaterThan, 0)
		for last := -1; last < count-1; {
			var sizes [6]byte
			_, err := io.ReadFull(conn, sizes[:])
			must(t, err, "ReadFull")
			header, body := make([]byte, binary.BigEndian.Uint16(sizes[:])), make([]byte, binary.BigEndian.Uint32(sizes[2:]))
			_, err = io.ReadFull(conn, header)
			must(t, err, "ReadFull")
			_, err = io.ReadFull(conn, body)
			must(t, err, "ReadFull")
			i := 0
			_, err = fmt.Sscanf(string(header), "%06d", &i)
			must(t, err, "Sscanf")
			if i <= last || len(header) != 6+i%3000 || len(body) != 3000-i%3000 {
				t.Fatalf("message %d after %d has %d and %d bytes", i, last, len(header), len(body))
			}
			last = i
		}
	})
}
