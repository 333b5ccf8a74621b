// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
	"github.com/zlink/zlink/core/wait"
)

const (
	reportBatch = 256 // reports taken from the kernel at once
	reportCalls = 8   // for them in a row

	// throttleBytes is how much may wait unread in a socket before its shards stop reading
	// for it. The rest waits in the kernel. It is about the size of a cache.
	throttleBytes = 1 << 20
	// endedBytes is the same for connections that are over.
	endedBytes = 4 * throttleBytes
	// roundBytes is how much a round reads before it writes the application's answers. The
	// data is then still in the cache, and answers do not pile up.
	roundBytes = 64 << 10

	// idleTrim is how long a shard must have nothing to do before it frees the pages of
	// unused buffers.
	idleTrim = 200 * time.Millisecond
	// acceptLinger is how long a shard looks for more before it sleeps after it has accepted
	// a connection. Clients come in crowds, and waking up for each of them costs both sides
	// more than accepting it.
	acceptLinger = 50 * time.Microsecond
	// pollEvery is how many rounds may pass without asking the kernel while the ready list
	// never gets empty. Every pollBytes read count as one more round.
	pollEvery = 16
	pollBytes = 16 << 10
)

// Shard is one event loop with its share of the connections. A shard is
// driven by one thread at a time: its own, or a caller inside a receive call.
type Shard struct {
	Shared *shm.Wakeup

	poller  *sys.Poller
	reports []sys.Report

	// Only the driver touches these.
	byFd    []registration
	nextTag int32
	ready   ready // connections with something to read
	turn    int   // bytes that a connection may read: longRead, or less in its turn
	reading *Conn // whose turn it is
	// unwritten are the connections that have something to write and that the kernel would
	// not refuse.
	unwritten ring
	timers    timers
	wheel     *wheel      // connections with deadlines; nil: there never was one
	now       tick        // at the beginning of the round, with clocked
	clocked   bool        // somebody needs now
	clock     func() tick // replaces readClock in tests
	// parked are the connections that are not read until their receivers catch up, by socket
	// (parking.go). caughtUpSpare swaps memory with mail.caughtUp.
	parked        map[*shm.Queues]*[]*Conn
	caughtUpSpare []*shm.Queues
	// kept are the sockets whose applications keep too much (kept.go).
	kept      map[*shm.Queues]struct{}
	keptPause time.Duration
	// handshakes are the connections that are not up yet.
	handshakes map[*handshake]struct{}
	gate       *gate                  // of the handshakes
	scratch    [layersMost + 1][]byte // output of each layer, and of those below it
	line       [lineMost]webMessage   // of messages that are written from where they are queued
	slab       *shm.Slab              // being filled
	slabPos    uint64                 // next free byte of slab
	parts      [64]sys.Vector         // of one gathered write, or read
	compacted  int32                  // number of connections at the last call of Compact
	warm       bool                   // since the last trim, buffers were used or connections came
	rounds     int                    // since the kernel was last asked
	ahead      ahead                  // of one read
	roundRead  int                    // bytes read from the wire in this round, and prices
	roundLeft  int                    // bytes that may still be written in this round, prices included
	calls      []func()               // taken from the mail and not yet run
	visits     shm.Visits             // sessions to visit (visit.go)
	absence    absence                // of a receiver that visits
	postponed  int                    // bytes of a round that would have been followed by visits
	brisk      int                    // rounds in which others may have something soon
	blocked    int                    // connections that are blocked
	accepted   time.Time              // when connections were last accepted
	// handOver is the socket whose receive call was woken and can now drive.
	handOver *shm.Queues

	// Any thread.
	mail struct {
		sync.Mutex
		calls    []func()
		visits   shm.Visits
		caughtUp []*shm.Queues // their receivers have caught up
		closed   bool
	}
	hasMail  atomic.Bool
	unpark   atomic.Bool  // mail.caughtUp is not empty
	owing    atomic.Bool  // the last driver left something to do: driver.go
	Users    atomic.Int32 // sockets with endpoints here
	conns    atomic.Int32
	stopping atomic.Bool

	thread thread
}

// NewShard makes a shard and starts its thread.
func NewShard(config ThreadConfig) (*Shard, error) {
	poller, err := sys.OpenPoller()
	if err != nil {
		return nil, err
	}
	shared := shm.NewWakeup(poller.WakeFd())
	if shared == nil {
		poller.Close()
		return nil, errno.New(errno.ENOMEM, "no memory for an io thread")
	}
	sh := &Shard{Shared: shared, poller: poller, reports: make([]sys.Report, reportBatch),
		turn: longRead, ready: ready{pass: 1}, handshakes: map[*handshake]struct{}{}, gate: theGate}
	sh.thread.waiter = wait.New()
	sh.thread.done = make(chan struct{})
	go onOwnThread(func() { sh.runThread(config) })
	return sh, nil
}

// Stop ends the shard's thread and frees the shard. All its connections, listeners
// and dialers must be gone, and no call into it may follow.
func (sh *Shard) Stop() {
	sh.stopping.Store(true)
	sh.thread.waiter.Signal()
	sh.poller.Wake()
	<-sh.thread.done
	// Run what was still on its way to the driver: this thread is the last one.
	sh.flushDirty()
	for sh.hasMail.Load() {
		sh.runMail()
	}
	sh.visits.Drop() // of connections that are gone
	sh.mail.Lock()
	sh.mail.closed = true // from here on Post touches nothing that is freed
	sh.mail.Unlock()
	if sh.slab != nil {
		sh.slab.Release()
	}
	sh.poller.Close()
	shm.FreeWakeup(sh.Shared)
	shm.Trim()
}

// Connections returns how many connections the shard serves.
func (sh *Shard) Connections() int { return int(sh.conns.Load()) }

// Post runs call on the shard's driver, soon. Any thread.
func (sh *Shard) Post(call func()) {
	sh.mail.Lock()
	defer sh.mail.Unlock()
	if sh.mail.closed {
		return
	}
	sh.mail.calls = append(sh.mail.calls, call)
	if check.On {
		sh.note(check.Posted)
	}
	sh.hasMail.Store(true)
	sh.wakeSleeper()
	if sh.idle() { // else the driver looks, at the latest when it gives the role back
		sh.endPatience()
	}
}

// wakeSleeper makes a sleeping driver check its lists again. Any thread.
func (sh *Shard) wakeSleeper() {
	if sh.Shared.Dirty.Rouse() {
		if check.On {
			sh.note(check.Roused)
		}
		sh.poller.Wake()
	}
}

// Wake ends the driver's sleep. It is for a pusher that found the shard asleep, and for
// a thread that changed what the driver waits for.
func (sh *Shard) Wake() {
	if check.On {
		sh.note(check.Woken)
	}
	sh.poller.Wake()
}
