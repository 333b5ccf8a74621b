// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
	"github.com/zlink/zlink/core/wait"
)

const (
	reportBatch = 256 // reports taken from the kernel at a time

	// throttleBytes is how much may wait unread in a socket before its shards
	// stop reading for it: what waits, waits in the kernel. About a cache-full.
	throttleBytes = 1 << 20
	// endedBytes is the same for connections that are over.
	endedBytes = 4 * throttleBytes
	// roundBytes is how much is read in one round before what the application
	// answered is written: it is still in the cache, and answers do not pile up.
	roundBytes = 64 << 10

	// idleTrim is how long a shard has nothing to do before it gives the pages
	// of free buffers back.
	idleTrim = 200 * time.Millisecond
	// acceptLinger is how long a shard looks for more before it sleeps, after it
	// has accepted a connection: clients come in crowds, and to be woken for
	// each costs both sides more than to accept it.
	acceptLinger = 50 * time.Microsecond
	// pollEvery bounds how many rounds of a never empty ready list may pass
	// without a look at the kernel. pollBytes of them count as one more.
	pollEvery = 16
	pollBytes = 16 << 10
)

// Reserve raises the number of processors of Go's scheduler to procs, and sees to it
// that the process can have that many threads more; an error says that it cannot.
// A Go program is asked for nothing: its runtime takes what threads it needs.
var Reserve = func(procs, threads int) error {
	if runtime.GOMAXPROCS(0) < procs {
		runtime.GOMAXPROCS(procs)
	}
	return nil
}

// handler is what a descriptor of the shard belongs to.
type handler interface {
	// ready is called with what the kernel reported.
	ready(what sys.Readiness)
}

// registration is a descriptor's handler; tag tells its events from those of
// an earlier descriptor with the same number.
type registration struct {
	handler handler
	tag     int32
}

// Shard is one event loop with its share of the connections. A shard is
// driven by one thread at a time: its own, or a caller inside a receive call.
type Shard struct {
	Shared *shm.Wakeup

	poller  *sys.Poller
	reports []sys.Report

	// Only the driver touches these.
	byFd    []registration
	nextTag int32
	pending ring // connections with something to read
	// unwritten are the connections that have something to write and would not be
	// blocked.
	unwritten ring
	timers    timers
	beats     map[time.Duration]*beatList // connections with pings, by what they wait for
	// parked are the connections that are not read until the receiver catches up, by
	// socket; parking.go. caughtUpSpare is mail.caughtUp with other memory.
	parked        map[*shm.Queues]*[]*Conn
	caughtUpSpare []*shm.Queues
	// handshakes are the connections that are not up yet.
	handshakes map[*handshake]struct{}
	gate       *gate              // of the handshakes
	scratch    [layersMost][]byte // what layers seal, and below them what that became
	slab       *shm.Slab          // being filled
	slabPos    uint64             // next free byte of slab
	parts      [64]sys.Vector     // of one gathered write, or read
	compacted  int32              // connections when Compact was last called
	warm       bool               // buffers were used, or connections came, since the last trim
	rounds     int                // since the last look at the kernel
	roundRead  int                // bytes read from the wire in this round, and prices
	roundLeft  int                // bytes that may still be written in this round, prices included
	calls      []func()           // taken out of the mail and not yet run
	blocked    int                // connections that are blocked
	accepted   time.Time          // when connections were last accepted
	// handOver is the socket whose receive call was woken and can drive.
	handOver *shm.Queues

	// Any thread.
	mail struct {
		sync.Mutex
		calls    []func()
		caughtUp []*shm.Queues // whose receivers did
		closed   bool
	}
	hasMail  atomic.Bool
	unpark   atomic.Bool  // mail.caughtUp is not empty
	owing    atomic.Bool  // the last driver left something to see to: driver.go
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
		handshakes: map[*handshake]struct{}{}, gate: theGate}
	sh.thread.waiter = wait.New()
	sh.thread.done = make(chan struct{})
	go sh.runThread(config)
	return sh, nil
}

