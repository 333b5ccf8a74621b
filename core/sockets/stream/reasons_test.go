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
	"strings"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

// ended is a server of one transport with one raw peer, whose end it tells in three places.
type ended struct {
	t      testing.TB
	k      *Socket
	m      *sockets.Monitor
	scheme string
	tcp    *net.TCPConn
	conn   net.Conn // through TLS, if the transport has it
	up     Message
}

// upgradeText asks for a WebSocket.
const upgradeText = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

func newEnded(t testing.TB, scheme string, settings ...Setting) *ended {
	t.Helper()
	common := []Setting{WithMode(ModeFast), WithSendBuffer(64 << 10), WithSendBytes(0), WithSendBytesTotal(0)} // fill does not wait
	if strings.HasPrefix(scheme, "ws") {
		// This peer answers no Close frame.
		common = append(common, WithCloseTimeout(500*time.Millisecond))
	}
	k, m := watched(t, scheme+"://127.0.0.1:*", append(common, settings...)...)
	e := &ended{t: t, k: k, m: m, scheme: scheme, tcp: plain(t, lastEndpoint(t, k)).(*net.TCPConn)}
	_ = e.tcp.SetReadBuffer(64 << 10)
	if e.conn = e.tcp; scheme == "tls" || scheme == "wss" {
		secure := tls.Client(e.tcp, &tls.Config{InsecureSkipVerify: true})
		must(t, secure.Handshake(), "handshake")
		e.conn = secure
	}
	if e.web() {
		e.write(upgradeText)
		for head := []byte(nil); !bytes.HasSuffix(head, []byte("\r\n\r\n")); {
			one := make([]byte, 1)
			_, err := io.ReadFull(e.conn, one)
			must(t, err, "read an answer")
			head = append(head, one...)
		}
	}
	e.up = e.next()
	return e
}

func (e *ended) web() bool { return strings.HasPrefix(e.scheme, "ws") }

func (e *ended) next() Message {
	e.t.Helper()
	m, err := e.k.Recv(context.Background())
	must(e.t, err, "Recv")
	return m
}

func (e *ended) write(text string) {
	e.t.Helper()
	_, err := io.WriteString(e.conn, text)
	must(e.t, err, "write")
}

// frame writes bytes of the stream, over WebSocket in a masked frame of this opcode.
func (e *ended) frame(op byte, data string) {
	e.t.Helper()
	if e.web() {
		data = string([]byte{0x80 | op, 0x80 | byte(len(data)), 0, 0, 0, 0}) + data
	}
	e.write(data)
}

func (e *ended) reset() {
	_ = e.tcp.SetLinger(0)
	_ = e.tcp.Close()
}

// readToTheEnd is a peer that goes when the other side does.
func (e *ended) readToTheEnd() {
	_, _ = io.Copy(io.Discard, e.conn)
	_ = e.conn.Close()
}

// fill queues more than the system takes from a peer that does not read, unless the
// connection ends meanwhile.
func (e *ended) fill() {
	for range 50 { // less than STREAM_SEND_BYTES
		if err := e.k.Send(context.Background(), e.up.Peer, make([]byte, 60_000)); errno.Of(err) != errno.EHOSTUNREACH {
			must(e.t, err, "Send")
		}
	}
}

// awaitEnd waits until the connection is closing, or over.
func (e *ended) awaitEnd() {
	eventually(e.t, "the end", func() bool {
		stats, _ := e.k.Stats()
		return e.k.closingPeer(e.up.Peer) != nil || stats.Closed == 1
	})
}

// check expects that the event, the monitor and the statistics tell the same cause.
func (e *ended) check(why engine.Cause) {
	message := e.next()
	for ; message.Kind != Disconnected; message = e.next() {
		message.Release()
	}
	So(message.Reason(), ShouldEqual, why)
	So(message.Address().String(), ShouldEqual, e.tcp.LocalAddr().String())
	So(e.up.Address().String(), ShouldEqual, e.tcp.LocalAddr().String())
	So(message.Body, ShouldBeEmpty)
	e.checkMonitor(why)
	e.checkStats(why, 0)
}

