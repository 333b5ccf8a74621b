// SPDX-License-Identifier: MPL-2.0

package engine

import "time"

// rateBucket limits how often something may happen in a second. At most one second's worth
// may happen at once. The zero value has nothing to pay for.
type rateBucket struct {
	owed int64 // what has happened and is not paid for, in units of 1/second
	at   int64 // ns; owed is of this time
}

const second = int64(time.Second)

// pay reduces what is owed by the time that has passed. rate is above 0.
func (b *rateBucket) pay(rate int, now int64) {
	passed := min(max(0, now-b.at), second)
	b.owed = min(max(0, b.owed-passed*int64(rate)), int64(rate)*second)
	b.at = max(b.at, now)
}

// take counts one more, or returns false if that would be too many.
func (b *rateBucket) take(rate int, now int64) bool {
	b.pay(rate, now)
	if b.owed+second > int64(rate)*second {
		return false
	}
	b.owed += second
	return true
}

// giveBack undoes take.
func (b *rateBucket) giveBack() { b.owed = max(0, b.owed-second) }

// wait returns the time after which take may succeed. pay was called.
func (b *rateBucket) wait(rate int) time.Duration {
	missing := b.owed + second - int64(rate)*second
	return time.Duration(max(0, (missing+int64(rate)-1)/int64(rate)))
}
