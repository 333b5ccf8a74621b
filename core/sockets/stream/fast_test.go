// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sockets"
)

var errStop = errors.New("the test stops it")

func newFastSocket(t testing.TB, ctx *core.Context) *Socket {
	k := newSocket(t, ctx)
	set(t, k, sockets.OptMode, ModeFast)
	return k
}

// fastPeer returns a new client of the socket and its routing id.
func fastPeer(t testing.TB, k *Socket, endpoint string) (peer, uint32) {
	t.Helper()
	p := dial(t, endpoint)
	m, err := k.Recv(context.Background())
	must(t, err, "Recv")
	if m.Kind != Connected || m.Peer == 0 || len(m.Body) > 0 {
		t.Fatalf("not a connect event: %+v", m)
	}
	return p, m.Peer
}

func recvAll(k *Socket, n int) (bodies []string, err error) {
	msgs := make([]Message, n)
	for len(bodies) < n {
		got, err := k.RecvBatch(context.Background(), msgs[:n-len(bodies)])
		if err != nil {
			return bodies, err
		}
		for i := range got {
			bodies = append(bodies, string(msgs[i].Body))
			msgs[i].Release()
		}
	}
	return bodies, nil
}

func TestFastMessages(t *testing.T) {
	Convey("A socket in the mode FAST with a client", t, func() {
		bg := context.Background()
		k := newFastSocket(t, newContext(t))
		p, id := fastPeer(t, k, bind(t, k))

		Convey("receives bodies with their peer, of every size", func() {
			for _, size := range []int{0, 1, 63, 64, 1000, 70_000, 1 << 20} {
				body := pattern(size, size)
				go p.send(body)
				m, err := k.Recv(bg)
				So(err, ShouldBeNil)
				So(m.Peer, ShouldEqual, id)
				So(m.Kind, ShouldEqual, Data)
				So(string(m.Body) == body, ShouldBeTrue)
				So(k.Send(bg, id, m.Body), ShouldBeNil)
				m.Release()
				So(m.Body, ShouldBeNil)
				m.Release() // once more does no harm
				p.want(body)
			}
		})

		Convey("takes one-byte bodies for data, and announces the end", func() {
			p.send(connected, disconnected)
			So(p.Close(), ShouldBeNil)
			bodies, err := recvAll(k, 2)
			So(err, ShouldBeNil)
			So(bodies, ShouldResemble, []string{connected, disconnected})
			m, err := k.Recv(bg)
			So(err, ShouldBeNil)
			So([]any{m.Peer, m.Kind, m.Reason()}, ShouldResemble, []any{id, Disconnected, engine.CausePeerClosed})
		})

		Convey("gives what is there without waiting", func() {
			_, err := k.TryRecv()
			So(err, shouldBeErrno, errno.EAGAIN)
			msgs := make([]Message, 8)
			_, err = k.TryRecvBatch(msgs)
			So(err, shouldBeErrno, errno.EAGAIN)
			p.send("a", "b", "c")
			n := 0
			eventually(t, "three messages", func() bool {
				got, _ := k.TryRecvBatch(msgs[n:])
				n += got
				return n == 3
			})
			So(string(msgs[2].Body), ShouldEqual, "c")
			_, err = k.RecvBatch(bg, nil)
			So(err, shouldBeErrno, errno.EINVAL)
		})

		Convey("sends batches, and stops at the first it cannot take", func() {
			n, err := k.SendBatch(bg, []Message{{Peer: id, Body: []byte("1")}, {Peer: id, Body: []byte("2")}})
			So(n, ShouldEqual, 2)
			So(err, ShouldBeNil)
			n, err = k.TrySendBatch([]Message{{Peer: id, Body: []byte("3")}, {Peer: id + 9}, {Peer: id, Body: []byte("4")}})
			So(n, ShouldEqual, 1)
			So(err, shouldBeErrno, errno.EHOSTUNREACH)
			n, err = k.SendBatch(bg, []Message{{}})
			So(n, ShouldEqual, 0)
			So(err, shouldBeErrno, errno.EINVAL)
			_, err = k.SendBatch(bg, nil)
			So(err, shouldBeErrno, errno.EINVAL)
			p.want("1")
			p.want("2")
			p.want("3")
		})

		Convey("closes a peer after what is queued", func() {
			So(k.TrySend(id, []byte("last")), ShouldBeNil)
			So(k.ClosePeer(id), ShouldBeNil)
			p.want("last")
			p.wantEnd()
			m, err := k.Recv(bg)
			So(err, ShouldBeNil)
			So(m.Kind, ShouldEqual, Disconnected)
			So(k.ClosePeer(id), shouldBeErrno, errno.EHOSTUNREACH)
			So(k.ClosePeer(0), shouldBeErrno, errno.EINVAL)
			So(k.Send(bg, id, nil), shouldBeErrno, errno.EHOSTUNREACH)
		})

		Convey("counts what it did", func() {
			p.send("12345")
			_, err := recvAll(k, 1)
			So(err, ShouldBeNil)
			So(k.Send(bg, id, []byte("123")), ShouldBeNil)
			p.want("123")
			s, err := k.Stats()
			So(err, ShouldBeNil)
			So(s.Memory, ShouldBeGreaterThan, 0)
			s.Memory, s.MsgsQueued, s.BytesQueued = 0, 0, 0
			So(s, ShouldResemble, Stats{Connections: 1, Accepted: 1, MsgsIn: 1, BytesIn: 9, MsgsOut: 1, BytesOut: 7})
		})

		Convey("is ranged over until the loop or the context ends", func() {
			ctx, cancel := context.WithCancel(bg)
			defer cancel()
			p.send("a", "b", "c", "d")
			var bodies []string
			for m := range k.Messages(ctx) {
				if bodies = append(bodies, string(m.Body)); len(bodies) == 2 {
					break
				}
			}
			for m := range k.Messages(ctx) {
				if bodies = append(bodies, string(m.Body)); len(bodies) == 4 {
					cancel()
				}
			}
			So(bodies, ShouldResemble, []string{"a", "b", "c", "d"})
			_, err := k.Recv(ctx)
			So(err, ShouldEqual, context.Canceled)
		})

		Convey("refuses frames, and a socket in the mode COMPAT refuses messages", func() {
			So(k.SendFrame([]byte{0, 0, 0, 1}, true, true), shouldBeErrno, errno.ENOTSUP)
			_, _, err := k.RecvFrame(nil, true)
			So(err, shouldBeErrno, errno.ENOTSUP)
			compat := newSocket(t, newContext(t))
			_, err = compat.TryRecv()
			So(err, shouldBeErrno, errno.ENOTSUP)
			So(compat.TrySend(1, nil), shouldBeErrno, errno.ENOTSUP)
			So(compat.ClosePeer(1), shouldBeErrno, errno.ENOTSUP)
		})
	})
}

