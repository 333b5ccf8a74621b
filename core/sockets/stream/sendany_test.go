// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
)

func TestSendAny(t *testing.T) {
	Convey("Two sockets on one endpoint", t, func() {
		bg := t.Context()
		ctx := newContext(t)
		one, two := newFastSocket(t, ctx), newFastSocket(t, ctx)
		must(t, one.Set(WithReusePort(true)), "REUSEPORT")
		endpoint := bind(t, one)
		first, firstID := fastPeer(t, one, endpoint)
		must(t, two.Set(WithReusePort(true)), "REUSEPORT")
		must(t, two.Bind(endpoint), "Bind")
		must(t, one.Unbind(endpoint), "Unbind")
		second, secondID := fastPeer(t, two, endpoint)

		Convey("have peers of different ids, and the id alone is enough to send", func() {
			So(secondID, ShouldNotEqual, firstID)
			must(t, SendAny(bg, firstID, []byte("to the first")), "SendAny")
			must(t, TrySendAny(secondID, []byte("to the second")), "TrySendAny")
			first.want("to the first")
			second.want("to the second")
		})
		Convey("refuse ids that nobody has", func() {
			So(SendAny(bg, 0, nil), shouldBeErrno, errno.EINVAL)
			for _, nobody := range []uint32{firstID + 1, firstID ^ 1<<31, firstID ^ 1<<20, secondID + 999, 1<<32 - 1} {
				So(SendAny(bg, nobody, []byte("x")), shouldBeErrno, errno.EHOSTUNREACH)
				So(TrySendAny(nobody, []byte("x")), shouldBeErrno, errno.EHOSTUNREACH)
			}
			must(t, first.Close(), "Close")
			m, err := one.Recv(bg)
			must(t, err, "Recv")
			So(m.Kind, ShouldEqual, Disconnected)
			eventually(t, "it is gone", func() bool { return errno.Of(TrySendAny(firstID, []byte("x"))) == errno.EHOSTUNREACH })
		})
		Convey("refuse the ids of a closed one at once, and while it is still there", func() {
			must(t, one.Close(), "Close")
			So(SendAny(bg, firstID, []byte("x")), shouldBeErrno, errno.EHOSTUNREACH)
			must(t, SendAny(bg, secondID, []byte("y")), "SendAny")
			second.want("y")
		})
		Convey("keep the errors of a context that ends", func() {
			ctx.Shutdown()
			So(SendAny(bg, firstID, []byte("x")), shouldBeErrno, errno.ETERM)
		})
		Convey("wait for room, as their own sends do, and are held meanwhile", func() {
			unbounded(t, one)
			before := one.pins.Load()
			body := make([]byte, 1<<20)
			var full error
			for full == nil {
				full = TrySendAny(firstID, body)
			}
			So(full, shouldBeErrno, errno.EAGAIN)
			limited, stop := context.WithCancelCause(bg)
			over := make(chan error)
			go func() {
				for { // the kernel may find room for some more
					if err := SendAny(limited, firstID, body); err != nil {
						over <- err
						return
					}
				}
			}()
			eventually(t, "the call holds the socket", func() bool { return one.pins.Load() > before })
			eventually(t, "it waits", func() bool { return one.blocked.Load() > 0 })
			Convey("until they are told to stop", func() {
				stop(errStop)
				So(<-over, ShouldEqual, errStop)
			})
			Convey("until the socket is closed", func() {
				set(t, one, 17, 0) // LINGER
				must(t, one.Close(), "Close")
				So(<-over, shouldBeErrno, errno.EHOSTUNREACH)
				stop(nil)
			})
		})
	})
	Convey("A socket in COMPAT takes nothing by the id alone", t, func() {
		k := newSocket(t, newContext(t))
		_, id := accept(t, k, bind(t, k))
		So(SendAny(t.Context(), binary.BigEndian.Uint32([]byte(id)), []byte("x")), shouldBeErrno, errno.ENOTSUP)
	})
}

// comeAndGo is several sockets on one endpoint that come and go, their clients, and senders to all.
type comeAndGo struct {
	endpoint string
	known    sync.Map // every id that was ever given
	mu       sync.Mutex
	lately   [256]uint32 // some of them; most are of peers that have gone
	wrong    atomic.Pointer[string]
	greeted  atomic.Int64
	sent     atomic.Int64
	over     atomic.Bool
}

