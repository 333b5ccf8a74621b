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
	shared *shm.Socket
	rid    uint32 // of the last connection
	held   atomic.Int64
	gone   int
}

func (o *ownerStub) Shared() *shm.Socket { return o.shared }
func (o *ownerStub) Attach(s *Session, _ []byte) error {
	o.rid++
	s.Shared.Lock()
	defer s.Shared.Unlock()
	s.Shared.Rid, s.Shared.TxState = o.rid, shm.TxOpen
	return nil
}
func (o *ownerStub) Detach(s *Session)           { s.Detached() }
func (o *ownerStub) Forget(*Session)             {}
func (o *ownerStub) CloseTimeout() time.Duration { return 10 * time.Second }
func (o *ownerStub) Gone(any)                    { o.gone++ }
func (o *ownerStub) WakeReaders() bool           { return false }
func (o *ownerStub) Unreceived(s *shm.Session)   { s.Release() }
func (o *ownerStub) WakeSenders()                {}
func (o *ownerStub) Observed() bool              { return false }
func (o *ownerStub) waiting() int64              { return atomic.LoadInt64(&o.shared.RxWaiting) }
func (o *ownerStub) Closed() bool                { return false }
func (o *ownerStub) Enter() bool                 { return true }
func (o *ownerStub) Holds(bytes int64)           { o.held.Add(bytes) }
func (o *ownerStub) origin(rcvHwm uint32) *origin {
	from := newOrigin(o, &Transport{Endpoint: endpoint.Endpoint{Transport: endpoint.IPC}},
		Limits{MaxMsgSize: -1, RcvHwm: rcvHwm}, nil)
	return &from
}

// takeAll gives every run back, as a receiver does, and looks for no mark.
func (o *ownerStub) takeAll() {
	for o.shared.NextRun() {
		r := o.shared.RxRun
		o.shared.EndRun()
		if r.Kind == shm.RunData {
			atomic.AddInt32(&r.Session.RxQueued, -int32(r.Msgs))
			atomic.AddInt64(&o.shared.RxWaiting, -int64(r.Size))
			r.Slab.Release()
		}
	}
}

// driven returns a shard that the test drives, and a socket on it.
func driven(t *testing.T) (*Shard, *ownerStub) {
	sh := newShard(t)
	o := &ownerStub{shared: shm.NewSocket()}
	drive(t, sh)
	Reset(func() {
		for fd := range sh.byFd {
			if s, ok := sh.byFd[fd].handler.(*Session); ok {
				s.Abort(ReasonLocal)
			}
		}
		sh.Leave()
		sh.Stop()
		shm.FreeSocket(o.shared)
	})
	return sh, o
}

// adopted returns a session of the shard and the peer's descriptor.
func adopted(t *testing.T, sh *Shard, from *origin) (*Session, int) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	Reset(func() { _ = unix.Close(fds[1]) })
	sh.sessions.Add(1)
	s := sh.adopt(connection{origin: from, fd: fds[0]}, nil)
	if s == nil {
		t.Fatal("the shard refused the connection")
	}
	return s, fds[1]
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

// TestRounds: what one session has for the shard keeps the others waiting for a
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
			So(sh.pending.len(), ShouldEqual, peers)
			sh.readPending()
			So(o.waiting(), ShouldBeGreaterThan, 0)
			So(o.waiting(), ShouldBeLessThanOrEqualTo, roundBytes+shm.SlabSize)
			So(sh.pending.len(), ShouldBeGreaterThan, peers/2)
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

func TestPark(t *testing.T) {
	Convey("A session that is parked", t, func() {
		sh, o := driven(t)
		s, fd := adopted(t, sh, o.origin(1))
		other, otherFd := adopted(t, sh, o.origin(0))
		sh.unpark.Store(false)
		fill(t, fd, 20, 1)
		read := func(s *Session, n int) {
			for range n {
				s.receive()
			}
		}
		throttle := func() {
			for !s.throttled() {
				fill(t, otherFd, 64<<10, 8<<10)
				read(other, 1)
			}
		}
		Convey("is read on when the receiver caught up before the mark", func() {
			s.park()
			So(sh.unpark.Load(), ShouldBeTrue)
		})
		Convey("waits for its own messages, and is marked", func() {
			read(s, 2)
			So(s.parked, ShouldBeTrue)
			So(sh.unpark.Load(), ShouldBeFalse)
			So(s.Shared.RxStalled, ShouldEqual, 1)
			So(o.shared.RxThrottled, ShouldEqual, 0)
		})
		Convey("waits for the socket's, and that is marked", func() {
			throttle()
			s.receive()
			So(s.parked, ShouldBeTrue)
			So(sh.unpark.Load(), ShouldBeFalse)
			So(s.Shared.RxStalled, ShouldEqual, 0)
			So(o.shared.RxThrottled, ShouldEqual, 1)
		})
		Convey("has every reason marked that holds, as one of them may be over unseen", func() {
			read(s, 1)
			throttle()
			s.receive()
			So(s.Shared.RxStalled, ShouldEqual, 1)
			So(o.shared.RxThrottled, ShouldEqual, 1)
			So(sh.unpark.Load(), ShouldBeFalse)
		})
		Convey("is read when the shard is told to, with its mark gone", func() {
			read(s, 2)
			o.takeAll()
			sh.Resume(o.shared)
			So(sh.step(nil, false, time.Time{}), ShouldBeNil)
			So(s.Received.Load(), ShouldEqual, 2)
		})
	})
}

func TestReadParked(t *testing.T) {
	Convey("A receiver that caught up", t, func() {
		sh, o := driven(t)
		elsewhere := &ownerStub{shared: shm.NewSocket()}
		Reset(func() { shm.FreeSocket(elsewhere.shared) })
		park := func(o *ownerStub, rcvHwm uint32, n int) (sessions []*Session) {
			for range n {
				s, fd := adopted(t, sh, o.origin(rcvHwm))
				fill(t, fd, 20, 1)
				s.receive()
				s.receive()
				sessions = append(sessions, s)
			}
			return sessions
		}
		stillParked := func(sessions []*Session) (n int) {
			for _, s := range sessions {
				if s.parked {
					n++
				}
			}
			return n
		}
		mine, others := park(o, 1, 5), park(elsewhere, 1, 5)
		So(stillParked(mine)+stillParked(others), ShouldEqual, 10)

		Convey("has the sessions of its own socket looked at, and no others", func() {
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
			atomic.AddInt32(&mine[2].Shared.RxQueued, -1)
			sh.Resume(o.shared)
			sh.readParked()
			So(stillParked(mine), ShouldEqual, 4)
			So(mine[2].parked, ShouldBeFalse)
			So(mine[1].Shared.RxStalled, ShouldEqual, 1)
		})
		Convey("does not meet those that ended meanwhile", func() {
			for _, i := range []int{0, 4, 2} {
				mine[i].Abort(ReasonLocal)
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
