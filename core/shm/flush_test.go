// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

// sink is the far end of a session: what the driver "wrote".
type sink struct {
	next []uint32 // the next number expected of each sender
}

// driver flushes as core/engine/send.go does, and sleeps until MustWake.
type driver struct {
	t     *testing.T
	sh    *Wakeup
	sinks map[*Session]*sink
	wake  chan struct{}
	got   int
	slept int
}

// flushAll takes the list; a session that is on it twice makes it a ring, or
// shows up twice.
func (d *driver) flushAll() bool {
	list := d.sh.TakeDirty()
	worked := list != nil
	seen := map[*Session]bool{}
	for list != nil {
		if seen[list] {
			d.t.Fatal("a session is on the list twice")
		}
		seen[list] = true
		next := (*Session)(list.DirtyNext)
		list.Lock()
		list.TxDirty = 0
		head, _ := list.TakeMain()
		list.Unlock()
		d.write(list, head)
		list = next
	}
	return worked
}

func (d *driver) write(s *Session, head *Chunk) {
	msgs := uint32(0)
	for c := head; c != nil; c = (*Chunk)(c.Next) {
		msgs += c.Msgs
		for data := c.Bytes()[c.Start:c.End]; len(data) > 0; {
			size := binary.BigEndian.Uint32(data)
			sender, number := binary.BigEndian.Uint32(data[4:]), binary.BigEndian.Uint32(data[8:])
			if want := d.sinks[s].next[sender]; number != want {
				d.t.Fatalf("sender %d: message %d came, not %d", sender, number, want)
			}
			d.sinks[s].next[sender]++
			data = data[4+size:]
			d.got++
		}
	}
	freeAll(head)
	s.TxDone.Add(msgs)
}

func TestFlushListStress(t *testing.T) {
	const senders, sessions = 4, 8
	each := 20_000
	if raceBuild {
		each = 3_000
	}
	k, sh := NewQueues(), NewWakeup(-1)
	d := &driver{t: t, sh: sh, sinks: map[*Session]*sink{}, wake: make(chan struct{}, 1)}
	var all []*Session
	for i := range sessions {
		s := NewSession(k, sh)
		s.Rid.Store(uint32(i + 1))
		s.TxState, s.TxHwm = TxOpen, 300
		d.sinks[s] = &sink{next: make([]uint32, senders)}
		all = append(all, s)
	}
	var done sync.WaitGroup
	var bad atomic.Int32
	for id := range senders {
		done.Add(1)
		go func() {
			defer done.Done()
			var numbers [sessions]uint32
			body := make([]byte, 1200)
			for n := range each {
				to := (n*7 + n>>4 + id) % sessions
				size := 8 + (n*31+id)%(20+n%1180)
				binary.BigEndian.PutUint32(body, uint32(id))
				binary.BigEndian.PutUint32(body[4:], numbers[to])
			again:
				switch all[to].Append(k, uint32(to+1), body[:size], nil) {
				case Appended:
				case AppendedWake:
					d.wake <- struct{}{} // only the pusher that found it asleep: never blocks long
				case AppendFull:
					runtime.Gosched()
					goto again
				default:
					bad.Add(1)
					return
				}
				numbers[to]++
			}
		}()
	}
	for d.got < senders*each && bad.Load() == 0 {
		if d.flushAll() || !sh.Dirty.MarkAsleep() {
			continue
		}
		d.slept++
		<-d.wake
	}
	done.Wait()
	Convey("Everything appended was written, in order, and nothing is left", t, func() {
		So(bad.Load(), ShouldEqual, 0)
		So(d.got, ShouldEqual, senders*each)
		So(d.slept, ShouldBeGreaterThan, 0)
		So(sh.TakeDirty(), ShouldBeNil)
		So(len(d.wake), ShouldEqual, 0)
		for _, s := range all {
			So(s.TxDirty, ShouldEqual, 0)
			So(s.TxDone.Load(), ShouldEqual, s.TxQueued.Load())
			So(s.TxHead == nil, ShouldBeTrue)
		}
	})
}
