// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"slices"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// A connection is parked while its receiver does not keep up. It is not read until the
// receiver has caught up. Its descriptor is closed meanwhile only if the connection is
// over and the system holds nothing of it that could be delivered.

// throttled reports whether the socket has enough to read. For a connection that is over
// the limit is higher, because it occupies a descriptor until it is read to its end.
func (c *Conn) throttled() bool {
	limit := int64(throttleBytes)
	if c.hangup {
		limit = endedBytes
	}
	return c.queues.RxWaiting.Load() >= limit
}

// park stops reading until the receiver catches up. It marks what it waits for and then
// checks once more. The receiver takes something and then looks for the mark. If the second
// check finds another reason, park marks that, too, and checks again: what the first mark
// waits for may never happen any more. Checked by tests/model/parking.pml.
func (c *Conn) park() {
	if check.On {
		check.That(!c.parked && c.fd >= 0, "a connection parks once, and while it is there")
	}
	c.parked = true
	c.shard.listParked(c)
	stalled, throttled := false, false // marked
	for {
		switch full, much := c.room() <= 0, c.throttled(); {
		case full && !stalled:
			stalled = true
			c.Shared.RxStalled.Store(1 + c.limits.RcvHwm/2)
		case much && !throttled:
			throttled = true
			c.queues.RxLow.Store(throttleBytes / 2)
			c.queues.RxThrottled.Store(1)
		case full || much: // and was marked before this check
			return
		default:
			c.shard.caughtUp(c.queues)
			return
		}
	}
}

// overUnread reports whether the connection is over and the kernel holds no more of its
// input. With a link, only reading everything can show that.
func (c *Conn) overUnread() bool {
	if !c.hangup || c.link != nil {
		return false
	}
	n, e := sys.Unread(int(c.fd))
	return e == 0 && n == 0
}

// readEnd reads only the end of a connection that is over. It delivers what was held back,
// whatever RCVHWM says.
func (c *Conn) readEnd() {
	var none [1]byte
	_, _, _ = c.read(none[:])
}

// overWhileParked ends a parked connection that is over, or reads it if that is allowed
// now.
func (c *Conn) overWhileParked() {
	switch {
	case c.overUnread():
		c.unpark()
		c.readEnd()
	case c.room() > 0 && !c.throttled():
		c.unpark()
		c.wantRead()
	}
}

// listParked adds a connection to the list of its socket.
func (sh *Shard) listParked(c *Conn) {
	if sh.parked == nil {
		sh.parked = map[*shm.Queues]*[]*Conn{}
	}
	list := sh.parked[c.queues]
	if list == nil {
		list = new([]*Conn)
		sh.parked[c.queues] = list
	}
	c.parkedAt = int32(len(*list))
	*list = append(*list, c)
}

// unpark removes a parked connection from its socket's list.
func (c *Conn) unpark() {
	c.parked = false
	c.Shared.RxStalled.Store(0)
	list := c.shard.parked[c.queues]
	last := len(*list) - 1
	if check.On {
		check.That((*list)[c.parkedAt] == c, "a parked connection knows its place")
	}
	(*list)[c.parkedAt] = (*list)[last]
	(*list)[c.parkedAt].parkedAt = c.parkedAt
	(*list)[last] = nil
	*list = (*list)[:last]
}

// caughtUp makes the shard look at the connections of a socket again.
func (sh *Shard) caughtUp(k *shm.Queues) {
	sh.mail.Lock()
	if !slices.Contains(sh.mail.caughtUp, k) {
		sh.mail.caughtUp = append(sh.mail.caughtUp, k)
	}
	sh.mail.Unlock()
	sh.unpark.Store(true)
}

// Resume lets the shard read on for a receiver that has caught up. Any thread.
func (sh *Shard) Resume(k *shm.Queues) {
	if check.On {
		sh.note(check.Resumed)
	}
	sh.caughtUp(k)
	sh.wakeSleeper()
}

// readParked gives another turn to the connections whose sockets have caught up. A
// connection that waits for its own messages to be taken stays: its mark is still there.
func (sh *Shard) readParked() {
	sh.mail.Lock()
	sockets := sh.mail.caughtUp
	sh.mail.caughtUp, sh.caughtUpSpare = sh.caughtUpSpare[:0], sockets
	sh.mail.Unlock()
	for _, k := range sockets {
		if list := sh.parked[k]; list != nil {
			readInOrder(list)
		}
	}
	clear(sockets)
}

// readInOrder does that for one socket, longest wait first. The first few connections fill
// the socket again, and the others are parked again behind them.
func readInOrder(list *[]*Conn) {
	all, stay := *list, 0
	for _, c := range all {
		if check.On {
			check.That(c.parked, "a connection on the list of parked ones is marked so")
		}
		if c.Shared.RxStalled.Load() != 0 && c.room() <= 0 {
			all[stay], c.parkedAt = c, int32(stay)
			stay++
			continue
		}
		c.parked = false
		c.Shared.RxStalled.Store(0)
		c.wantRead()
	}
	clear(all[stay:])
	*list = all[:stay]
}

// dropParkedLists forgets sockets without a parked connection.
func (sh *Shard) dropParkedLists() {
	for k, list := range sh.parked {
		if len(*list) == 0 {
			delete(sh.parked, k)
		}
	}
}
