// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"sync/atomic"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
)

const (
	// promptMost is how many peers are written to like those of as many calls of Send. More of
	// them are visited by their shards, a few in each round.
	promptMost = 32
	// castAhead is how many sessions are looked at before the first of them gets the message, so
	// that the memory of all is on its way at once.
	castAhead = 16
)

// casts is what a socket knows of its messages for many peers.
type casts struct {
	publishes     atomic.Uint64 // calls
	deliveries    atomic.Uint64 // messages that queues took
	undelivered   atomic.Uint64 // peers that did not take one
	replaced      atomic.Uint64 // messages whose place another one took
	replacedBytes atomic.Uint64
}

// store stores the counts.
func (c *casts) store(s *Stats) {
	s.Publishes, s.Deliveries = c.publishes.Load(), c.deliveries.Load()
	s.Undelivered, s.Replaced = c.undelivered.Load(), c.replaced.Load()
}

// cast is one call of Multicast or Publish.
type cast struct {
	k    *Socket
	m    shm.Part
	body []byte

	header []byte

	except uint32
	key    uint64
	keyed  bool
	text   bool
	group  bool // whoever is going is in no group any more
	prompt bool // sessions become dirty
	wrote  bool // some did
	told   func(index int, peer uint32, err error)

	sole   *engine.Shard // the socket's only one, or nil
	visits []visits
	spare  *shm.Chunk // a block for the next of them that needs one
	first  [1]visits  // most sockets have one shard
	took   int
	missed int
	index  int // of the peer that is being served
	most   int // number of peers
}

// visits are sessions that a shard has to look at, when all have the message: a driver that begins
// earlier takes a processor from the call, and the memory that both use from its cache.
type visits struct {
	wakeup *shm.Wakeup
	list   shm.Visits
}

// cast queues a message for peers, as the options say. The socket is pinned.
func (k *Socket) cast(peers []uint32, body []byte, group bool, options []CastOption) (took int, err error) {
	c := cast{k: k, body: body, group: group, prompt: len(peers) <= promptMost, sole: k.soleShard(), most: len(peers)}
	c.visits = c.first[:0]
	for _, set := range options {
		set(&c)
	}
	if err := c.begin(); err != nil {
		return 0, err
	}
	defer c.end()
	var ahead [castAhead]*shm.Session
	for len(peers) > 0 {
		some := peers[:min(len(peers), castAhead)]
		for i, peer := range some {
			if ahead[i] = k.shared.InSlot(peer); ahead[i] != nil {
				_ = ahead[i].TxLimit.Load()
			}
		}
		for i, peer := range some {
			if peer != c.except || peer == 0 {
				c.deliver(ahead[i], peer)
			}
			c.index++
		}
		peers = peers[len(some):]
	}
	return c.took, nil
}

// begin makes the message. After a success, end must follow.
func (c *cast) begin() error {
	q := c.k.shared
	if c.text && !c.k.sendsText() {
		c.text = false
	}
	if err := c.k.fits(c.header, c.body); err != nil {
		return err
	}
	if all := uint64(q.Weight(c.header, c.body)); all > shm.CastMost {
		return errno.New(errno.EMSGSIZE, "a message for many peers has at most %d bytes, not %d", uint64(shm.CastMost), all)
	}
	if !q.Affords() {
		c.k.showRefusal(0, len(c.body))
		return errno.New(errno.EAGAIN, "the send queues of the socket have used up STREAM_SEND_BYTES_TOTAL")
	}
	make := shm.JoinCast
	if c.keyed {
		make = shm.NewCast
	}
	if c.m = make(q, c.header, c.body, c.text); c.m.Cast == nil {
		return errno.New(errno.ENOMEM, "no memory for a message of %d bytes", len(c.body))
	}
	if c.keyed {
		c.m.Key(c.key)
	}
	return nil
}