func (c *comeAndGo) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.wrong.CompareAndSwap(nil, &text)
}

// open serves on a socket of its own.
func (c *comeAndGo) open(peers int) {
	k, err := Listen(c.endpoint, WithReusePort(true), WithLinger(0))
	if err != nil {
		c.fail("Listen: %v", err)
		return
	}
	c.serve(k, peers)
}

// serve receives until the test is over or the socket has had its peers. Then it closes the socket.
func (c *comeAndGo) serve(k *Socket, peers int) {
	defer func() { _ = k.Close() }()
	for came := 0; came < peers && !c.over.Load(); {
		m, err := k.TryRecv()
		if errno.Of(err) == errno.EAGAIN {
			time.Sleep(100 * time.Microsecond)
			continue
		}
		if err != nil {
			c.fail("Recv: %v", err)
			return
		}
		if m.Kind == Connected {
			came++
			if _, twice := c.known.LoadOrStore(m.Peer, true); twice {
				c.fail("the id %d was given twice", m.Peer)
			}
			if err := TrySendAny(m.Peer, idBytes(m.Peer)); err != nil && errno.Of(err) != errno.EHOSTUNREACH {
				c.fail("a new peer: %v", err)
			}
			c.mu.Lock()
			c.lately[rand.IntN(len(c.lately))] = m.Peer
			c.mu.Unlock()
		}
		m.Release()
	}
}

func idBytes(id uint32) []byte { return binary.BigEndian.AppendUint32(nil, id) }

// send sends to ids that are, were or never were those of peers. Each body is the id that it is for.
func (c *comeAndGo) send() {
	for !c.over.Load() && c.wrong.Load() == nil {
		c.mu.Lock()
		id := c.lately[rand.IntN(len(c.lately))]
		c.mu.Unlock()
		switch rand.IntN(8) {
		case 0: // torn
			id ^= 1 << rand.IntN(32)
		case 1:
			id = rand.Uint32()
		}
		switch err := TrySendAny(id, idBytes(id)); errno.Of(err) {
		case 0:
			c.sent.Add(1)
		case errno.EINVAL, errno.EHOSTUNREACH, errno.EAGAIN:
		default:
			c.fail("SendAny to %d: %v", id, err)
		}
	}
}

// client connects, reads some messages, and goes. All that it gets is for one id, which is its own.
func (c *comeAndGo) client(reads int) {
	conn, err := net.Dial("tcp", c.endpoint[len("tcp://"):])
	if err != nil {
		return // no socket was there
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	var own uint32
	for n := range reads {
		var frame [8]byte
		if _, err := io.ReadFull(conn, frame[:]); err != nil {
			if e, timeout := err.(net.Error); timeout && e.Timeout() {
				c.fail("a client got nothing")
			}
			return // its socket was closed
		}
		id := binary.BigEndian.Uint32(frame[4:])
		if n == 0 {
			own = id
			c.greeted.Add(1)
		}
		if id != own {
			c.fail("a message for %d came to %d", id, own)
		}
	}
}

func TestSendAnyStress(t *testing.T) {
	Convey("Sends to any id, while peers come and go, and sockets close and new ones open", t, func() {
		const sockets, clients, senders, peers = 3, 6, 3, 25
		const least = 300
		first, err := Listen("tcp://127.0.0.1:*", WithReusePort(true), WithLinger(0))
		must(t, err, "Listen")
		c := &comeAndGo{endpoint: first.Addr()}
		var all sync.WaitGroup
		all.Go(func() { c.serve(first, math.MaxInt) })
		for range sockets {
			all.Go(func() {
				for !c.over.Load() && c.wrong.Load() == nil {
					c.open(1 + rand.IntN(peers))
				}
			})
		}
		for range senders {
			all.Go(c.send)
		}
		for range clients {
			all.Go(func() {
				for !c.over.Load() && c.wrong.Load() == nil {
					c.client(1 + rand.IntN(20))
				}
			})
		}
		eventually(t, "enough clients came", func() bool { return c.greeted.Load() >= least || c.wrong.Load() != nil })
		c.over.Store(true)
		all.Wait()
		if wrong := c.wrong.Load(); wrong != nil {
			t.Fatal(*wrong)
		}
		So(c.sent.Load(), ShouldBeGreaterThan, 0)
	})
}
