// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"context"
	"time"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
)

// Close closes the socket at once. Queued messages are still sent in the background, for
// up to LINGER (Shutdown waits for that). It may be called while other goroutines send
// and receive: their calls return ENOTSOCK, and so does a second Close.
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
	defer k.partGone(nil) // after unlocking: the open socket counts as a part
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stopDrain()
	now, deadline := k.lingerEnd()
	why := engine.CauseClosedHere
	if k.terminated.Load() {
		why = engine.CauseContext
	}
	for _, l := range k.listeners {
		l.Close()
	}
	for _, d := range k.dialers {
		d.Close(why, now, deadline)
	}
	k.listeners, k.dialers = nil, nil
	for _, sh := range k.shards {
		sh.Post(func() { k.finishConns(sh, why, now, deadline) })
		users := sh.Users.Add(-1)
		if check.On {
			check.That(users >= 0, "no more sockets leave a shard than use it")
		}
	}
	return nil
}

// lingerEnd returns when unsent messages are discarded: now, at the deadline, or, with
// the zero deadline, never.
func (k *Socket) lingerEnd() (now bool, deadline time.Time) {
	linger := k.opt.linger.Load()
	if linger > 0 {
		deadline = time.Now().Add(time.Duration(linger) * time.Millisecond)
	}
	return linger == 0, deadline
}

// finishConns ends the connections that the socket has on a shard. The shard's driver runs it.
func (k *Socket) finishConns(sh *engine.Shard, why engine.Cause, now bool, deadline time.Time) {
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
			c.Abort(why)
		} else {
			c.Finish(why, deadline)
		}
	}
	sh.EndHandshakes(k.owner(), why)
}

// enterRecv and leaveRecv surround a receive call of Go. Close must not touch what a
// running receive uses. It stores closed and then checks whether a receive runs.
// leaveRecv clears the mark of the receive and then checks closed. So at least one of the
// two sees the other and drops what was received.
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

// dropReceived releases everything that the application has not read, and makes
// the shards drop what follows.
func (k *Socket) dropReceived() {
	q := k.shared
	// Once the inbox is closed, shards drop disconnect events together with their sessions.
	// Runs of this list lie in those sessions.
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
	k.endAllData()
	k.resume()
}

// releaseUnreceived keeps a session until dropReceived has finished with its runs.
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

// destroy frees the socket. No part is left, and no call is in progress.
func (k *Socket) destroy() {
	if check.On {
		q := k.shared
		check.That(q.RxRun == nil && q.RxList == nil, "the receiver of a socket that goes has nothing")
		check.That(q.RxWaiting.Load() == 0 && q.RxEvents.Load() == 0, "nothing waits in a socket that goes")
		check.That(q.TxCasts.Load() == 0, "no message for many is kept in a socket that goes")
		check.That(q.TxMemory.Load() == 0 && q.TxRefusals.Load() == 0 && q.TxHeld.Load() == 0, "nothing is queued in a socket that goes")
		check.That(k.groups.seats.used == 0, "nobody is in a group of a socket that goes")
		check.That(k.reserved == 0 && len(k.asking) == 0, "nobody asks a socket that goes")
		check.That(k.admission.Idle(), "no connection of a socket that goes has a place")
	}
	k.mu.Lock()
	tables := k.oldTables
	if t := k.shared.Table.Load(); t != k.shared.InlineTable() {
		tables = append(tables, t)
	}
	if k.idsLeft > 0 {
		ids.drop(blockOf(k.nextID), k.nextID)
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
	shm.FreeAccount(k.account)
	k.ctx.Done()
}

// Shutdown closes the socket and waits until everything queued is written, LINGER is
// over, or ctx is done. Then it returns the cause of ctx, and the rest goes on in the
// background.
func (k *Socket) Shutdown(ctx context.Context) error {
	k.mu.Lock()
	if k.gone == nil {
		k.gone = make(chan struct{})
	}
	gone := k.gone
	k.mu.Unlock()
	if err := k.Close(); err != nil {
		return err
	}
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
