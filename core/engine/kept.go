// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"time"

	"github.com/zlink/zlink/core/shm"
)

// The memory of received messages
//
// A socket's account adds up what its received messages take: slabs that the shard has
// left and that messages still need, whether they wait or the application keeps them, and
// messages that are not whole. When the total is reached, no connection of the socket is
// read. The application gives messages back on any thread and tells nobody; so the shard
// looks again after a time.
//
// Messages that are not whole must never wait for each other: the connections that would
// finish them would not be read. So reading does not stop because of them, and one that
// takes more than its share is cut.

const (
	// keptFirst is the pause before the first look at what an application keeps. It doubles
	// up to keptMost.
	keptFirst = time.Millisecond
	keptMost  = 32 * time.Millisecond
)

// fills records whose runs the shard's slab holds.
func (sh *Shard) fills(a *shm.Account) {
	switch {
	case sh.slabPos == 0:
		sh.slab.Account.Store(a)
	case sh.slab.Account.Load() != a:
		sh.slab.Account.Store(nil)
	}
}

// overTotal reports whether the socket's received messages take too much. As for what
// waits, a connection that is over has a higher limit.
func (c *Conn) overTotal() bool {
	beyond := int64(0)
	if c.hangup {
		beyond = endedBytes
	}
	return c.account.Full(beyond)
}

// countBegun counts what the connection has of messages that are not whole. Whole ones that
// are held back have limits of their own, and are not the peer's fault.
func (c *Conn) countBegun() {
	size := c.bigSize()
	if c.stash != nil && !c.backlog {
		size += c.stash.ChainSize()
	}
	if c.link != nil && c.link.messages {
		size += c.link.texts().held()
	}
	if now := c.account.Counted(size); now != c.begun {
		c.account.Begun.Add(now - c.begun)
		c.begun = now
	}
}

// mayBegin counts that, and ends the connection if it is more than its share. It returns
// false if the connection ended.
func (c *Conn) mayBegin() bool {
	c.countBegun()
	if c.account.Admits(c.begun) {
		return true
	}
	c.cut(CauseQueueBound, webTryAgain, "too many long messages come at once")
	return false
}

// lookLater has the shard look again at connections of a socket that wait until its
// application gives messages back.
func (sh *Shard) lookLater(k *shm.Queues) {
	if sh.kept == nil {
		sh.kept = map[*shm.Queues]struct{}{}
	}
	if len(sh.kept) == 0 {
		sh.keptPause = keptFirst
		sh.timers.after(sh.keptPause, sh.lookAtKept)
	}
	sh.kept[k] = struct{}{}
}

// readsOn reports whether an application has given back enough: an eighth of the total, so that
// thousands of connections are not looked at for each message, or after a while anything.
func (sh *Shard) readsOn(a *shm.Account) bool {
	return !a.Full(-a.Total.Load()/8) || sh.keptPause == keptMost && !a.Full(0)
}

// lookAtKept reads on for the sockets whose applications have given back enough.
func (sh *Shard) lookAtKept() {
	for k := range sh.kept {
		list := sh.parked[k]
		switch {
		case list == nil || len(*list) == 0:
			delete(sh.kept, k)
		case sh.readsOn((*list)[0].account):
			delete(sh.kept, k)
			sh.caughtUp(k)
		}
	}
	if len(sh.kept) > 0 {
		sh.keptPause = min(2*sh.keptPause, keptMost)
		sh.timers.after(sh.keptPause, sh.lookAtKept)
	}
}