// end has written what is queued, counts, and drops the call's reference.
func (c *cast) end() {
	for i := range c.visits {
		v := &c.visits[i]
		c.k.shardOf(v.wakeup).Visit(&v.list)
	}
	if c.spare != nil {
		shm.FreeChunk(c.spare)
	}
	if c.wrote {
		c.k.flushSole(c.sole)
	}
	c.m.Release(c.k.shared)
	counts := &c.k.casts
	counts.publishes.Add(1)
	counts.deliveries.Add(uint64(c.took))
	counts.undelivered.Add(uint64(c.missed))
}

// deliver queues the message for a peer. s is the session that was in its slot of the socket's
// table, or nil.
func (c *cast) deliver(s *shm.Session, peer uint32) {
	r := shm.CastResult{AppendResult: shm.AppendGone}
	prompt := c.isPrompt()
	if s != nil {
		r = s.AppendCast(c.k.shared, peer, c.m, prompt)
	}
	for r.AppendResult == shm.AppendFull && c.makeRoom(s, peer) {
		r = s.AppendCast(c.k.shared, peer, c.m, prompt)
	}
	if r.AppendResult != shm.Appended && r.AppendResult != shm.AppendedWake {
		c.miss(s, peer, r.AppendResult)
		return
	}
	c.took++
	if r.Old != nil {
		c.k.casts.replaced.Add(1)
		c.k.casts.replacedBytes.Add(uint64(r.Bytes))
		r.Old.Release(c.k.shared)
	}
	switch {
	case r.Visit != nil:
		c.visit(s, r.Visit)
	case prompt && c.sole == nil && r.AppendResult == shm.Appended:
		c.k.flush(s, false)
	}
}

// makeRoom drops the oldest messages of a full queue if the policy is to do that. It reports
// whether there is room now.
func (c *cast) makeRoom(s *shm.Session, peer uint32) bool {
	k := c.k
	if k.opt.fullPolicy.Load() != FullDropOldest {
		return false
	}
	d, now := s.DropOldestFor(k.shared, peer, c.m)
	k.full.count(d.Msgs, d.Bytes)
	d.Free(k.shared, engine.ReleaseOwner)
	k.relieved()
	return now == shm.Appended
}

// miss handles a peer that does not take the message.
func (c *cast) miss(s *shm.Session, peer uint32, why shm.AppendResult) {
	k, err := c.k, error(nil)
	policy := k.opt.fullPolicy.Load()
	switch {
	case why == shm.AppendGone && c.group:
		return
	case why == shm.AppendGone:
		err = errGone(peer)
	case why == shm.AppendNoMemory:
		err = errno.New(errno.ENOMEM, "no memory to queue a message for peer %d", peer)
	case policy == FullDropOldest, policy == FullDropNewest: // as a send: it has been taken
		k.full.count(1, uint64(c.m.Size()))
		c.took++
		return
	case k.cuts(s, peer, k.shared.Weight(c.header, c.body)):
		err = k.cutFull(s, peer)
	default:
		if c.told != nil && !s.RefuseCast(k.shared, peer, c.m) { // there is room after all
			c.deliver(s, peer)
			return
		}
		k.showRefusal(peer, len(c.body))
		err = errno.New(errno.EAGAIN, "the send queue of peer %d is full ("+bounds+")", peer)
	}
	c.missed++
	if c.told != nil {
		c.told(c.index, peer, err)
	}
}

// isPrompt reports whether the next session becomes dirty. Without memory for a list of visits
// it does.
func (c *cast) isPrompt() bool {
	if !c.prompt && c.spare == nil {
		c.spare = shm.NewVisits(c.most)
	}
	prompt := c.prompt || c.spare == nil
	c.wrote = c.wrote || prompt
	return prompt
}

// visit has a session looked at by its shard.
func (c *cast) visit(s *shm.Session, by *shm.Wakeup) {
	for i := range c.visits {
		if v := &c.visits[i]; v.wakeup == by {
			v.list.Add(s, &c.spare)
			return
		}
	}
	c.visits = append(c.visits, visits{wakeup: by})
	c.visits[len(c.visits)-1].list.Add(s, &c.spare)
}