// Stop ends the shard's thread and frees the shard. All its connections, listeners
// and dialers are gone and no call into it may follow.
func (sh *Shard) Stop() {
	sh.stopping.Store(true)
	sh.thread.waiter.Signal()
	sh.poller.Wake()
	<-sh.thread.done
	// What was still on its way to the driver: this thread is the last one.
	sh.flushDirty()
	for sh.hasMail.Load() {
		sh.runMail()
	}
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
	sh.hasMail.Store(true)
	sh.WakeSleeper()
	if sh.idle() { // else the driver looks, at the latest when it gives the role up
		sh.endPatience()
	}
}

// WakeSleeper makes a sleeping driver look at its lists again. Any thread.
func (sh *Shard) WakeSleeper() {
	if sh.Shared.Dirty.Rouse() {
		sh.poller.Wake()
	}
}

// Wake ends the driver's sleep. For the pusher that found the shard asleep,
// and for one who changed what the driver waits for.
func (sh *Shard) Wake() { sh.poller.Wake() }

// step does one round of the loop: writing, mail, timers, reading, and, when
// there is nothing else to do, a wait in the kernel until the deadline (zero:
// none). With until set it returns to let the caller take what was read.
// EINTR: a signal handler of the process ran.
func (sh *Shard) step(until *shm.Queues, mayWait bool, deadline time.Time) error {
	worked := sh.flushDirty()
	if sh.hasMail.Load() {
		sh.runMail()
		worked = true
	}
	if sh.unpark.CompareAndSwap(true, false) {
		sh.readParked()
	}
	if len(sh.timers) > 0 && sh.timers.run(time.Now()) {
		worked = true
	}
	if sh.pending.len() > 0 && sh.rounds < pollEvery {
		sh.readPending()
		sh.rounds += 1 + sh.roundRead/pollBytes
		return nil
	}
	sh.rounds = 0
	if worked || !mayWait || sh.pending.len() > 0 {
		return sh.poll()
	}
	if !sh.accepted.IsZero() {
		if time.Since(sh.accepted) < acceptLinger {
			sys.Yield()
			return sh.poll()
		}
		sh.accepted = time.Time{}
	}
	return sh.sleep(until, deadline)
}

// sleep waits in the kernel, after it has told senders that they must wake it
// and has looked once more.
func (sh *Shard) sleep(until *shm.Queues, deadline time.Time) error {
	if next := sh.timers.next(); !next.IsZero() && (deadline.IsZero() || next.Before(deadline)) {
		deadline = next
	}
	timeoutMs := -1
	if !deadline.IsZero() {
		timeoutMs = int(max(0, (time.Until(deadline)+time.Millisecond-1)/time.Millisecond))
	}
	if sh.warm && (timeoutMs < 0 || timeoutMs > int(idleTrim/time.Millisecond)) {
		timeoutMs = int(idleTrim / time.Millisecond)
	}
	if !sh.Shared.Dirty.MarkAsleep() {
		return nil
	}
	defer sh.Shared.Dirty.Rouse()
	if sh.hasMail.Load() || sh.unpark.Load() || sh.stopping.Load() ||
		(until != nil && !until.RxInbox.Empty()) {
		return nil
	}
	before := time.Time{}
	if sh.warm {
		before = time.Now()
	}
	n, err := sh.wait(timeoutMs)
	if n == 0 && sh.warm && time.Since(before) >= idleTrim {
		sh.trim()
	}
	return err
}

// poll looks at the kernel without waiting.
func (sh *Shard) poll() error {
	_, err := sh.wait(0)
	return err
}

func (sh *Shard) wait(timeoutMs int) (int, error) {
	n, err := sh.poller.Wait(sh.reports, timeoutMs)
	if err != nil {
		return 0, err
	}
	for i := range n {
		report := &sh.reports[i]
		if report.Tag() == sys.NoTag {
			continue // its listener has not begun
		}
		if reg := sh.byFd[report.Fd()]; reg.handler != nil && reg.tag == report.Tag() {
			reg.handler.ready(report.Ready())
		}
	}
	return n, nil
}

