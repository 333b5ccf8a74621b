// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"sync/atomic"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/shm"
)

// ownerStub is a socket without an application.
type ownerStub struct {
	Owner
	account *shm.Account
	shared  *shm.Queues
	rid     uint32 // of the last connection
	held    atomic.Int64
	gone    int

	receiving bool // a receive call is woken that can drive

	admission Admission
}

func (o *ownerStub) Admission() *Admission { return &o.admission }

func (o *ownerStub) Shared() *shm.Queues { return o.shared }
func (o *ownerStub) Account() *shm.Account {
	if o.account == nil {
		o.account = shm.NewAccount()
	}
	return o.account
}
func (o *ownerStub) Attach(c *Conn, _ []byte) error {
	o.rid++
	c.Shared.Lock()
	defer c.Shared.Unlock()
	c.Shared.Rid.Store(o.rid)
	c.Shared.TxState = shm.TxOpen
	return nil
}
func (o *ownerStub) Detach(c *Conn)              { c.Detached() }
func (o *ownerStub) LeaveGroups(*Conn)           {}
func (o *ownerStub) Forget(*Conn)                {}
func (o *ownerStub) CloseTimeout() time.Duration { return 10 * time.Second }
func (o *ownerStub) Gone(any)                    { o.gone++ }
func (o *ownerStub) WakeReaders() bool           { return o.receiving }
func (o *ownerStub) TurnedAway(Cause)            {}
func (o *ownerStub) Unreceived(s *shm.Session)   { s.Release() }
func (o *ownerStub) WakeSenders()                {}
func (o *ownerStub) Starve(*shm.Session, uint32) {}
func (o *ownerStub) Relieve()                    {}
func (o *ownerStub) Observed() bool              { return false }
func (o *ownerStub) waiting() int64              { return o.shared.RxWaiting.Load() }
func (o *ownerStub) Closed() bool                { return false }
func (o *ownerStub) Enter() bool                 { return true }
func (o *ownerStub) Answers(int)                 {}
func (o *ownerStub) Ask(*Asker) error            { return nil }
func (o *ownerStub) Undecided(*Asker) bool       { return false }
func (o *ownerStub) Asked(*Asker)                {}
func (o *ownerStub) Holds(bytes int64)           { o.held.Add(bytes) }
func (o *ownerStub) origin(rcvHwm uint32) *origin {
	from := newOrigin(o, &Transport{Endpoint: endpoint.Endpoint{Scheme: endpoint.IPC}},
		Limits{MaxMsgSize: -1, RcvHwm: rcvHwm}, nil)
	return &from
}

// takeAll gives every run back, as a receiver does, and looks for no mark.
func (o *ownerStub) takeAll() {
	for o.shared.NextRun() {
		r := o.shared.RxRun
		o.shared.RxLeft = 0
		o.shared.EndRun()
		if r.Kind == shm.RunData {
			r.Session.RxTake(r)
			o.shared.RxWaiting.Add(-int64(r.Size))
			r.Slab.Release()
		}
	}
}

// driven returns a shard that the test drives, and a socket on it.
func driven(t *testing.T) (*Shard, *ownerStub) {
	sh := newShard(t)
	o := &ownerStub{shared: shm.NewQueues()}
	drive(t, sh)
	Reset(func() {
		for fd := range sh.byFd {
			if c, ok := sh.byFd[fd].handler.(*Conn); ok {
				c.Abort(CauseClosedHere)
			}
		}
		sh.Leave()
		sh.Stop()
		shm.FreeQueues(o.shared)
	})
	return sh, o
}

// adopted returns a connection of the shard and the peer's descriptor.
func adopted(t *testing.T, sh *Shard, from *origin) (*Conn, int) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	Reset(func() { _ = unix.Close(fds[1]) })
	sh.conns.Add(1)
	c := sh.adopt(arrival{origin: from, fd: fds[0]}, nil)
	if c == nil {
		t.Fatal("the shard refused the connection")
	}
	return c, fds[1]
}

// fill puts at least size bytes, in frames with this body, into a connection.
func fill(t *testing.T, fd, size, body int) {
	for sent := 0; sent < size; {
		n, err := unix.Write(fd, frames(body))
		if err != nil {
			t.Fatal(err)
		}
		sent += n
	}
}

// TestRounds: what one connection has for the shard keeps the others waiting for a
// bounded number of bytes and reads only.
func TestRounds(t *testing.T) {
	Convey("A shard", t, func() {
		sh, o := driven(t)
		from := o.origin(0)
		Convey("ends a round of reading when a round's bytes have come", func() {
			const peers = 12
			for range peers {
				_, fd := adopted(t, sh, from)
				fill(t, fd, readMin, 8<<10)
			}
			So(sh.poll(), ShouldBeNil)
			So(sh.ready.len(), ShouldEqual, peers)
			sh.readReady()
			So(o.waiting(), ShouldBeGreaterThan, 0)
			So(o.waiting(), ShouldBeLessThanOrEqualTo, roundBytes+shm.SlabSize)
			So(sh.ready.len(), ShouldBeGreaterThan, peers/2)
		})
		Convey("looks at the kernel although its ready list is never empty", func() {
			busy, _ := adopted(t, sh, from)
			other, fd := adopted(t, sh, from)
			So(sh.poll(), ShouldBeNil)
			fill(t, fd, 1, 1)
			for n := 0; other.Received.Load() == 0; n++ {
				So(n, ShouldBeLessThan, 2*pollEvery)
				busy.wantRead()
				So(sh.step(nil, false, time.Time{}), ShouldBeNil)
			}
		})
	})
}

