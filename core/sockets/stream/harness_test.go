// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

// patience is how long a test waits for something that must happen.
const patience = 60 * time.Second

// message is a routing id and a body.
type message struct{ id, body string }

const (
	connected    = "\x01"
	disconnected = "\x00"
)

// must ends the test from any depth of helpers; So is for what a test is about.
func must(t testing.TB, err error, what string, args ...any) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", fmt.Sprintf(what, args...), err)
	}
}

// eventually waits until the condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			check.PrintTransitions(os.Stderr)
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

// within fails the test when call does not return in time.
func within(t testing.TB, limit time.Duration, what string, call func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		call()
	}()
	select {
	case <-done:
	case <-time.After(limit):
		check.PrintTransitions(os.Stderr)
		stacks := make([]byte, 1<<20)
		t.Fatalf("still not over after %v: %s\n%s", limit, what, stacks[:runtime.Stack(stacks, true)])
	}
}

// newContext returns a context that is terminated at the end of the test, after
// the sockets of newSocket are closed.
func newContext(t testing.TB, options ...int) *core.Context {
	t.Helper()
	ctx := core.NewContext()
	for i := 0; i+1 < len(options); i += 2 {
		must(t, ctx.Set(options[i], options[i+1]), "context option %d", options[i])
	}
	t.Cleanup(func() { within(t, patience, "Term", func() { _ = ctx.Term() }) })
	return ctx
}

// newSocket returns a socket with RCVTIMEO and SNDTIMEO of patience.
func newSocket(t testing.TB, ctx *core.Context) *Socket {
	t.Helper()
	k, err := New(ctx)
	must(t, err, "New")
	t.Cleanup(func() {
		if !k.closed.Load() {
			k.opt.setInt(sockets.OptLinger, 0)
			_ = k.Close()
		}
	})
	set(t, k, sockets.OptRcvTimeo, int(patience/time.Millisecond))
	set(t, k, sockets.OptSndTimeo, int(patience/time.Millisecond))
	return k
}

func set(t testing.TB, k *Socket, opt sockets.Option, v int) {
	t.Helper()
	must(t, k.SetOption(opt, cInt(int32(v))), "option %d = %d", opt, v)
}

func setInt64(t testing.TB, k *Socket, opt sockets.Option, v int64) {
	t.Helper()
	must(t, k.SetOption(opt, binary.NativeEndian.AppendUint64(nil, uint64(v))), "option %d = %d", opt, v)
}

// unbounded lifts the bounds on queued bytes, for a test that queues more for a peer that is
// stuck.
func unbounded(t testing.TB, k *Socket) {
	must(t, k.Set(WithSendBytes(0), WithSendBytesTotal(0)), "no bounds")
}

func getInt(t testing.TB, k *Socket, opt sockets.Option) int {
	t.Helper()
	var buf [4]byte
	n, err := k.Option(opt, buf[:])
	must(t, err, "option %d", opt)
	if n != 4 {
		t.Fatalf("option %d has %d bytes", opt, n)
	}
	return int(int32(binary.NativeEndian.Uint32(buf[:])))
}

// bind listens on a free port of the loopback and returns the endpoint.
func bind(t testing.TB, k *Socket) string {
	t.Helper()
	must(t, k.Bind("tcp://127.0.0.1:*"), "Bind")
	return lastEndpoint(t, k)
}

func lastEndpoint(t testing.TB, k *Socket) string {
	t.Helper()
	buf := make([]byte, 256)
	n, err := k.Option(sockets.OptLastEndpoint, buf)
	must(t, err, "LAST_ENDPOINT")
	return strings.TrimSuffix(string(buf[:n]), "\x00")
}

// receive returns the next message of the socket.
func receive(k *Socket) (message, error) {
	id, more, err := receiveFrame(k)
	if err != nil {
		return message{}, err
	}
	if !more || getMore(k) != 1 {
		return message{}, fmt.Errorf("the id frame %x has no more", id)
	}
	body, more, err := receiveFrame(k)
	if err == nil && (more || getMore(k) != 0) {
		err = fmt.Errorf("the body of %x has more", id)
	}
	return message{id, body}, err
}