func (e *ended) checkMonitor(why engine.Cause) {
	event := engine.Event{}
	for event.Kind != engine.EventDisconnected {
		within(e.t, patience, "an event", func() { event, _ = e.m.Recv(false) })
	}
	So(event.Cause, ShouldEqual, why)
	So(e.m.Cause(), ShouldEqual, why)
	So(event.Detail, ShouldNotBeEmpty)
}

func (e *ended) checkStats(why engine.Cause, turnedAway uint64) {
	var stats Stats
	eventually(e.t, "the connection is over", func() (over bool) {
		stats, _ = e.k.Stats()
		return stats.Connections == 0 && stats.Closed+stats.TurnedAway > 0
	})
	sum := uint64(0)
	for _, n := range stats.EndedBy {
		sum += n
	}
	So(stats.EndedBy[why], ShouldEqual, 1)
	So(sum, ShouldEqual, stats.Closed+stats.TurnedAway)
	So(stats.TurnedAway, ShouldEqual, turnedAway)
}

// wayToEnd is a way in which a connection ends.
type wayToEnd struct {
	name     string
	why      engine.Cause
	schemes  string // of those it applies to
	settings []Setting
	end      func(e *ended)
}

const everyScheme = "tcp tls ws wss"

var waysToEnd = []wayToEnd{
	{"the peer closes", engine.CausePeerClosed, everyScheme, nil, func(e *ended) {
		if e.web() {
			e.frame(8, "\x03\xe8")
		}
		_ = e.conn.Close()
	}},
	{"the peer closes without a Close frame", engine.CausePeerClosed, "ws wss", nil, func(e *ended) { _ = e.conn.Close() }},
	{"the peer ends its side, does not read and is aborted", engine.CausePeerClosed, "tcp tls", nil, func(e *ended) {
		e.frame(2, string(frame("hello")))
		eventually(e.t, "it came", func() bool { stats, _ := e.k.Stats(); return stats.MsgsIn == 1 })
		e.fill()
		if secure, ok := e.conn.(*tls.Conn); ok {
			_ = secure.CloseWrite()
		} else {
			_ = e.tcp.CloseWrite()
		}
		eventually(e.t, "the event", func() bool { return e.k.shared.RxEvents.Load() > 0 })
		must(e.t, e.k.AbortPeer(e.up.Peer), "AbortPeer")
	}},
	{"the peer ends its side and never reads", engine.CausePeerClosed, "tcp", []Setting{WithCloseTimeout(50 * time.Millisecond)}, func(e *ended) {
		e.fill()
		_ = e.tcp.CloseWrite()
	}},
	{"the peer resets", engine.CauseReset, everyScheme, nil, func(e *ended) { e.reset() }},
	{"the peer closes without close_notify", engine.CausePeerClosed, "tls wss", nil, func(e *ended) { _ = e.tcp.Close() }},
	{"the stream ends inside a record", engine.CauseReset, "tls wss", nil, func(e *ended) {
		_, _ = e.tcp.Write([]byte("\x17\x03\x03"))
		_ = e.tcp.Close()
	}},
	{"pings are not answered", engine.CauseNoPong, "ws wss", []Setting{WithHeartbeat(20*time.Millisecond, 100*time.Millisecond)}, func(*ended) {}},
	{"a text message", engine.CauseProtocol, "ws wss", nil, func(e *ended) { e.frame(1, "hello") }},
	{"no record of TLS", engine.CauseProtocol, "tls wss",
		nil, func(e *ended) { _, _ = e.tcp.Write([]byte("\x17\x03\x03\x00\x20this is not what was agreed upon ")) }},
	{"a message is too long", engine.CauseTooLong, everyScheme, []Setting{WithMaxMessageSize(10)}, func(e *ended) {
		e.frame(2, string(binary.BigEndian.AppendUint32(nil, 11)))
	}},
	{"nothing comes", engine.CauseIdle, everyScheme, []Setting{WithIdleTimeout(50 * time.Millisecond)}, (*ended).readToTheEnd},
	{"nothing comes, and the peer resets when that ends it", engine.CauseIdle, everyScheme,
		[]Setting{WithIdleTimeout(50 * time.Millisecond), WithCloseTimeout(-1)}, func(e *ended) {
			e.fill()
			e.awaitEnd()
			e.reset()
		}},
	{"nothing comes, and nothing is taken", engine.CauseIdle, everyScheme,
		[]Setting{WithIdleTimeout(50 * time.Millisecond), WithCloseTimeout(50 * time.Millisecond)}, (*ended).fill},
	{"no message comes", engine.CauseFirstMessage, everyScheme, []Setting{WithFirstMessageTimeout(50 * time.Millisecond)}, (*ended).readToTheEnd},
	{"it is old", engine.CauseAge, everyScheme, []Setting{WithMaxAge(50 * time.Millisecond)}, (*ended).readToTheEnd},
	{"too many messages", engine.CauseRate, everyScheme, []Setting{WithRateMessages(2), WithRatePolicy(RateCut)}, func(e *ended) {
		e.frame(2, strings.Repeat(string(frame("x")), 20))
	}},
	{"its queue is full", engine.CauseQueueBound, everyScheme, []Setting{WithSendBytes(100_000), WithFullPolicy(FullCut)}, (*ended).fill},
	{"the socket drains", engine.CauseDrained, everyScheme, nil, func(e *ended) {
		must(e.t, e.k.Drain(0, 0), "Drain")
		e.readToTheEnd()
	}},
	{"the socket drains, and nothing is taken", engine.CauseStalled, everyScheme, []Setting{WithCloseTimeout(50 * time.Millisecond)}, func(e *ended) {
		e.fill()
		must(e.t, e.k.Drain(0, 0), "Drain")
	}},
	{"the socket drains, and the peer is aborted", engine.CauseAbortedHere, everyScheme, []Setting{WithCloseTimeout(-1)}, func(e *ended) {
		e.fill()
		must(e.t, e.k.Drain(0, 0), "Drain")
		must(e.t, e.k.AbortPeer(e.up.Peer), "AbortPeer")
	}},
	{"closed here", engine.CauseClosedHere, everyScheme, nil, func(e *ended) {
		must(e.t, e.k.ClosePeer(e.up.Peer), "ClosePeer")
		e.readToTheEnd()
	}},
	{"closed here, and reset by the peer meanwhile", engine.CauseClosedHere, everyScheme, []Setting{WithCloseTimeout(-1)}, func(e *ended) {
		e.fill()
		must(e.t, e.k.ClosePeer(e.up.Peer), "ClosePeer")
		e.awaitEnd()
		e.reset()
	}},
	{"aborted here", engine.CauseAbortedHere, everyScheme, nil, func(e *ended) {
		must(e.t, e.k.AbortPeer(e.up.Peer), "AbortPeer")
	}},
	{"closed here, then aborted", engine.CauseAbortedHere, everyScheme, []Setting{WithCloseTimeout(-1)}, func(e *ended) {
		e.fill()
		must(e.t, e.k.ClosePeer(e.up.Peer), "ClosePeer")
		must(e.t, e.k.AbortPeer(e.up.Peer), "AbortPeer")
	}},
	{"closed here, and nothing is taken", engine.CauseStalled, everyScheme, []Setting{WithCloseTimeout(50 * time.Millisecond)}, func(e *ended) {
		e.fill()
		must(e.t, e.k.ClosePeer(e.up.Peer), "ClosePeer")
	}},
}

// TestReasons: each way to end has one reason, which the event, the monitor and the
// statistics tell alike.
func TestReasons(t *testing.T) {
	for _, way := range waysToEnd {
		for _, scheme := range strings.Fields(way.schemes) {
			Convey(fmt.Sprintf("Over %s, %s", scheme, way.name), t, func() {
				e := newEnded(t, scheme, way.settings...)
				way.end(e)
				e.check(way.why)
			})
		}
	}
}
