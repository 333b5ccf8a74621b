// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"sync/atomic"
	"time"
)

// tick is a time in milliseconds since the process began, modulo 2^32. Differences of ticks
// are right up to 49 days.
type tick uint32

var (
	clockBegan = time.Now()
	// clockSkip is the time that tests have let pass. Nothing else changes it.
	clockSkip atomic.Int64
)

// readClock returns the present tick. It costs a system call without a switch to the kernel,
// so the shards call it once a round.
func readClock() tick {
	return tick((time.Since(clockBegan) + time.Duration(clockSkip.Load())) / time.Millisecond)
}

// since returns the time from an earlier tick to t.
func (t tick) since(earlier tick) time.Duration {
	return time.Duration(t-earlier) * time.Millisecond
}

// before reports whether t is earlier than another tick that is at most 24 days away.
func (t tick) before(other tick) bool { return int32(t-other) < 0 }

// useClock makes the shard read the clock at the beginning of each round, and reads it now.
// Who needs sh.now calls it first, once for each connection. Driver only.
func (sh *Shard) useClock() tick {
	sh.clocked = true
	sh.now = sh.readClock()
	return sh.now
}

// readClock returns the present tick, or the one that a test has set.
func (sh *Shard) readClock() tick {
	if sh.clock != nil {
		return sh.clock()
	}
	return readClock()
}