func TestLongFrames(t *testing.T) {
	Convey("The read that ends a long frame also brings the long ones behind it", t, func() {
		sh, o := driven(t)
		c, fd := adopted(t, sh, o.origin(0))
		long := frames(70 << 10)[:lengthSize+70<<10]
		write := func(data []byte) {
			n, err := unix.Write(fd, data)
			So(err, ShouldBeNil)
			So(n, ShouldEqual, len(data))
		}
		read := func() uint64 {
			c.pending = false
			c.receive()
			return c.Received.Load()
		}
		write(long[:1000])
		So(read(), ShouldEqual, 0)
		write(long[1000:2000]) // it has a slab by now
		So(read(), ShouldEqual, 0)
		for _, part := range [][]byte{long[2000:], long, long[:3000]} {
			write(part)
		}
		So(read(), ShouldEqual, 2)
		write(long[3000:])
		So(read(), ShouldEqual, 3)
		So(o.waiting(), ShouldEqual, int64(3*len(long)))
		o.takeAll()
	})
}

func TestPark(t *testing.T) {
	Convey("A connection that is parked", t, func() {
		sh, o := driven(t)
		c, fd := adopted(t, sh, o.origin(1))
		other, otherFd := adopted(t, sh, o.origin(0))
		sh.unpark.Store(false)
		fill(t, fd, 20, 1)
		read := func(c *Conn, n int) {
			for range n {
				c.receive()
			}
		}
		throttle := func() {
			for !c.throttled() {
				fill(t, otherFd, 64<<10, 8<<10)
				read(other, 1)
			}
		}
		Convey("is read on when the receiver caught up before the mark", func() {
			c.park()
			So(sh.unpark.Load(), ShouldBeTrue)
		})
		Convey("waits for its own messages, and is marked", func() {
			read(c, 2)
			So(c.parked, ShouldBeTrue)
			So(sh.unpark.Load(), ShouldBeFalse)
			So(c.Shared.RxStalled.Load(), ShouldEqual, 1+c.limits.RcvHwm/2)
			So(o.shared.RxThrottled.Load(), ShouldEqual, 0)
		})
		Convey("waits for the socket's, and that is marked", func() {
			throttle()
			c.receive()
			So(c.parked, ShouldBeTrue)
			So(sh.unpark.Load(), ShouldBeFalse)
			So(c.Shared.RxStalled.Load(), ShouldEqual, 0)
			So(o.shared.RxThrottled.Load(), ShouldEqual, 1)
		})
		Convey("has every reason marked that holds, as one of them may be over unseen", func() {
			read(c, 1)
			throttle()
			c.receive()
			So(c.Shared.RxStalled.Load(), ShouldEqual, 1+c.limits.RcvHwm/2)
			So(o.shared.RxThrottled.Load(), ShouldEqual, 1)
			So(sh.unpark.Load(), ShouldBeFalse)
		})
		Convey("is read when the shard is told to, with its mark gone", func() {
			read(c, 2)
			o.takeAll()
			sh.Resume(o.shared)
			So(sh.step(nil, false, time.Time{}), ShouldBeNil)
			So(c.Received.Load(), ShouldEqual, 2)
		})
	})
}

func TestReadParked(t *testing.T) {
	Convey("A receiver that caught up", t, func() {
		sh, o := driven(t)
		elsewhere := &ownerStub{shared: shm.NewQueues()}
		Reset(func() { shm.FreeQueues(elsewhere.shared) })
		park := func(o *ownerStub, rcvHwm uint32, n int) (conns []*Conn) {
			for range n {
				c, fd := adopted(t, sh, o.origin(rcvHwm))
				fill(t, fd, 20, 1)
				c.receive()
				c.receive()
				conns = append(conns, c)
			}
			return conns
		}
		stillParked := func(conns []*Conn) (n int) {
			for _, c := range conns {
				if c.parked {
					n++
				}
			}
			return n
		}
		mine, others := park(o, 1, 5), park(elsewhere, 1, 5)
		So(stillParked(mine)+stillParked(others), ShouldEqual, 10)

		Convey("has the connections of its own socket looked at, and no others", func() {
			o.takeAll()
			elsewhere.takeAll()
			sh.Resume(o.shared)
			sh.Resume(o.shared)
			sh.readParked()
			So(stillParked(mine), ShouldEqual, 0)
			So(stillParked(others), ShouldEqual, 5)
			sh.readParked()
			So(stillParked(others), ShouldEqual, 5)
		})
		Convey("leaves those that wait for messages of their own", func() {
			mine[2].Shared.RxQueued.Store(0)
			sh.Resume(o.shared)
			sh.readParked()
			So(stillParked(mine), ShouldEqual, 4)
			So(mine[2].parked, ShouldBeFalse)
			So(mine[1].Shared.RxStalled.Load(), ShouldNotEqual, 0)
		})
		Convey("does not meet those that ended meanwhile", func() {
			for _, i := range []int{0, 4, 2} {
				mine[i].Abort(CauseClosedHere)
			}
			So(len(*sh.parked[o.shared]), ShouldEqual, 2)
			o.takeAll()
			sh.Resume(o.shared)
			sh.readParked()
			So(stillParked(mine), ShouldEqual, 0)
			So(len(*sh.parked[o.shared]), ShouldEqual, 0)
			sh.dropParkedLists()
			So(len(sh.parked), ShouldEqual, 1)
		})
	})
}
