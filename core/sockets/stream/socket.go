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

// Socket is a STREAM socket, created by Listen, Dial, Open or New. In the mode FAST any
// number of goroutines may send and close peers while one receives, and any may call
// Close. In the mode COMPAT one goroutine may receive while another one sends. In both, any
// may call Multicast, Join, Leave, Publish and SendKey. All other methods are for one goroutine at a time.
type Socket struct {
	ctx     *core.Context
	shared  *shm.Queues
	account *shm.Account // of received messages; outlives the socket
	serial  uint64       // of shared; sessions are compared with it
	handle  uint64       // that C has; 0: the socket is a Go program's
	pins    atomic.Int64 // calls in progress, plus one for all parts; at 0, shared may become another socket's

	readers wait.List // wait for RxInbox
	senders wait.List // wait for room in a send queue

	monitors  sockets.Monitors
	admission engine.Admission // of accepted connections
	fast      atomic.Bool      // the mode FAST

	receiving  atomic.Bool   // a receive call that could drive is among the readers
	refused    atomic.Uint64 // sends that found a queue full
	full       full
	casts      casts
	groups     groups
	handshakes atomic.Int64                     // bytes held by connections whose handshake is not over
	blocked    atomic.Int32                     // senders waiting
	sole       atomic.Pointer[engine.Shard]     // the only one of shards, or nil
	watch      atomic.Pointer[sockets.CtxWatch] // of receive calls; nil: none has had a context
	terminated atomic.Bool
	closed     atomic.Bool
	inRecv     atomic.Bool // a Go receive call of the mode FAST is running
	dropped    atomic.Bool // received runs are dropped, or will be at once

	// Belongs to the calling thread.
	opt options
	fd  *wait.Waiter // its descriptor is for other event loops; nil: not asked for

	mu         sync.Mutex
	shards     []*engine.Shard
	listeners  []*listening
	dialers    []*dialing             // they may dial again or have a connection; each knows its index
	over       []string               // endpoints of dialers that ended by themselves, oldest first
	parts      int                    // the open socket, its receiver, and listeners, dialers and connections that still exist
	conns      []*engine.Conn         // attached; each knows its index
	walks      int                    // walks that look at conns now
	finals     map[*engine.Conn]final // last counters of connections forgotten since a walk began
	aliases    map[string]aliasUse
	closing    map[uint32]*engine.Conn // those of conns that senders no longer find
	asking     map[uint32]*asker       // those that wait for a decision, and those that have one and are no peers yet
	nextID     uint32                  // of the block of ids that is in use (directory.go)
	idsLeft    uint32                  // of that block; 0: there is none
	reserved   int                     // slots of those that ask, or have asked and are no peers yet
	oldTables  []*shm.Table            // replaced by a larger one; a sender may still look
	past       past
	dropping   bool           // dropReceived is at work
	unreceived []*shm.Session // their disconnect events were dropped meanwhile
	drain      *draining      // nil: none has begun
	gone       chan struct{}  // closed when nothing of the socket is left; nil: nobody waits
}

type listening struct {
	*engine.Listener
	texts [2]string // names that Unbind accepts: the given text, and LAST_ENDPOINT
}

// New returns a socket of the context in the mode COMPAT. The caller must Close it. Go
// programs use Listen, Dial or Open. EMFILE, ETERM, ENOMEM.
func New(ctx *core.Context) (*Socket, error) {
	shared := shm.NewQueues()
	if shared == nil {
		return nil, errno.New(errno.ENOMEM, "no memory for a socket")
	}
	account := shm.NewAccount()
	if account == nil {
		shm.FreeQueues(shared)
		return nil, errno.New(errno.ENOMEM, "no memory for a socket")
	}
	k := &Socket{ctx: ctx, shared: shared, account: account, serial: shared.Serial, parts: partsOpen}
	account.Total.Store(recvTotal)
	k.pins.Store(1)
	k.opt.setDefaults(ctx)
	shared.TxTotal.Store(sendBytesTotal)
	if err := ctx.Add(k.owner()); err != nil {
		shm.FreeQueues(shared)
		shm.FreeAccount(account)
		return nil, err
	}
	return k, nil
}

// Every call pins the socket from its start to its end. Whatever a call uses (queues,
// shards, their pollers) stays the socket's until the last call has left, even if another
// thread closes the socket and ends its context meanwhile. Senders of the C layer need no
// pin; see shm.Session.Append.

// enter begins a call, or returns ENOTSOCK or ETERM. After a success, leave must follow.
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

// pin is enter in any state of the socket. It returns false if nothing of the socket is left.
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

// leave ends a call; the last one ends the socket.
func (k *Socket) leave() {
	pins := k.pins.Add(-1)
	if check.On {
		check.That(pins >= 0, "no more calls end than began")
	}
	if pins == 0 {
		k.destroy()
	}
}

// terminate makes blocked and later calls fail with ETERM. The context's Shutdown calls
// it. Any thread.
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

// state returns ETERM or ENOTSOCK if calls must end, or nil.
func (k *Socket) state() error {
	if k.closed.Load() {
		return errno.ENOTSOCK
	}
	if k.terminated.Load() {
		return errno.ETERM
	}
	return nil
}
