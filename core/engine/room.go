// SPDX-License-Identifier: MPL-2.0

package engine

import "github.com/zlink/zlink/core/shm"

// giveRoom tells those who wait for room that the connection has written or dropped
// something. What that changes is stored before. core/shm/bounds.go says who waits and how.
func (c *Conn) giveRoom() {
	c.owner.WakeSenders()
	q := c.queues
	if q.TxRefusals.Load() != 0 {
		c.offerRoom()
	}
	if q.TxStarved.Load() != 0 && q.Affords() {
		c.owner.Relieve()
	}
}

// offerRoom tells the sender that the connection's queue refused, if it has room again.
// After the disconnect event nothing more is told: the event is the end of the refusal.
func (c *Conn) offerRoom() {
	if c.detached || c.announced {
		return
	}
	shared := c.Shared
	shared.Lock()
	room, rid := shared.GiveRoom(c.queues, c.limits.Fast), shared.Rid.Load()
	shared.Unlock()
	if room.Push {
		c.pushEvent(&shared.Up)
	}
	if room.Given && c.owner.Observed() {
		c.observe(EventWritable, 0)
	}
	if room.Starving {
		c.owner.Starve(shared, rid)
	}
}

// Waiting is a session whose sender waits for room, and its routing id.
type Waiting struct {
	Session *shm.Session
	Rid     uint32
}

// OfferRoom looks at sessions of the socket with this serial whose senders wait for room.
// Driver only.
func (sh *Shard) OfferRoom(serial uint64, all []Waiting) {
	for _, w := range all {
		if c := sh.openConn(w.Session, serial, w.Rid); c != nil {
			c.offerRoom()
		}
	}
}

// openConn returns the open connection that the socket with this serial calls rid, or nil.
func (sh *Shard) openConn(shared *shm.Session, serial uint64, rid uint32) *Conn {
	shared.Lock()
	defer shared.Unlock()
	if shared.Rid.Load() != rid || shared.Owner != serial || shared.TxState == shm.TxClosed {
		return nil
	}
	return sh.byFd[shared.Fd].handler.(*Conn)
}
