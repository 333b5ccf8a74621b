// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"slices"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// A connection is parked while its receiver does not keep up: it is not read until
// the receiver has caught up. Its descriptor is closed meanwhile only if the
// connection is over and the system holds nothing of it that could be delivered.

// throttled reports whether the socket has enough to read. A connection that is
// over may add to that, as it takes a descriptor until it is read to its end.
func (c *Conn) throttled() bool {
	limit := int64(throttleBytes)
	if c.hangup {
		limit = endedBytes
	}
	return c.queues.RxWaiting.Load() >= limit
}

// park stops reading until the receiver catches up: it marks what it waits for
// and looks once more, and the receiver, after it took something, looks for
// the mark. A reason that shows only in that look is marked and looked at again:
// what the first one waited for may be over for good. Checked by
// tests/model/parking.pml.
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
			c.Shared.RxStalled.Store(1)
		case much && !throttled:
			throttled = true
			c.queues.RxLow.Store(throttleBytes / 2)
			c.queues.RxThrottled.Store(1)
		case full || much: // and was marked before this look
			return
		default:
			c.shard.caughtUp(c.queues)
			return
		}
	}
}

// overUnread reports whether the connection is over and the kernel holds nothing
// more of it. With a link that shows only when all has been read.
func (c *Conn) overUnread() bool {
	if !c.hangup || c.link != nil {
		return false
	}
	n, e := sys.Unread(int(c.fd))
	return e == 0 && n == 0
}

// readEnd reads the end of a connection that is over, and only that. What is kept
// back of it is delivered, whatever RCVHWM says.
func (c *Conn) readEnd() {
	var none [1]byte
	_, _, _ = c.read(none[:])
}

// overWhileParked has a parked connection that is over ended, or read if
// that is allowed now.
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

// listParked puts a connection on the list of its socket.
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

// unpark takes a parked connection off its socket's list.
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

// caughtUp has the connections of a socket looked at again.
func (sh *Shard) caughtUp(k *shm.Queues) {
	sh.mail.Lock()
	if !slices.Contains(sh.mail.caughtUp, k) {
		sh.mail.caughtUp = append(sh.mail.caughtUp, k)
	}
	sh.mail.Unlock()
	sh.unpark.Store(true)
}

// Resume lets the shard read on for a receiver that caught up. Any thread.
func (sh *Shard) Resume(k *shm.Queues) {
	if check.On {
		sh.note(check.Resumed)
	}
	sh.caughtUp(k)
	sh.wakeSleeper()
}

// readParked gives the connections another turn whose sockets caught up. Those stay
// that wait for messages of their own to be taken: their marks are still there.
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

// readInOrder does that for one socket, the connection first that has waited longest:
// the first few fill the socket again, and the others are back behind them.
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

// dropParkedLists forgets sockets that have no parked connection.
func (sh *Shard) dropParkedLists() {
	for k, list := range sh.parked {
		if len(*list) == 0 {
			delete(sh.parked, k)
		}
	}
}