// trim gives buffers back that a busy time left behind; what free blocks are not
// needed goes back to the system by itself (core/shm/reserve.go).
func (sh *Shard) trim() {
	sh.warm = false
	if n := sh.conns.Load(); max(n-sh.compacted, sh.compacted-n) >= crowd {
		sh.compacted = n
		compact()
	}
	clear(sh.scratch[:])
	sh.dropParkedLists()
	if sh.slab != nil && atomic.LoadInt32(&sh.slab.Refs) == 1 {
		sh.slab.Release()
		sh.slab = nil
	}
}

// register starts the reports for a descriptor.
func (sh *Shard) register(fd int, h handler) error {
	err := sh.poller.AddEdge(fd, sh.enroll(fd, h))
	if err != nil {
		sh.byFd[fd].handler = nil
	}
	return err
}

// enroll makes h the handler of a descriptor and returns the tag of its events.
func (sh *Shard) enroll(fd int, h handler) int32 {
	for len(sh.byFd) <= fd {
		sh.byFd = append(sh.byFd, registration{})
	}
	sh.nextTag = max(1, sh.nextTag+1) // never sys.NoTag, also when it wraps
	sh.byFd[fd] = registration{h, sh.nextTag}
	return sh.nextTag
}

// unregister ends the reports; the descriptor is still open.
func (sh *Shard) unregister(fd int) {
	sh.byFd[fd].handler = nil
	sh.poller.Remove(fd)
}

// closeFd ends the reports for a registered descriptor and closes it.
func (sh *Shard) closeFd(fd int) {
	sh.byFd[fd].handler = nil
	sys.Close(fd)
}

// runMail runs what was posted, in order, as far as a round goes.
func (sh *Shard) runMail() {
	sh.hasMail.Store(false)
	sh.mail.Lock()
	if len(sh.calls) == 0 {
		sh.calls = sh.mail.calls
	} else {
		sh.calls = append(sh.calls, sh.mail.calls...)
	}
	sh.mail.calls = nil
	sh.mail.Unlock()
	now := sh.calls[:min(len(sh.calls), mailBatch)]
	sh.calls = sh.calls[len(now):]
	if len(sh.calls) > 0 {
		sh.hasMail.Store(true)
	}
	for i, call := range now {
		now[i] = nil
		call()
	}
}

// flushDirty begins a round of writing: what is left of earlier ones, and then what
// senders queued since. It tells whether there was anything.
func (sh *Shard) flushDirty() bool {
	sh.roundLeft = writeRound
	worked := sh.writeOn()
	shared := sh.Shared.TakeDirty()
	if shared == nil {
		return worked
	}
	for shared != nil {
		// The link first: once the mark is off, a sender may set it anew.
		next := (*shm.Session)(shared.DirtyNext)
		sh.flush(shared)
		shared = next
	}
	return true
}

// readPending reads connections that have something, each at most once, until a
// round's bytes have come.
func (sh *Shard) readPending() {
	sh.warm = true
	sh.roundRead = 0
	for range sh.pending.len() {
		c := sh.pending.pop()
		c.pending = false
		sh.roundRead += lookPrice
		c.receive()
		if sh.roundRead >= roundBytes {
			return
		}
	}
}

// ring is a first-in-first-out queue of connections.
type ring struct {
	items       []*Conn // length a power of two
	first, used int
}

func (r *ring) len() int { return r.used }

func (r *ring) push(c *Conn) {
	if r.used == len(r.items) {
		grown := make([]*Conn, max(16, 2*len(r.items)))
		for i := range r.used {
			grown[i] = r.items[(r.first+i)%len(r.items)]
		}
		r.items, r.first = grown, 0
	}
	r.items[(r.first+r.used)&(len(r.items)-1)] = c
	r.used++
}

func (r *ring) pop() *Conn {
	c := r.items[r.first]
	r.items[r.first] = nil
	r.first = (r.first + 1) & (len(r.items) - 1)
	r.used--
	return c
}
