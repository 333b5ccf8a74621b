// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sockets"
	"github.com/zlink/zlink/core/wait"
)

// Socket is a STREAM socket, made by Listen, Dial, Open or New. Any number of
// goroutines may call its methods to send and to close a peer in the mode FAST,
// while one receives, and Close. In the mode COMPAT one goroutine may receive while
// one other sends. All else is for one goroutine at a time.
type Socket struct {
	ctx    *core.Context
	shared *shm.Queues
	serial uint64       // of shared; what sessions are compared with
	pins   atomic.Int64 // calls in progress, and one for all parts; 0: shared may be another socket's

	readers wait.List // who waits for RxInbox
	senders wait.List // who waits for room in a send queue

	monitors sockets.Monitors
	fast     atomic.Bool // the mode FAST

	receiving  atomic.Bool                      // a receive call that could drive is among the readers
	refused    atomic.Uint64                    // sends that found a queue full
	handshakes atomic.Int64                     // bytes that connections hold whose handshake is not over
	blocked    atomic.Int32                     // senders waiting
	sole       atomic.Pointer[engine.Shard]     // the only one of shards, or nil
	watch      atomic.Pointer[sockets.CtxWatch] // of receive calls; nil: none had a context
	terminated atomic.Bool
	closed     atomic.Bool
	inRecv     atomic.Bool // a receive call of the mode FAST, of Go, runs
	dropped    atomic.Bool // what was received is dropped, or about to be

	// The calling thread's.
	opt options
	fd  *wait.Waiter // with a descriptor for others' event loops; nil: not asked for

	mu         sync.Mutex
	shards     []*engine.Shard
	listeners  []*listening
	dialers    []*dialing             // that may dial again, or have a connection; a dialer knows its index
	over       []string               // endpoints of dialers that ended by themselves, oldest first
	parts      int                    // the open socket, its receiver, and listeners, dialers and connections not yet gone
	conns      []*engine.Conn         // attached; each knows its index
	walks      int                    // that look at conns now
	finals     map[*engine.Conn]final // of those that were forgotten since one began
	aliases    map[string]aliasUse
	closing    map[uint32]*engine.Conn // of conns: those that senders no longer find
	oldTables  []*shm.Table            // replaced by a larger one; a sender may still look
	past       past
	dropping   bool           // dropReceived is at work
	unreceived []*shm.Session // whose disconnect event was dropped meanwhile
	gone       chan struct{}  // closed when nothing of the socket is left; nil: nobody waits for that
}

type listening struct {
	*engine.Listener
	texts [2]string // what unbind may say: as given, and as LAST_ENDPOINT
}

// New returns a socket of the context in the mode COMPAT, to be ended with
// Close. Go programs use Listen, Dial or Open. EMFILE, ETERM, ENOMEM.
func New(ctx *core.Context) (*Socket, error) {
	shared := shm.NewQueues()
	if shared == nil {
		return nil, errno.New(errno.ENOMEM, "no memory for a socket")
	}
	k := &Socket{ctx: ctx, shared: shared, serial: shared.Serial, parts: 2}
	k.pins.Store(1)
	k.opt.setDefaults(ctx)
	if err := ctx.Add(k.owner()); err != nil {
		shm.FreeQueues(shared)
		return nil, err
	}
	return k, nil
}

// Every call pins the socket from its start to its end: what a call uses
// (queues, shards, their pollers) stays the socket's until the last one has left,
// also when another thread closes the socket and ends its context meanwhile.
// Senders of the C layer do without; see shm.Session.Append.

// enter begins a call: ENOTSOCK, ETERM. leave follows when it succeeds.
func (k *Socket) enter() error {
	if !k.pin() {
		return errno.ENOTSOCK
	}
	err := k.state()
	if err != nil {
		k.leave()
	}
	return err
}

