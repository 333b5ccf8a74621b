// SPDX-License-Identifier: MPL-2.0

package sys

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// NameThread gives the calling thread a name, of which the kernel keeps 15 bytes.
func NameThread(name string) {
	text := append([]byte(name), 0)
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&text[0])), 0, 0, 0)
}

// SetTimerSlack has the calling thread's waits end at most this much late.
func SetTimerSlack(slack time.Duration) {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0)
}

// PinThread has the calling thread run on these processors only.
func PinThread(cpus []int) {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	_ = unix.SchedSetaffinity(0, &set)
}

// SetPriority gives the calling thread a scheduling policy (SCHED_OTHER …) and a
// priority of it.
func SetPriority(policy, priority int) {
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr,
		Policy: uint32(policy), Priority: uint32(priority)}, 0)
}

// Yield lets other threads of the processor run. Prompt.
func Yield() { _, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }
