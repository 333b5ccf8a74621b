// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/sockets"
)

// speaker is a raw peer of any transport, which writes frames of zlink.
type speaker struct {
	peer
	web bool
}

// speak connects to an endpoint, and makes the handshakes of its transport.
func speak(t testing.TB, endpoint string) speaker {
	t.Helper()
	kind, address, _ := strings.Cut(strings.TrimSuffix(endpoint, "/"), "://")
	network := "tcp"
	if kind == "ipc" {
		network = "unix"
	}
	conn, err := net.DialTimeout(network, address, patience)
	must(t, err, "dial %s", endpoint)
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(4 * patience))
	if kind == "tls" || kind == "wss" {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, DynamicRecordSizingDisabled: true})
	}
	web := kind == "ws" || kind == "wss"
	if web {
		_, _, err = (ws.Dialer{}).Upgrade(conn, &url.URL{Scheme: "ws", Host: "x", Path: "/"})
		must(t, err, "upgrade %s", endpoint)
	}
	return speaker{peer{conn, t}, web}
}

// wire is a body as it goes over the wire.
func (s speaker) wire(body string) []byte {
	if !s.web {
		return frame(body)
	}
	framed, _ := ws.CompileFrame(ws.MaskFrame(ws.NewBinaryFrame(frame(body))))
	return framed
}

// answer reads what the server sends, a header of WebSocket in front of it.
func (s speaker) answer() (string, error) {
	if s.web {
		if _, err := ws.ReadHeader(s); err != nil {
			return "", err
		}
	}
	return s.body()
}

// crowd is a server with many flooders and one quiet peer. took counts what the
// application has taken of the flooders, in bytes of the stream.
type crowd struct {
	k     *Socket
	took  atomic.Int64
	at    atomic.Int64 // took, when the last question of the quiet peer was taken
	limit atomic.Int64 // of took, at which the flooders end
	quiet string       // its bodies
}

// serve takes everything, one message at a time, and answers the quiet peer.
func (c *crowd) serve() {
	for {
		m, err := receive(c.k)
		if err != nil {
			return
		}
		switch {
		case m.body == c.quiet:
			c.at.Store(c.took.Load())
			if send(c.k, m.id, "answer") != nil {
				return
			}
		case !isEvent(m.body):
			c.took.Add(int64(4 + len(m.body)))
		}
	}
}

// flood writes bodies of a size until the limit.
func (c *crowd) flood(s speaker, size int) {
	wire := s.wire(strings.Repeat("f", size))
	wire = bytes.Repeat(wire, 1+(32<<10)/len(wire))
	for c.took.Load() < c.limit.Load() {
		if _, err := s.Write(wire); err != nil {
			return
		}
	}
}

// ask returns what the application took of the flooders between a question that the
// server's system has and its answer.
func (c *crowd) ask(s speaker) (between int64, err error) {
	if _, err = s.Write(s.wire(c.quiet)); err != nil {
		return 0, err
	}
	before := c.took.Load()
	c.limit.Store(before + tooMuch)
	_, err = s.answer()
	return max(0, c.at.Load()-before), err
}

const (
	// flooders are more than a socket that has caught up by half takes a turn of.
	flooders = 12
	// What lies in front of a message: what waits in the socket, with the turn that
	// was beyond, and of each flooder what the system had when the message came, and
	// a few turns (pollTurns of core/engine).
	oneTurn = 256 << 10
	inFront = throttle + oneTurn + flooders*(oneTurn+3*oneTurn)
	// tooMuch is the amount at which the flooders stop.
	tooMuch = 4 * inFront
)

// TestFlooders counts bytes, as times depend on the machine.
func TestFlooders(t *testing.T) {
	const rounds = 8
	for _, endpoint := range everyTransport {
		for _, size := range []int{64 << 10, 100, 1} {
			if raceBuild && size == 1 {
				continue // each takes the detector a second
			}
			Convey(fmt.Sprintf("A quiet peer has its turn beside %d that send bodies of %d bytes over %s", flooders, size, endpoint), t, func() {
				c := &crowd{k: newSocket(t, newContext(t)), quiet: "the quiet peer's"}
				c.limit.Store(tooMuch)
				set(t, c.k, sockets.OptRcvBuf, oneTurn/2) // the kernel doubles it
				newIdentity(t, "server").use(t, c.k)
				must(t, c.k.Bind(fresh(strings.TrimSuffix(endpoint, "/some/path"))), "Bind")
				done := make(chan struct{})
				go func() {
					c.serve()
					close(done)
				}()
				end := lastEndpoint(t, c.k)
				quiet := speak(t, end)
				for range flooders {
					go c.flood(speak(t, end), size)
				}
				eventually(t, "the flood", func() bool { return c.took.Load() > 2*throttle })
				for range rounds {
					between, err := c.ask(quiet)
					So(err, ShouldBeNil)
					So(between, ShouldBeLessThanOrEqualTo, inFront)
				}
				c.limit.Store(0)
				c.k.ctx.Shutdown()
				within(t, patience, "the server", func() { <-done })
			})
		}
	}
}