// pin is enter in any state of the socket; false: nothing of it is left.
func (k *Socket) pin() bool {
	for {
		n := k.pins.Load()
		if n == 0 {
			return false
		}
		if k.pins.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// leave ends a call, and the socket with the last one.
func (k *Socket) leave() {
	if k.pins.Add(-1) == 0 {
		k.destroy()
	}
}

// terminate makes blocked and later calls fail with ETERM; the context's Shutdown
// calls it. Any thread.
func (k *Socket) terminate() {
	if !k.pin() {
		return
	}
	defer k.leave()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.shared.Handle.Store(0) // the C layer's short ways end
	k.terminated.Store(true)
	k.readers.Signal()
	k.senders.Signal()
	for _, sh := range k.shards {
		sh.Wake() // a caller may be driving
	}
}

// state returns ETERM or ENOTSOCK when no call may go on.
func (k *Socket) state() error {
	if k.closed.Load() {
		return errno.ENOTSOCK
	}
	if k.terminated.Load() {
		return errno.ETERM
	}
	return nil
}

// Close closes the socket at once; what is queued goes out for up to LINGER, in
// the background (Shutdown waits for that). It may be called while other
// goroutines send and receive; they get ENOTSOCK, and so does a second Close.
func (k *Socket) Close() error {
	if k.closed.Swap(true) {
		return errno.ENOTSOCK
	}
	k.shared.Handle.Store(0)
	k.ctx.Closed(k.owner())
	k.readers.Signal() // a thread that still waits gets ENOTSOCK
	k.senders.Signal()
	if watch := k.watch.Load(); watch != nil {
		watch.Close()
	}
	if !k.inRecv.Load() {
		k.dropOnce()
	}
	k.closeFd()
	defer k.partGone(nil) // after the lock: the open socket is a part
	k.mu.Lock()
	defer k.mu.Unlock()
	now, deadline := k.lingerEnd()
	reason := engine.ReasonLocal
	if k.terminated.Load() {
		reason = engine.ReasonCtxTerm
	}
	for _, l := range k.listeners {
		l.Close()
	}
	for _, d := range k.dialers {
		d.Close(reason, now, deadline)
	}
	k.listeners, k.dialers = nil, nil
	for _, sh := range k.shards {
		sh.Post(func() { k.finishConns(sh, reason, now, deadline) })
		sh.Users.Add(-1)
	}
	return nil
}

// lingerEnd says when unsent messages are given up: now, at deadline, or,
// with the zero deadline, never.
func (k *Socket) lingerEnd() (now bool, deadline time.Time) {
	linger := k.opt.linger.Load()
	if linger > 0 {
		deadline = time.Now().Add(time.Duration(linger) * time.Millisecond)
	}
	return linger == 0, deadline
}

// finishConns ends the socket's connections of a shard, on its driver.
func (k *Socket) finishConns(sh *engine.Shard, reason engine.Reason, now bool, deadline time.Time) {
	k.mu.Lock()
	var mine []*engine.Conn
	for _, c := range k.conns {
		if c.Shared.Shard == sh.Shared {
			mine = append(mine, c)
		}
	}
	k.mu.Unlock()
	for _, c := range mine {
		if now {
			c.Abort(reason)
		} else {
			c.Finish(reason, deadline)
		}
	}
	sh.EndHandshakes(k.owner(), reason)
}

// enterRecv and leaveRecv are around a receive of Go's. Close leaves to one that
// runs what it must not touch meanwhile: it stores closed and then looks for a
// receive; leaveRecv takes the mark off and then looks at closed, so one of the
// two drops what was received.
func (k *Socket) enterRecv() error {
	if k.inRecv.Swap(true) {
		return errno.New(errno.EFSM, "another goroutine is receiving from the socket")
	}
	return nil
}

func (k *Socket) leaveRecv() {
	k.inRecv.Store(false)
	if k.closed.Load() {
		k.dropOnce()
	}
}

func (k *Socket) dropOnce() {
	if !k.dropped.Swap(true) {
		k.dropReceived()
		k.partGone(nil)
	}
}

// dropReceived releases what the application did not read, and makes the
// shards drop what follows.
func (k *Socket) dropReceived() {
	q := k.shared
	// From where the inbox is closed on a shard drops the disconnect events, and with
	// them the sessions, in which runs of this list lie.
	k.mu.Lock()
	k.dropping = true
	k.mu.Unlock()
	defer k.dropUnreceived()
	if q.RxRun != nil {
		k.release(q.RxRun)
	}
	for _, list := range []*shm.Run{q.RxList, q.CloseRuns()} {
		for list != nil {
			next := (*shm.Run)(list.Next)
			k.release(list)
			list = next
		}
	}
	q.RxRun, q.RxList, q.RxLeft = nil, nil, 0
	k.resume()
}

// releaseUnreceived keeps a session until dropReceived is done with its runs.
func (k *Socket) releaseUnreceived(s *shm.Session) {
	k.mu.Lock()
	if k.dropping {
		k.unreceived = append(k.unreceived, s)
		s = nil
	}
	k.mu.Unlock()
	if s != nil {
		s.Release()
	}
}

func (k *Socket) dropUnreceived() {
	k.mu.Lock()
	k.dropping = false
	all := k.unreceived
	k.unreceived = nil
	k.mu.Unlock()
	for _, s := range all {
		s.Release()
	}
}

// destroy ends the socket: no part is left, and no call is in progress.
func (k *Socket) destroy() {
	k.mu.Lock()
	tables := k.oldTables
	if t := k.shared.Table.Load(); t != k.shared.InlineTable() {
		tables = append(tables, t)
	}
	if k.gone != nil {
		close(k.gone)
	}
	k.mu.Unlock()
	for _, t := range tables {
		shm.FreeTable(t)
	}
	k.monitors.Stop()
	shm.FreeQueues(k.shared)
	k.ctx.Done()
}
