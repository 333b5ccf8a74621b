// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sockets"
)

func TestCallsHoldTheSocket(t *testing.T) {
	Convey("A socket that is closed while a call is in progress", t, func() {
		ctx := core.NewContext()
		k := newSocket(t, ctx)
		accept(t, k, bind(t, k))
		k.opt.setInt(sockets.OptLinger, 0)
		So(k.enter(), ShouldBeNil)
		So(k.Close(), ShouldBeNil)
		eventually(t, "no part is left", func() bool {
			k.mu.Lock()
			defer k.mu.Unlock()
			return k.parts == 0
		})

		Convey("keeps its place and its context's threads until the call ends", func() {
			ended := make(chan error, 1)
			go func() { ended <- ctx.Term() }()
			next := shm.NewQueues()
			So(next == k.shared, ShouldBeFalse)
			shm.FreeQueues(next)
			k.soleShard().TryFlush(true) // what a call does with the shard is harmless
			k.soleShard().Wake()
			So(ended, ShouldBeEmpty)
			k.leave()
			within(t, patience, "Term", func() { must(t, <-ended, "Term") })
		})
		Convey("lets no other call in", func() {
			So(k.enter(), ShouldEqual, errno.ENOTSOCK)
			k.leave()
			So(k.enter(), ShouldEqual, errno.ENOTSOCK)
			So(k.pin(), ShouldBeFalse)
			k.terminate() // does nothing
			So(ctx.Term(), ShouldBeNil)
		})
	})
}

// sendUntilGone sends the number of a socket to its peer until there is no such
// socket, and returns how many messages were taken.
func sendUntilGone(k *Socket, peer, number uint32) (taken int, err error) {
	body := binary.BigEndian.AppendUint32(nil, number)
	for {
		switch err := k.TrySend(peer, body); {
		case err == nil:
			taken++
		case errors.Is(err, errno.ENOTSOCK), errors.Is(err, errno.ETERM):
			return taken, nil
		case errors.Is(err, errno.EHOSTUNREACH), errors.Is(err, errno.EAGAIN):
		default:
			return taken, err
		}
	}
}

func TestSendersRaceTheEnd(t *testing.T) {
	Convey("Senders of a socket that closes, and whose context ends, send to none of the next ones", t, func() {
		const rounds, senders = 60, 6
		for round := range uint32(rounds) {
			ctx := core.NewContext()
			k, err := Listen("tcp://127.0.0.1:*", InContext(ctx), WithLinger(0), WithSendHWM(500))
			must(t, err, "listen")
			conn, err := net.Dial("tcp", strings.TrimPrefix(k.Addr(), "tcp://"))
			must(t, err, "dial")
			m, err := k.Recv(context.Background())
			must(t, err, "receive")

			var running sync.WaitGroup
			var taken atomic.Int64
			for range senders {
				running.Go(func() {
					n, err := sendUntilGone(k, m.Peer, round)
					taken.Add(int64(n))
					must(t, err, "send")
				})
			}
			got := make([]byte, 8)
			for n := 0; ; n++ {
				if n == 20 {
					must(t, k.Close(), "close")
					must(t, ctx.Term(), "term")
				}
				if _, err := io.ReadFull(conn, got); err != nil {
					break
				}
				if number := binary.BigEndian.Uint32(got[4:]); number != round {
					t.Fatalf("the peer of socket %d got a message for that of %d", round, number)
				}
			}
			running.Wait()
			if taken.Load() == 0 {
				t.Fatal("nothing was sent")
			}
			_ = conn.Close()
		}
	})
}

func TestEventsDroppedWhileTheSocketCloses(t *testing.T) {
	Convey("A session whose disconnect event a shard drops stays until its other runs are dropped", t, func() {
		k := newSocket(t, newContext(t))
		accept(t, k, bind(t, k))
		s := connOf(k).Shared
		s.Retain() // of the disconnect event
		refs := s.Refs.Load()
		k.mu.Lock()
		k.dropping = true // dropReceived walks runs that lie in the session
		k.mu.Unlock()
		k.releaseUnreceived(s)
		So(s.Refs.Load(), ShouldEqual, refs)
		k.dropUnreceived()
		So(s.Refs.Load(), ShouldEqual, refs-1)
		s.Retain()
		k.releaseUnreceived(s) // nothing walks now
		So(s.Refs.Load(), ShouldEqual, refs-1)
	})
}
