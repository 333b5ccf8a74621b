// SPDX-License-Identifier: MPL-2.0

package sys

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ThreadID returns the number of the calling thread.
func ThreadID() int { return unix.Gettid() }

// NameThread names the calling thread; the kernel keeps 15 bytes of the name.
func NameThread(name string) {
	text := append([]byte(name), 0)
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&text[0])), 0, 0, 0)
}

// SetTimerSlack limits how late the calling thread's waits may end.
func SetTimerSlack(slack time.Duration) {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0)
}

// PinThread restricts the calling thread to these processors.
func PinThread(cpus []int) {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	_ = unix.SchedSetaffinity(0, &set)
}

// SetPriority sets the calling thread's scheduling policy (SCHED_OTHER …) and the
// priority within it.
func SetPriority(policy, priority int) {
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr,
		Policy: uint32(policy), Priority: uint32(priority)}, 0)
}

// Yield lets other threads of the processor run. Prompt.
func Yield() { _, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }
