// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"container/heap"
	"time"

	"github.com/zlink/zlink/core/check"
)

// timer is a pending call of a shard.
type timer struct {
	at    time.Time
	fire  func()
	index int // in the heap; -1: not pending
}

// timers holds a shard's pending calls, the next one first. Driver only.
type timers []*timer

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].at.Before(t[j].at) }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}

func (t *timers) Push(x any) {
	tm := x.(*timer)
	tm.index = len(*t)
	*t = append(*t, tm)
}

func (t *timers) Pop() any {
	last := len(*t) - 1
	tm := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	tm.index = -1
	return tm
}

// after calls fire once, after a delay, on the shard's driver.
func (t *timers) after(delay time.Duration, fire func()) *timer {
	tm := &timer{at: time.Now().Add(delay), fire: fire}
	heap.Push(t, tm)
	return tm
}

// cancel cancels a timer. It accepts nil, and a timer that has fired.
func (t *timers) cancel(tm *timer) {
	if tm != nil && tm.index >= 0 {
		if check.On {
			check.That((*t)[tm.index] == tm, "a pending timer knows its place")
		}
		heap.Remove(t, tm.index)
	}
}

// run fires due timers, as many as a round allows, and reports whether it fired any.
func (t *timers) run(now time.Time) bool {
	fired := 0
	for ; fired < timerBatch && len(*t) > 0 && !(*t)[0].at.After(now); fired++ {
		heap.Pop(t).(*timer).fire()
	}
	return fired > 0
}

// next returns when the next timer is due. The zero time means never.
func (t timers) next() time.Time {
	if len(t) == 0 {
		return time.Time{}
	}
	return t[0].at
}
