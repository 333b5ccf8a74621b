// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"unsafe"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sockets"
)

// callBatch is how many messages a run has, and a batch.
const callBatch = 30

// calls is a socket in the mode FAST with one peer whose shard is kept busy, so
// that nobody else reads or writes. The queue to receive from is filled, and
// the one that was sent to is emptied, by what follows, without a network.
type calls struct {
	k    *Socket
	sh   *engine.Shard
	s    *shm.Session
	slab *shm.Slab // a run of callBatch messages
	size int       // of the run's frames
	body []byte
	msgs []Message
}

func newCalls(t testing.TB, size int) *calls {
	t.Helper()
	k := newSocket(t, newContext(t))
	set(t, k, sockets.OptMode, ModeFast)
	set(t, k, sockets.OptSndHwm, 0)
	dial(t, bind(t, k))
	_, err := k.Recv(t.Context())
	must(t, err, "the connect event")
	c := &calls{k: k, sh: k.soleShard(), s: connOf(k).Shared, size: callBatch * (lengthSize + size),
		body: []byte(pattern(size, 1)), msgs: make([]Message, callBatch)}
	busy, end := make(chan struct{}), make(chan struct{})
	c.sh.Post(func() { close(busy); <-end })
	within(t, patience, "a call on the driver", func() { <-busy })
	t.Cleanup(func() { close(end) })
	if c.slab = shm.NewLongSlab(uint64(shm.HeaderSize + c.size)); c.slab == nil {
		t.Fatal("no memory")
	}
	t.Cleanup(c.slab.Release)
	frames := c.slab.Bytes()[shm.HeaderSize:][:0]
	for range callBatch {
		frames = append(binary.BigEndian.AppendUint32(frames, uint32(size)), c.body...)
	}
	return c
}

// arrive is what Conn.pushData does. The messages of the run before must be
// released.
func (c *calls) arrive() {
	at := unsafe.Pointer(&c.slab.Bytes()[0])
	c.slab.Retain()
	*(*shm.Run)(at) = shm.Run{RunHead: shm.RunHead{Msgs: callBatch, Kind: shm.RunData}, Session: c.s,
		Slab: c.slab, Data: (*byte)(unsafe.Add(at, shm.HeaderSize)), Size: uint64(c.size)}
	c.s.RxPush((*shm.Run)(at))
	c.k.shared.RxWaiting.Add(int64(c.size))
	c.k.shared.PushRun((*shm.Run)(at))
}

// leave is what the shard does with a session that was sent to, without the
// system call.
func (c *calls) leave() {
	for s := c.sh.Shared.TakeDirty(); s != nil; {
		next := (*shm.Session)(s.DirtyNext)
		s.Lock()
		s.TxDirty = 0
		head, _ := s.TakeMain()
		s.TxDone.Store(s.TxQueued.Load())
		s.Written(s.TxBytes)
		s.Unlock()
		c.k.shared.Charge(-head.ChainCharge())
		for head != nil {
			chunk := head
			head = (*shm.Chunk)(chunk.Next)
			s.Memory.Add(-int64(chunk.Size))
			shm.FreeChunk(chunk)
		}
		s = next
	}
}

// The forms; each passes callBatch messages on.

func (c *calls) one(ctx context.Context) error {
	for range callBatch {
		m, err := c.k.Recv(ctx)
		if err == nil {
			err = c.k.Send(ctx, m.Peer, m.Body)
		}
		if m.Release(); err != nil {
			return err
		}
	}
	return nil
}

func (c *calls) batch(ctx context.Context) error {
	n, err := c.k.RecvBatch(ctx, c.msgs)
	if err == nil {
		_, err = c.k.SendBatch(ctx, c.msgs[:n])
	}
	return err
}

func (c *calls) loop(ctx context.Context) error {
	left := callBatch
	for m := range c.k.Messages(ctx) {
		if err := c.k.Send(ctx, m.Peer, m.Body); err != nil {
			return err
		}
		if left--; left == 0 {
			break
		}
	}
	return nil
}

var callForms = []struct {
	name string
	call func(*calls, context.Context) error
}{
	{"RecvSend", (*calls).one},
	{"Batch", (*calls).batch},
	{"Messages", (*calls).loop},
}

// BenchmarkCalls is what the calls of the mode FAST cost, from the socket's
// queue to the caller and back into the peer's queue. An operation is one
// message; with it come a thirtieth of pushing a run and of taking the send
// queue.
func BenchmarkCalls(b *testing.B) {
	for _, form := range callForms {
		for _, size := range []int{64, 1 << 10, 64 << 10} {
			b.Run(fmt.Sprintf("%s/%d", form.name, size), func(b *testing.B) {
				c := newCalls(b, size)
				ctx, cancel := context.WithCancel(b.Context())
				defer cancel()
				b.SetBytes(int64(size))
				b.ReportAllocs()
				b.ResetTimer()
				for n := 0; n < b.N; n += callBatch {
					c.arrive()
					must(b, form.call(c, ctx), "%s", form.name)
					c.leave()
				}
			})
		}
	}
}

func TestCallsDoNotAllocate(t *testing.T) {
	if raceBuild {
		t.Skip("the race detector allocates")
	}
	for _, form := range callForms {
		for _, size := range []int{64, 1 << 10, 20_000} {
			c := newCalls(t, size)
			var err error
			perBatch := testing.AllocsPerRun(100, func() {
				c.arrive()
				if e := form.call(c, t.Context()); e != nil {
					err = e
				}
				c.leave()
			})
			Convey(fmt.Sprintf("%s: %d bytes take nothing from Go's heap", form.name, size), t, func() {
				So(err, ShouldBeNil)
				So(perBatch, ShouldBeLessThan, 1)
				So(c.s.TxQueued.Load(), ShouldEqual, 101*callBatch)
			})
		}
	}
}
