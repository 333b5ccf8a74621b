// SPDX-License-Identifier: MPL-2.0

package check

// Transition is a change of a shard's driver role, or of its driver's sleep.
type Transition uint8

// Transitions.
const (
	ThreadDrives  Transition = iota // the shard's thread took the role
	CallerDrives                    // a receive call did
	FlusherDrives                   // a sender did, to write
	RoleFree                        // it was given back
	HandedOver                      // by the thread, to a receive call that it woke
	Summoned                        // the thread is to take the role
	Watches                         // the thread watches the caller that drives
	Rests                           // the thread sleeps as long as the driving caller sleeps
	Wanted                          // somebody goes to sleep until a driver wakes it
	FallsAsleep                     // the driver is marked asleep, and waits in the kernel
	WakesUp                         // the wait is over
	Roused                          // somebody removed the mark, to wake the driver
	Woken                           // somebody woke the driver after a push removed the mark
	Posted                          // a call was posted
	Resumed                         // a receiver has caught up
)

var transitionNames = [...]string{"the thread drives", "a caller drives", "a flusher drives", "nobody drives",
	"handed over to a caller", "the thread is summoned", "the thread watches", "the thread rests", "a driver is wanted",
	"the driver falls asleep", "the driver wakes up", "the driver is roused", "the driver is woken", "a call is posted",
	"a receiver has caught up"}

func (t Transition) String() string { return transitionNames[t] }
