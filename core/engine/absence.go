// SPDX-License-Identifier: MPL-2.0

package engine

import "time"

// absence decides who visits: a receive call that drives, or the shard's thread. Driver only.
//
// Between two messages the receiver is away, and nobody visits. To hand the visits to the shard's
// thread for that time, and back, takes two wake-ups, and where the processors are busy each of them
// waits for a turn. So the receiver keeps them, unless it is away for longer than a fourth of the time that it drives. Then the thread has
// them, and does not hand them over for a pause. The thread watches, so no absence is longer than two ticks.
type absence struct {
	since  time.Time // when the receiver left visits behind; zero: it is not away
	drives time.Time // when it took the role with visits; zero: it did not
	doubt  time.Time // until when visits are not handed over
	pause  time.Duration
	more   time.Duration // by how much it was away longer than a fourth of what it drove, in fourths
	well   time.Duration // how long it drove with visits since the pause
}

const (
	absenceMost  = time.Millisecond // of more
	awayPrice    = 4
	firstPause   = 4 * time.Millisecond
	longestPause = 1024 * time.Millisecond
	wellMost     = 32 * time.Millisecond // of well: the next pause is a first one
)

// begin is when the receiver leaves the role, with visits.
func (a *absence) begin(now time.Time) {
	if !a.drives.IsZero() {
		drove := now.Sub(a.drives)
		a.more, a.well = max(-absenceMost, a.more-drove), a.well+drove
	}
	a.since, a.drives = now, time.Time{}
}

// end is when somebody drives again.
func (a *absence) end(now time.Time) {
	if a.since.IsZero() {
		return
	}
	if a.more += awayPrice * now.Sub(a.since); a.more > absenceMost {
		if a.well > wellMost {
			a.pause = 0
		}
		a.pause = min(max(firstPause, 4*a.pause), longestPause)
		a.doubt, a.more, a.well = now.Add(a.pause), 0, 0
	}
	a.since = time.Time{}
}

// trusts reports whether a receiver may have visits.
func (a *absence) trusts() bool { return a.doubt.IsZero() || time.Now().After(a.doubt) }

// over is when no visits are left.
func (a *absence) over() { a.since, a.drives, a.more = time.Time{}, time.Time{}, 0 }
