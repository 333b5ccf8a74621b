// SPDX-License-Identifier: MPL-2.0

package shm

import "time"

// When free memory goes back
//
// A tick moves free blocks on by one place (reserve.go). Ticks come as long as more
// blocks have memory than may keep it when they are free.

const (
	// tidyTick is how long a free block stays in each place: after two to three of them
	// its memory goes back.
	tidyTick = 750 * time.Millisecond
	// tidiedWorth is how many bytes that went back make a flood, and stillFlood the
	// share of them that makes it go on, when it went back in the last tick.
	tidiedWorth = 16 << 20
	stillFlood  = 16
)

// Tidied, if it is set, is called on a goroutine when a flood is over, which is when
// its memory has gone back: what it left elsewhere may go, too. What goes back later,
// until the next flood, is called for as well, once.
var Tidied func()

// Guarded by growMutex.
var (
	tidying bool    // a tick will come
	dropped uintptr // bytes that went back since Tidied was called
	flooded bool    // Tidied was called since ticks began
)

// tickLater calls tidy after tidyTick. Tests make ticks of their own.
var tickLater = func(tidy func()) { time.AfterFunc(tidyTick, tidy) }

// keepTidy begins ticks if it takes them. growMutex is held.
func keepTidy() {
	if !tidying && excess() {
		tidying = true
		tickLater(tidy)
	}
}

// excess reports whether more blocks have memory than keep it when they are free.
func excess() bool {
	for i := range classes {
		if classes[i].warm > uintptr(keepWarm[i])*blockSize[i]+growStep[i]-blockSize[i] {
			return true
		}
	}
	return false
}

// tidy makes a tick, and has another one come as long as there may be something to
// give back.
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

// floodIsOver reports whether enough memory has gone back, and little of it, now bytes,
// in the last tick. growMutex is held.
func floodIsOver(now uintptr) bool {
	if !excess() {
		return dropped >= tidiedWorth || flooded && dropped > 0
	}
	return dropped >= tidiedWorth && now <= dropped/stillFlood
}
