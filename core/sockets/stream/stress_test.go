// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core"

	"github.com/zlink/zlink/core/sockets"
)

// client talks to an echo socket over connection after connection, with as many
// batches of random sizes as there are left, and verifies every answer.
type client struct {
	address string
	batches int
	rng     *rand.Rand
	echoed  *atomic.Int64
	closed  *atomic.Int64
}

func (c *client) run() error {
	for c.batches > 0 {
		conn, err := net.DialTimeout("tcp", c.address, patience)
		if err != nil {
			return err
		}
		err = c.talk(conn)
		_ = conn.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *client) size() int {
	switch c.rng.IntN(40) {
	case 0:
		return c.rng.IntN(2 << 20)
	case 1, 2, 3:
		return c.rng.IntN(100_000)
	}
	return c.rng.IntN(2000)
}

// talk ends the connection at random: after an answer, or in the middle of one.
func (c *client) talk(conn net.Conn) error {
	p := peer{Conn: conn}
	for ; c.batches > 0; c.batches-- {
		_ = conn.SetDeadline(time.Now().Add(patience))
		var bodies []string
		var all []byte
		for range 1 + c.rng.IntN(20) {
			body := pattern(c.size(), c.rng.IntN(1<<20)) + "."
			bodies = append(bodies, body)
			all = append(all, frame(body)...)
		}
		wrote := make(chan error, 1)
		go func() {
			_, err := conn.Write(all)
			wrote <- err
		}()
		abandon := c.rng.IntN(8) == 0
		for i, body := range bodies {
			if abandon && i == len(bodies)/2 {
				if c.rng.IntN(2) == 0 {
					_ = conn.(*net.TCPConn).SetLinger(0) // a reset
				}
				c.closed.Add(1)
				_ = conn.Close()
				<-wrote
				c.batches--
				return nil
			}
			got, err := p.body()
			if err != nil || got != body {
				return fmt.Errorf("answer %d of %d bytes: %d bytes, %v", i, len(body), len(got), err)
			}
			c.echoed.Add(1)
		}
		if err := <-wrote; err != nil {
			return err
		}
	}
	return nil
}

func TestEchoStress(t *testing.T) {
	for _, threads := range []int{1, 4} {
		const clients, batches = 8, 24
		ctx := core.NewContext()
		must(t, ctx.Set(core.OptIOThreads, threads), "IO_THREADS")
		k := newSocket(t, ctx)
		setInt64(t, k, sockets.OptAffinity, 1<<threads-1)
		address := strings.TrimPrefix(bind(t, k), "tcp://")
		served := make(chan struct{})
		go func() {
			echo(k)
			close(served)
		}()
		var echoed, closed atomic.Int64
		errs := make([]error, clients)
		var wg sync.WaitGroup
		for i := range clients {
			wg.Add(1)
			go func() {
				defer wg.Done()
				c := client{address, batches, rand.New(rand.NewPCG(uint64(i), 7)), &echoed, &closed}
				errs[i] = c.run()
			}()
		}
		wg.Wait()
		ctx.Shutdown()
		Convey(fmt.Sprintf("Every answer is what was sent, with %d io threads", threads), t, func() {
			for _, err := range errs {
				So(err, ShouldBeNil)
			}
			So(echoed.Load(), ShouldBeGreaterThan, clients*batches) // the random numbers are the same each time
			So(closed.Load(), ShouldBeGreaterThan, 0)
			within(t, patience, "the echo loop", func() { <-served })
			set := k.Close()
			So(set, ShouldBeNil)
			within(t, patience, "Term", func() { _ = ctx.Term() })
		})
	}
}

// TestChurn opens and closes sockets, bound and connected, on shared shards
// while messages are under way.
func TestChurn(t *testing.T) {
	ctx := newContext(t, core.OptIOThreads, 2, core.OptBlocky, 0)
	server := newSocket(t, ctx)
	setInt64(t, server, sockets.OptAffinity, 3)
	endpoint := bind(t, server)
	serve(t, server)
	var wg sync.WaitGroup
	errs := make(chan error, 4)
	for g := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range 40 {
				if err := churn(ctx, endpoint, pattern(100+(n*3571)%90_000, g)+"!"); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	wg.Wait()
	Convey("Every short-lived socket got its answer", t, func() {
		close(errs)
		for err := range errs {
			So(err, ShouldBeNil)
		}
	})
}

func churn(ctx *core.Context, endpoint, body string) error {
	k, err := New(ctx)
	if err != nil {
		return err
	}
	defer k.Close()
	_ = k.SetOption(sockets.OptRcvTimeo, cInt(int32(patience/time.Millisecond)))
	if err := k.Connect(endpoint); err != nil {
		return err
	}
	m, err := receive(k)
	if err != nil || m.body != connected {
		return fmt.Errorf("connect event: %v %.20q", err, m.body)
	}
	for range 3 {
		if err := send(k, m.id, body); err != nil {
			return err
		}
		if got, err := receive(k); err != nil || got.body != body {
			return fmt.Errorf("answer of %d bytes: %d, %v", len(body), len(got.body), err)
		}
	}
	return send(k, m.id, body) // dropped or echoed into the void
}
