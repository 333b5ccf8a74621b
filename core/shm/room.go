// SPDX-License-Identifier: MPL-2.0

package shm

import "github.com/zlink/zlink/core/sys"

// leftToGo is the part of a bounded address space that stays free for Go's heap. The heap
// grows by 64 MiB at a time, at a multiple of that.
const leftToGo = 128 << 20

// Roomy reports whether the address space of the process is unbounded, or has room
// left for Go's heap to grow. Go aborts the process when its heap cannot grow. Roomy lets
// callers refuse earlier, while that is the error of a call or the end of one connection.
func Roomy() bool { return sys.HasRoom(leftToGo) }