// endsWith runs call, which blocks, and returns how it ends after stop.
func endsWith(t testing.TB, stop func(), call func() error) (err error) {
	t.Helper()
	within(t, patience, "a blocked call", func() {
		time.AfterFunc(50*time.Millisecond, stop)
		err = call()
	})
	return err
}

func TestFastBatchIsWritten(t *testing.T) {
	Convey("A batch is written before its call is over when nobody drives, also one that was refused in part", t, func() {
		bg := context.Background()
		k := newFastSocket(t, newContext(t))
		p, id := fastPeer(t, k, bind(t, k))
		for free := false; !free; {
			p.send("q")
			m, err := k.Recv(bg)
			So(err, ShouldBeNil)
			m.Release()
			n, err := k.SendBatch(bg, []Message{{Peer: id, Body: []byte("a")}, {Peer: id, Body: []byte("b")}, {Peer: id + 9}})
			left := !k.soleShard().Shared.Dirty.Empty()
			free = k.soleShard().Shared.Driver.Load() == shm.DriverNone // else the thread came back in time
			So(n, ShouldEqual, 2)
			So(err, shouldBeErrno, errno.EHOSTUNREACH)
			So(free && left, ShouldBeFalse)
			p.want("a")
			p.want("b")
		}
	})
}

func TestFastCancel(t *testing.T) {
	Convey("A context ends a Recv", t, func() {
		ctx, cancel := context.WithCancelCause(context.Background())
		stop := func() { cancel(errStop) }
		recv := func(k *Socket) func() error {
			return func() error { _, err := k.Recv(ctx); return err }
		}
		k := newFastSocket(t, newContext(t))
		set(t, k, sockets.OptRcvTimeo, -1)
		set(t, k, sockets.OptSndTimeo, -1)

		Convey("of a socket without a shard", func() {
			So(endsWith(t, stop, recv(k)), ShouldEqual, errStop)
		})
		Convey("that waited with the same context before", func() {
			p, _ := fastPeer(t, k, bind(t, k))
			for range 3 {
				time.AfterFunc(5*time.Millisecond, func() { p.send("first") })
				_, err := k.Recv(ctx)
				So(err, ShouldBeNil)
			}
			watch := k.watch.Load()
			So(watch.Watching(), ShouldBeTrue)
			So(testing.AllocsPerRun(10, func() { watch.Begin(ctx); watch.End() }), ShouldEqual, 0)
			So(endsWith(t, stop, recv(k)), ShouldEqual, errStop)
			Convey("and not the next one, which has another", func() {
				other, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
				defer cancel()
				_, err := k.Recv(other)
				So(err, ShouldEqual, context.DeadlineExceeded)
				So(watch.Watching(), ShouldBeFalse)
			})
		})
		Convey("whose socket is forgotten by the context when it is closed", func() {
			_, _ = fastPeer(t, k, bind(t, k))
			watch := k.ctxWatch()
			watch.Begin(ctx)
			watch.End()
			So(watch.Watching(), ShouldBeFalse)
			watch.Begin(ctx)
			watch.End()
			So(watch.Watching(), ShouldBeTrue)
			So(k.Close(), ShouldBeNil)
			So(watch.Watching(), ShouldBeFalse)
			watch.Begin(context.Background())
			watch.Begin(ctx)
			So(watch.Watching(), ShouldBeFalse)
		})
		Convey("that drives", func() {
			p, _ := fastPeer(t, k, bind(t, k))
			So(endsWith(t, stop, recv(k)), ShouldEqual, errStop)
			p.send("afterwards")
			m, err := k.Recv(context.Background())
			So(err, ShouldBeNil)
			So(string(m.Body), ShouldEqual, "afterwards")
			_, err = k.Recv(ctx)
			So(err, ShouldEqual, errStop)
		})
		Convey("that sleeps, as another socket uses the shard", func() {
			c := newContext(t, core.OptIOThreads, 1)
			one, two := newFastSocket(t, c), newFastSocket(t, c)
			set(t, one, sockets.OptRcvTimeo, -1)
			bind(t, two)
			bind(t, one)
			So(endsWith(t, stop, recv(one)), ShouldEqual, errStop)
		})
		Convey("before it began", func() {
			bind(t, k)
			stop()
			So(recv(k)(), ShouldEqual, errStop)
		})
		Convey("and a Send that waits for room, but not others", func() {
			set(t, k, sockets.OptSndHwm, 1)
			p, id := fastPeer(t, k, bind(t, k))
			body := make([]byte, 1<<20)
			other := make(chan error, 1)
			fill := func(ctx context.Context) (err error) {
				for err == nil {
					err = k.Send(ctx, id, body)
				}
				return err
			}
			go func() { other <- fill(context.Background()) }()
			So(endsWith(t, stop, func() error { return fill(ctx) }), ShouldEqual, errStop)
			select {
			case err := <-other:
				So(err, ShouldBeNil) // it must still wait
			case <-time.After(50 * time.Millisecond):
			}
			_ = p.Close()
			So(<-other, shouldBeErrno, errno.EHOSTUNREACH)
		})
	})
}

