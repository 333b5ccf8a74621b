// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"slices"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/shm"
)

// takeShard returns a shard for a new endpoint.
func (k *Socket) takeShard() (*engine.Shard, error) {
	sh, err := k.ctx.Shard(k.opt.affinity)
	if err != nil {
		return nil, err
	}
	k.useShard(sh)
	return sh, nil
}

// useShard counts the socket among the shard's users, once.
func (k *Socket) useShard(sh *engine.Shard) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if slices.Contains(k.shards, sh) || k.closed.Load() {
		return
	}
	k.shards = append(k.shards, sh)
	if sh.Users.Add(1) > 1 {
		sh.Wake() // a receive call that drives must stop doing so
	}
	if len(k.shards) == 1 {
		k.shared.Shard.Store(sh.Shared)
		k.sole.Store(sh)
		return
	}
	k.shared.Shard.Store(nil)
	k.sole.Store(nil)
	for _, other := range k.shards {
		other.Wake() // and so must one of this socket: runs now come from elsewhere, too
	}
}

// placer returns a function that picks the shard of each accepted connection.
func (k *Socket) placer(home *engine.Shard) func() *engine.Shard {
	affinity := k.opt.affinity
	return func() *engine.Shard {
		sh, err := k.ctx.Shard(affinity)
		if err != nil {
			return home
		}
		k.useShard(sh)
		return sh
	}
}

// soleShard returns the socket's only shard, or nil.
func (k *Socket) soleShard() *engine.Shard { return k.sole.Load() }

// mayDrive reports whether a call of this socket may continue to drive the shard.
func (k *Socket) mayDrive(sh *engine.Shard) bool { return k.state() == nil && k.soleShard() == sh }

// shard returns the shard that serves s, which a call of this socket found. If s belongs to
// another socket by now, it returns any shard of this socket.
func (k *Socket) shard(s *shm.Session) *engine.Shard {
	if sole := k.soleShard(); sole != nil {
		return sole
	}
	s.Lock()
	shared := s.Shard
	s.Unlock()
	return k.shardOf(shared)
}

// shardOf returns the socket's shard with this wakeup. If it has none, it returns any.
func (k *Socket) shardOf(shared *shm.Wakeup) *engine.Shard {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, sh := range k.shards {
		if sh.Shared == shared {
			return sh
		}
	}
	return k.shards[0]
}
