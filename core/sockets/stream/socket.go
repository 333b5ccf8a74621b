// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"sync"
	"sync/atomic"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/check"
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
	pins := k.pins.Add(-1)
	if check.On {
		check.That(pins >= 0, "no more calls end than began")
	}
	if pins == 0 {
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