func getMore(k *Socket) uint32 { return k.shared.RxMore }

// receiveFrame receives a frame of any size.
func receiveFrame(k *Socket) (string, bool, error) {
	_, frame, more, done, err := k.next(false)
	if err != nil {
		return "", false, err
	}
	text := string(frame)
	if done != nil {
		k.finishRun(done)
	}
	return text, more, nil
}

// want receives one message and returns its id; it fails unless the body is as
// given.
func want(t testing.TB, k *Socket, body string) string {
	t.Helper()
	m, err := receive(k)
	must(t, err, "receive, waiting for %.20q", body)
	if m.body != body {
		t.Fatalf("received %d bytes %.40q, not %d bytes %.40q", len(m.body), m.body, len(body), body)
	}
	return m.id
}

func send(k *Socket, id, body string) error {
	if err := k.SendFrame([]byte(id), true, false); err != nil {
		return err
	}
	return k.SendFrame([]byte(body), false, false)
}

func mustSend(t testing.TB, k *Socket, id, body string) {
	t.Helper()
	must(t, send(k, id, body), "send to %x", id)
}

// pair returns two connected sockets, each with the id of the other.
func pair(t testing.TB, ctx *core.Context, prepare func(server, client *Socket)) (server, client *Socket, toClient, toServer string) {
	t.Helper()
	server, client = newSocket(t, ctx), newSocket(t, ctx)
	if prepare != nil {
		prepare(server, client)
	}
	endpoint := bind(t, server)
	must(t, client.Connect(endpoint), "Connect")
	return server, client, want(t, server, connected), want(t, client, connected)
}

// peer is a plain TCP client that speaks frames.
type peer struct {
	net.Conn
	t testing.TB
}

func dial(t testing.TB, endpoint string) peer {
	t.Helper()
	c, err := net.DialTimeout("tcp", strings.TrimPrefix(endpoint, "tcp://"), patience)
	must(t, err, "dial %s", endpoint)
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	return peer{c, t}
}

func frame(body string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

func (p peer) send(bodies ...string) {
	p.t.Helper()
	var all []byte
	for _, body := range bodies {
		all = append(all, frame(body)...)
	}
	p.write(all)
}

func (p peer) write(raw []byte) {
	p.t.Helper()
	_, err := p.Write(raw)
	must(p.t, err, "write %d bytes", len(raw))
}

// body reads one frame.
func (p peer) body() (string, error) {
	var head [4]byte
	if _, err := io.ReadFull(p, head[:]); err != nil {
		return "", err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err := io.ReadFull(p, body)
	return string(body), err
}

func (p peer) want(body string) {
	p.t.Helper()
	got, err := p.body()
	must(p.t, err, "read a frame")
	if got != body {
		p.t.Fatalf("read %d bytes %.40q, not %d bytes %.40q", len(got), got, len(body), body)
	}
}

// wantEnd expects the end of the stream.
func (p peer) wantEnd() {
	p.t.Helper()
	if body, err := p.body(); err == nil {
		p.t.Fatalf("read %.40q, not the end of the stream", body)
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		p.t.Fatalf("the stream does not end: %v", err)
	}
}

// shouldBeErrno compares the number inside an error.
func shouldBeErrno(actual any, expected ...any) string {
	err, _ := actual.(error)
	if got := errno.Of(err); got != expected[0].(errno.Errno) {
		return fmt.Sprintf("expected %v, got %v (%v)", expected[0], got, err)
	}
	return ""
}

// pattern is a text of n bytes that differs from others with another seed.
func pattern(n, seed int) string {
	b := make([]byte, 0, n+4)
	for x := uint32(seed)*2654435761 + 1; len(b) < n; { // in words: the race detector looks at each store
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	b = b[:n]
	return string(b)
}

// isEvent reports whether a text looks like an event.
func isEvent(body string) bool { return body == connected || body == disconnected }
