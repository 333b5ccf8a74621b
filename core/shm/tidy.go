// SPDX-License-Identifier: MPL-2.0

package shm

import "time"

// When free memory goes back
//
// A tick moves free blocks on by one place (reserve.go). Ticks come while more blocks have
// memory than keepWarm lets free blocks keep.

const (
	// tidyTick is the time that a free block stays in each place. Its memory goes back after
	// two to three ticks.
	tidyTick = 750 * time.Millisecond
	// tidiedWorth is the number of returned bytes that makes a flood. A flood goes on while
	// the last tick returned more than 1/stillFlood of all that it has returned.
	tidiedWorth = 16 << 20
	stillFlood  = 16
)

// Tidied, if set, runs on a goroutine when a flood is over: its memory has gone back, and
// what it left elsewhere may go, too. It runs once more for memory that goes back later,
// before the next flood.
var Tidied func()

// Guarded by growMutex.
var (
	tidying bool    // a tick will come
	dropped uintptr // bytes that went back since Tidied was called
	flooded bool    // Tidied was called since ticks began
)

// tickLater calls tidy after tidyTick. Tests make ticks of their own.
var tickLater = func(tidy func()) { time.AfterFunc(tidyTick, tidy) }

// keepTidy starts ticks if they are needed. growMutex is held.
func keepTidy() {
	if !tidying && excess() {
		tidying = true
		tickLater(tidy)
	}
}

// excess reports whether more blocks have memory than may keep it when they are free.
func excess() bool {
	for i := range classes {
		if classes[i].warm > uintptr(keepWarm[i])*blockSize[i]+growStep[i]-blockSize[i] {
			return true
		}
	}
	return false
}

// tidy makes a tick, and schedules another one while there may be memory to return.
func tidy() {
	growMutex.Lock()
	before := dropped
	growMutex.Unlock()
	Tick()
	growMutex.Lock()
	defer growMutex.Unlock()
	if floodIsOver(dropped - before) {
		flooded, dropped = true, 0
		if Tidied != nil {
			go Tidied()
		}
	}
	if tidying = excess() || dropped >= tidiedWorth; tidying {
		tickLater(tidy)
		return
	}
	flooded, dropped = false, 0
}

// floodIsOver reports whether enough memory has gone back, and little of it in the last
// tick. now is the number of bytes that went back in that tick. growMutex is held.
func floodIsOver(now uintptr) bool {
	if !excess() {
		return dropped >= tidiedWorth || flooded && dropped > 0
	}
	return dropped >= tidiedWorth && now <= dropped/stillFlood
}
