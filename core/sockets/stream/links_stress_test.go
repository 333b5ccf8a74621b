// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core"
)

// vandal is a peer that ends badly, in one of many ways, each time it connects.
type vandal struct {
	address     string
	secure, web bool
	rng         *rand.Rand
}

// visit connects once. An error is one of the test's own; what the server does
// to a vandal is not looked at, but that it answers a handshake.
func (v vandal) visit() error {
	raw, err := net.DialTimeout("tcp", v.address, patience)
	if err != nil {
		return err
	}
	defer func() { _ = raw.Close() }()
	_ = raw.SetDeadline(time.Now().Add(patience))
	if v.rng.IntN(2) == 0 { // the end is a reset
		_ = raw.(*net.TCPConn).SetLinger(0)
	}
	switch v.rng.IntN(5) {
	case 0: // says nothing
		return nil
	case 1: // the start of a handshake
		hello := "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
		if !v.secure {
			hello = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
		}
		_, _ = raw.Write([]byte(hello[:1+v.rng.IntN(len(hello)-1)]))
		return nil
	case 2: // noise
		_, _ = raw.Write(v.noise())
		return nil
	}
	conn := raw
	if v.secure {
		secure := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
		if err := secure.Handshake(); err != nil {
			return fmt.Errorf("TLS handshake: %w", err)
		}
		conn = secure
	}
	if v.web {
		if _, _, err := (ws.Dialer{}).Upgrade(conn, &url.URL{Scheme: "ws", Host: "x", Path: "/"}); err != nil {
			return fmt.Errorf("WebSocket handshake: %w", err)
		}
	}
	v.talk(raw, conn)
	return nil
}

// talk sends good messages and then breaks the stream on some layer.
func (v vandal) talk(raw, conn net.Conn) {
	for range v.rng.IntN(4) {
		_, _ = conn.Write(v.wrapped(frame(pattern(v.rng.IntN(5000), 1))))
	}
	whole := v.wrapped(frame(pattern(70_000, 2)))
	switch v.rng.IntN(4) {
	case 0: // in the middle of a message
		_, _ = conn.Write(whole[:1+v.rng.IntN(len(whole)-1)])
	case 1: // noise where WebSocket or zlink has its frames
		_, _ = conn.Write(v.noise())
	case 2: // noise where TLS has its records
		_, _ = raw.Write(v.noise())
	case 3: // the end, with all answers under way
		_, _ = conn.Write(whole)
	}
}

// wrapped puts data into a WebSocket frame, if there are such.
func (v vandal) wrapped(data []byte) []byte {
	if !v.web {
		return data
	}
	framed, _ := ws.CompileFrame(ws.MaskFrame(ws.NewBinaryFrame(data)))
	return framed
}

func (v vandal) noise() []byte {
	noise := make([]byte, 1+v.rng.IntN(3000))
	for i := range noise {
		noise[i] = byte(v.rng.Uint32())
	}
	return noise
}

// faithful exchanges messages over one connection until over, and verifies every
// answer.
func faithful(ctx *core.Context, endpoint string, seed int, over *atomic.Bool, echoed *atomic.Int64) error {
	k, err := New(ctx)
	if err != nil {
		return err
	}
	defer k.Close()
	_ = k.Set(WithRecvTimeout(patience), WithTLSVerify(false, ""))
	if err := k.Connect(endpoint); err != nil {
		return err
	}
	up, err := receive(k)
	if err != nil || up.body != connected {
		return fmt.Errorf("connect event: %v %.20q", err, up.body)
	}
	for n := 0; !over.Load(); n++ {
		const window = 8
		for i := range window {
			if err := send(k, up.id, pattern(2+(n*977+i*7919)%40_000, seed+i)); err != nil {
				return err
			}
		}
		for i := range window {
			want := pattern(2+(n*977+i*7919)%40_000, seed+i)
			if got, err := receive(k); err != nil || got.body != want {
				return fmt.Errorf("answer of %d bytes: %d, %v", len(want), len(got.body), err)
			}
			echoed.Add(1)
		}
	}
	return nil
}

// TestLinkStress has peers of every kind of bad end beside good ones: each bad
// one loses its connection, and the good ones nothing.
func TestLinkStress(t *testing.T) {
	visits := fewer(1000)
	for _, transport := range []string{"ws", "tls", "wss"} {
		ctx := core.NewContext()
		server := newSocket(t, ctx)
		newIdentity(t, "server").use(t, server)
		must(t, server.Set(WithHandshakeTimeout(patience), WithLinger(0)), "settings")
		must(t, server.Bind(transport+"://127.0.0.1:*"), "Bind")
		endpoint := lastEndpoint(t, server)
		_, address, _ := strings.Cut(endpoint, "://")
		served := make(chan struct{})
		go func() {
			echo(server)
			close(served)
		}()

		var over atomic.Bool
		var echoed atomic.Int64
		var good, bad sync.WaitGroup
		errs := make(chan error, 6)
		clients := core.NewContext()
		for i := range 3 {
			good.Add(1)
			go func() {
				defer good.Done()
				if err := faithful(clients, endpoint, i, &over, &echoed); err != nil {
					errs <- err
				}
			}()
		}
		for i := range 3 {
			bad.Add(1)
			go func() {
				defer bad.Done()
				v := vandal{address: strings.TrimSuffix(address, "/"), secure: transport != "ws", web: transport != "tls",
					rng: rand.New(rand.NewPCG(uint64(i), 11))}
				for range visits / 3 {
					if err := v.visit(); err != nil {
						errs <- err
						return
					}
				}
			}()
		}
		bad.Wait()
		alone := func() bool { count, _ := server.PeerCount(); return count == 3 }
		eventually(t, "the bad peers' end", alone)
		more := echoed.Load() + 100
		eventually(t, "answers afterwards", func() bool { return echoed.Load() >= more || len(errs) > 0 })
		over.Store(true)
		good.Wait()
		Convey(fmt.Sprintf("Good peers lose nothing beside %d bad ones over %s", visits, transport), t, func() {
			close(errs)
			for err := range errs {
				So(err, ShouldBeNil)
			}
			within(t, patience, "the clients' Term", func() { _ = clients.Term() })
			eventually(t, "the good peers' end", func() bool { count, _ := server.PeerCount(); return count == 0 })
			ctx.Shutdown()
			within(t, patience, "the echo loop", func() { <-served })
			So(server.Close(), ShouldBeNil)
			within(t, patience, "Term", func() { _ = ctx.Term() })
		})
	}
}
