// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"math"
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

// full reports whether enough of the connection's own waits for the receiver.
func (c *Conn) full() bool { return c.room() <= 0 || c.roomBytes() <= 0 }

// roomBytes returns how many more bytes RECV_BYTES lets in. What was received of a message
// that still comes counts. If nothing else waits, there is always room: the message has to
// get on, however long it is, and nobody would take anything to make room for it.
func (c *Conn) roomBytes() int64 {
	limit := c.limits.RecvBytes
	if limit == 0 || c.hangup { // one that is over occupies a descriptor: throttled has a limit for all of them
		return math.MaxInt64
	}
	left := limit - c.Shared.RxBytes() - int64(c.stashed())
	if slab := c.bigSlab(); slab != nil {
		left -= int64(slab.Have)
	}
	if left <= 0 && c.Shared.RxMsgs() == 0 {
		return shm.SmallChunkSize
	}
	return left
}

// low is how many messages are left of a full connection when it is read on: half of RCVHWM,
// or of those that wait now.
func (c *Conn) low() uint32 {
	if c.room() <= 0 {
		return c.limits.RcvHwm / 2
	}
	return c.Shared.RxMsgs() / 2
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
		over := c.overTotal()
		if over {
			c.shard.lookLater(c.queues)
		}
		switch full, much := c.full(), c.throttled(); {
		case full && !stalled:
			stalled = true
			c.Shared.RxStalled.Store(1 + c.low())
		case much && !throttled:
			throttled = true
			c.queues.RxLow.Store(throttleBytes / 2)
			c.queues.RxThrottled.Store(1)
		case full || much || over: // and was marked before this check
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
	case !c.full() && !c.throttled() && !c.overTotal():
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
		if c.Shared.RxStalled.Load() != 0 && c.staysFull() {
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

// staysFull reports whether a connection that was full still is. Those of its messages that
// are left may be the long ones. Then it waits for half of them, so that the receiver does
// not wake the shard with each. The earlier mark holds until the new one, which is not
// higher, so no second look is needed.
func (c *Conn) staysFull() bool {
	full := c.full()
	if full {
		c.Shared.RxStalled.Store(1 + c.low())
	}
	return full
}

// dropParkedLists forgets sockets without a parked connection.
func (sh *Shard) dropParkedLists() {
	for k, list := range sh.parked {
		if len(*list) == 0 {
			delete(sh.parked, k)
		}
	}
}
