// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
)

// Values of sockets.OptFullPolicy: what a send does when its peer's queue is at a bound.
const (
	FullAgain      = 0 // it waits, or ends with EAGAIN
	FullDropNewest = 1 // it succeeds, and its message is dropped
	FullDropOldest = 2 // it drops the oldest messages of the queue to make room
	FullCut        = 3 // it resets the connection and ends with EHOSTUNREACH
)

// bounds are the options that can make a queue full.
const bounds = "SNDHWM, STREAM_SEND_BYTES or STREAM_SEND_BYTES_TOTAL"

// sendBytesTotal is the default of sockets.OptSendBytesTotal.
const sendBytesTotal = 256 << 20

// full is what a socket knows of queues that were full.
type full struct {
	msgs, bytes atomic.Uint64 // dropped

	mu      sync.Mutex
	starved map[*shm.Session]uint32 // empty queues that refused a message because of the total, with their ids
}

// dropOldest drops messages of a full queue until it has room for a new one. It returns
// false if that cannot be.
func (k *Socket) dropOldest(s *shm.Session, rid uint32, size int, owned bool) bool {
	d, now := s.DropOldest(k.shared, rid, size, owned)
	k.full.count(d.Msgs, d.Bytes)
	d.Free(k.shared, engine.ReleaseOwner)
	k.relieved()
	return now != shm.AppendFull && now != shm.AppendStarved
}

// dropNewest drops a message that did not fit.
func (k *Socket) dropNewest(size int, owner unsafe.Pointer) {
	k.full.count(1, lengthSize+uint64(size))
	if owner != nil {
		engine.ReleaseOwner(owner)
	}
}

// cuts reports whether the policy is to cut the peer of a full queue. One whose queue has no
// room only because of other queues is not cut.
func (k *Socket) cuts(s *shm.Session, rid uint32, size int) bool {
	return k.opt.fullPolicy.Load() == FullCut && s.Stuck(k.shared, rid, size)
}

// cutFull resets the connection of a peer whose queue is full.
func (k *Socket) cutFull(s *shm.Session, rid uint32) error {
	if !s.BeginAbort(k.serial, rid) {
		return errGone(rid)
	}
	k.resetPeer(s, rid, engine.CauseQueueBound)
	return errno.New(errno.EHOSTUNREACH, "the peer %d was cut, because its send queue was full ("+bounds+")", rid)
}

// refuse notes that a sender gets EAGAIN, and so has to be told when there is room. It
// returns false if the send should try again.
func (k *Socket) refuse(s *shm.Session, rid uint32, body int, owned bool) bool {
	switch s.Refuse(k.shared, rid, body, owned) {
	case shm.AppendFull:
		return true
	case shm.AppendStarved:
		k.starve(s, rid)
		return true
	}
	return false
}

// starve notes a session for relieve, and looks once more whether the total has room. Any
// thread.
func (k *Socket) starve(s *shm.Session, rid uint32) {
	k.full.mu.Lock()
	if k.full.starved == nil {
		k.full.starved = map[*shm.Session]uint32{}
	}
	k.full.starved[s] = rid
	k.shared.TxStarved.Store(1)
	k.full.mu.Unlock()
	k.relieved()
}

// relieved has the shards look at the sessions of starve if the total has room.
func (k *Socket) relieved() {
	if k.shared.TxStarved.Load() != 0 && k.shared.Affords() {
		k.relieve()
	}
}

func (k *Socket) relieve() {
	k.full.mu.Lock()
	all := k.full.starved
	k.full.starved = nil
	k.shared.TxStarved.Store(0)
	k.full.mu.Unlock()
	lists := map[*engine.Shard][]engine.Waiting{}
	for s, rid := range all {
		sh := k.shard(s)
		lists[sh] = append(lists[sh], engine.Waiting{Session: s, Rid: rid})
	}
	for sh, list := range lists {
		sh.Post(func() { sh.OfferRoom(k.serial, list) })
	}
}

// count counts dropped messages.
func (f *full) count(msgs, bytes uint64) {
	f.msgs.Add(msgs)
	f.bytes.Add(bytes)
}
