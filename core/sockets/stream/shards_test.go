// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

// echo answers every message of the socket until the context is shut down or
// the socket closed, and returns how many.
func echo(k *Socket) (n int) {
	_ = k.SetOption(sockets.OptRcvTimeo, cInt(-1))
	var to []byte
	for {
		_, id, _, _, err := k.next(false)
		if err != nil {
			return n
		}
		to = append(to[:0], id...)
		_, body, _, done, err := k.next(false)
		if err != nil {
			return n
		}
		event := len(body) == 1 && body[0] <= 1
		if !event && k.SendFrame(to, true, false) == nil && k.SendFrame(body, false, false) == nil {
			n++
		}
		if done != nil {
			k.finishRun(done)
		}
	}
}

// serve echoes on a goroutine until the end of the test.
func serve(t testing.TB, k *Socket) {
	done := make(chan struct{})
	go func() {
		echo(k)
		close(done)
	}()
	t.Cleanup(func() {
		k.ctx.Shutdown()
		within(t, patience, "the echo loop", func() { <-done })
	})
}

func shardsOf(k *Socket) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.shards)
}

func TestManyShards(t *testing.T) {
	const connections, rounds = 200, 10
	k := newSocket(t, newContext(t, core.OptIOThreads, 4))
	setInt64(t, k, sockets.OptAffinity, 15)
	endpoint := bind(t, k)
	serve(t, k)
	var wg sync.WaitGroup
	bad := make(chan error, connections)
	for c := range connections {
		p := dial(t, endpoint)
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range rounds {
				body := pattern(2+(n*977+c*31)%5000, c)
				if _, err := p.Write(frame(body)); err != nil {
					bad <- err
					return
				}
				if got, err := p.body(); err != nil || got != body {
					bad <- err
					return
				}
			}
		}()
	}
	wg.Wait()
	Convey("Connections spread over all shards of AFFINITY echo correctly", t, func() {
		So(len(bad), ShouldEqual, 0)
		So(shardsOf(k), ShouldEqual, 4)
	})
}

func TestReceiveWhileAnotherShardJoins(t *testing.T) {
	Convey("A receive call that drives the first shard hears of a connection on the second one", t, func() {
		for range 20 {
			k := newSocket(t, newContext(t, core.OptIOThreads, 2))
			setInt64(t, k, sockets.OptAffinity, 3)
			endpoint := bind(t, k)
			accept(t, k, endpoint)
			result := make(chan error, 1)
			go func() {
				_, err := receive(k)
				result <- err
			}()
			eventually(t, "the receive call drives", func() bool {
				return k.soleShard().Shared.Dirty.Asleep()
			})
			p := dial(t, endpoint) // goes to the second shard, the less busy one
			So(<-result, ShouldBeNil)
			So(shardsOf(k), ShouldEqual, 2)
			p.send("hello")
			want(t, k, "hello")
		}
	})
}

// TestLatencyOfSeveralShards: a hand-over to a receive call that may not drive,
// as its socket has several shards, leaves the shard alone for a tick.
func TestLatencyOfSeveralShards(t *testing.T) {
	k := newSocket(t, newContext(t, core.OptIOThreads, 2))
	setInt64(t, k, sockets.OptAffinity, 3)
	endpoint := bind(t, k)
	p, _ := accept(t, k, endpoint)
	accept(t, k, endpoint)
	serve(t, k)
	const enough = 50
	quick := 0
	for over := time.Now().Add(patience); quick < enough && time.Now().Before(over); {
		start := time.Now()
		p.send("ping")
		p.want("ping")
		if time.Since(start) < 800*time.Microsecond {
			quick++
		}
	}
	Convey("An answer of a socket with two shards does not wait for the watch tick", t, func() {
		So(shardsOf(k), ShouldEqual, 2)
		So(quick, ShouldEqual, enough) // with the tick in it none is; a busy machine takes longer
	})
}

func TestSeveralSocketsOnAShard(t *testing.T) {
	Convey("Several sockets on one shard echo independently", t, func() {
		ctx := newContext(t, core.OptIOThreads, 1)
		var peers []peer
		for range 6 {
			k := newSocket(t, ctx)
			peers = append(peers, dial(t, bind(t, k)))
			serve(t, k)
		}
		for n := range 50 {
			for i, p := range peers {
				p.send(pattern(100+n, i))
			}
			for i, p := range peers {
				p.want(pattern(100+n, i))
			}
		}
	})
	Convey("A receive call that drives goes on when a second socket comes to its shard, and goes", t, func() {
		ctx := newContext(t, core.OptIOThreads, 1)
		first := newSocket(t, ctx)
		p := dial(t, bind(t, first))
		serve(t, first)
		for range 20 {
			p.send("alone")
			p.want("alone")
			second := newSocket(t, ctx)
			q, id := accept(t, second, bind(t, second))
			q.send("to the second")
			So(want(t, second, "to the second"), ShouldEqual, id)
			p.send("together")
			p.want("together")
			mustSend(t, second, id, "back")
			q.want("back")
			must(t, second.Close(), "Close")
			p.send("alone again")
			p.want("alone again")
			q.wantEnd()
		}
	})
	Convey("AFFINITY that names no io thread is EMTHREAD", t, func() {
		k := newSocket(t, newContext(t, core.OptIOThreads, 2))
		setInt64(t, k, sockets.OptAffinity, 4)
		So(k.Bind("tcp://127.0.0.1:*"), shouldBeErrno, errno.EMTHREAD)
		So(k.Connect("tcp://127.0.0.1:1"), shouldBeErrno, errno.EMTHREAD)
		setInt64(t, k, sockets.OptAffinity, 6)
		So(k.Bind("tcp://127.0.0.1:*"), ShouldBeNil)
	})
	Convey("A caller that does not come back delays nobody for long", t, func() {
		k := newSocket(t, newContext(t))
		p, id := accept(t, k, bind(t, k))
		p.send("x")
		want(t, k, "x")
		body := pattern(8<<20, 1) // more than one write
		mustSend(t, k, id, body)
		p.want(body)
	})
}

func TestDrainWaitsForTheWay(t *testing.T) {
	Convey("A connection on its way to another io thread is a part of its socket", t, func() {
		ctx := newContext(t, core.OptIOThreads, 2)
		k := newFastSocket(t, ctx)
		setInt64(t, k, sockets.OptAffinity, 3)
		endpoint := bind(t, k)
		home := k.shards[0] // the listener's
		busy, err := ctx.Shard(1)
		must(t, err, "the first io thread")
		if busy == home {
			busy, err = ctx.Shard(2)
			must(t, err, "the second io thread")
		}
		goOn := make(chan struct{})
		busy.Post(func() { <-goOn })
		for range 4 {
			c, err := net.Dial("tcp", endpoint[len("tcp://"):])
			must(t, err, "a client")
			t.Cleanup(func() { _ = c.Close() })
		}
		m, err := k.Monitor(engine.EventClosed | engine.EventAccepted | engine.EventDisconnected | engine.EventDrained)
		must(t, err, "Monitor")
		t.Cleanup(func() { _ = m.Close() })
		eventually(t, "some are on their way", func() bool { return busy.Connections() > 0 })

		Convey("and a drain waits for it", func() {
			must(t, k.Drain(0, 0), "Drain")
			within(t, patience, "the listener's end", func() {
				for e := (engine.Event{}); e.Kind != engine.EventClosed; {
					e, err = m.Recv(false)
					must(t, err, "the listener's event")
				}
			})
			gone := make(chan struct{})
			home.Post(func() { close(gone) })
			<-gone
			k.mu.Lock()
			over := k.drain.over
			k.mu.Unlock()
			close(goOn)
			So(over, ShouldBeFalse)
			came, went := 0, 0
			for kind := Connected; kind != Drained; {
				msg, err := k.Recv(context.Background())
				must(t, err, "Recv")
				if kind = msg.Kind; kind == Connected {
					came++
				} else if kind == Disconnected {
					went++
				}
				msg.Release()
			}
			So(came, ShouldEqual, 4)
			So(went, ShouldEqual, 4)
		})
		Convey("and the end of a closed one waits for it", func() {
			must(t, k.Close(), "Close")
			So(k.pins.Load(), ShouldEqual, 1)
			close(goOn)
			eventually(t, "the socket is gone", func() bool { return k.pins.Load() == 0 })
			So(k.admission.Idle(), ShouldBeTrue)
		})
	})
}