// TestFastSenders has goroutines send to several peers while one receives.
func TestFastSenders(t *testing.T) {
	const senders, peers, each = 8, 4, 200
	k := newFastSocket(t, newContext(t))
	set(t, k, sockets.OptSndHwm, 20)
	endpoint := bind(t, k)
	var ids [peers]uint32
	var clients [peers]peer
	for i := range peers {
		clients[i], ids[i] = fastPeer(t, k, endpoint)
	}
	bg := context.Background()
	failed := make(chan error, senders+peers+1)
	var sending, reading sync.WaitGroup
	for s := range uint32(senders) {
		sending.Go(func() {
			body := func(n uint32) []byte {
				return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, s), n)
			}
			for n := uint32(0); n < each; n += 2 {
				for _, id := range ids {
					if err := k.Send(bg, id, body(n)); err != nil {
						failed <- err
					}
				}
				var batch []Message
				for _, id := range ids {
					batch = append(batch, Message{Peer: id, Body: body(n + 1)})
				}
				if _, err := k.SendBatch(bg, batch); err != nil {
					failed <- err
				}
			}
		})
	}
	for _, p := range clients {
		reading.Go(func() {
			var next [senders]uint32
			for range senders * each {
				body, err := p.body()
				if err != nil || len(body) != 8 {
					failed <- fmt.Errorf("read %x: %v", body, err)
					return
				}
				s, n := binary.BigEndian.Uint32([]byte(body)), binary.BigEndian.Uint32([]byte(body[4:]))
				if s >= senders || n != next[s] {
					failed <- fmt.Errorf("message %d of sender %d out of order", n, s)
					return
				}
				next[s]++
				if n%10 == 0 {
					_, _ = p.Write(frame("thanks"))
				}
			}
		})
	}
	bodies, err := recvAll(k, peers*senders*each/10)
	within(t, patience, "the senders", sending.Wait)
	within(t, patience, "the clients", reading.Wait)
	Convey("Every message arrives whole and in its sender's order", t, func() {
		So(err, ShouldBeNil)
		So(len(bodies), ShouldEqual, peers*senders*each/10)
		So(len(failed), ShouldEqual, 0)
		s, err := k.Stats()
		So(err, ShouldBeNil)
		So(s.MsgsOut, ShouldEqual, peers*senders*each)
	})
}
