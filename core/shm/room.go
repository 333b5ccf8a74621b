// SPDX-License-Identifier: MPL-2.0

package shm

import "github.com/zlink/zlink/core/sys"

// leftToGo is how much of a bounded address space is left to Go's heap, which grows
// by 64 MiB at a time, at a multiple of that.
const leftToGo = 128 << 20

// Roomy reports whether the address space of the process is unbounded, or has room
// left for Go's heap to grow. Go aborts the process when it has not; what fills it
// is refused before, while that is an error of a call or the end of one connection.
func Roomy() bool { return sys.HasRoom(leftToGo) }
