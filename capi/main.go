// SPDX-License-Identifier: MPL-2.0

// Command capi is libzlink.so: the C ABI of zlink. The data path is in C (frames.c, fast.c,
// msg.c and path.h), on the structures of core/shm. Every other call on a context, socket
// or monitor is one exported function here: it looks a handle up, calls the core, and turns
// an error into -errno. The core has all rules of sockets. Proxies and utilities are plain
// C.
package main

/*
#cgo CFLAGS: -I${SRCDIR}/../include -Wall -Wextra -Wno-unused-parameter -std=gnu11 -D_GNU_SOURCE
#include "internal.h"
*/
import "C"

import (
	"unsafe"

	"github.com/zlink/zlink/core/errno"
)

func main() {}

// result turns an error into -errno for the C caller, and stores its sentence as the
// thread's detail.
func result(err error) C.int {
	if err == nil {
		return 0
	}
	tell(errno.Detail(err))
	return -C.int(errno.Of(err))
}

// tell sets the sentence that zlink_error_detail returns.
func tell(detail string) {
	C.zl_set_detail((*C.uchar)(unsafe.StringData(detail)), C.size_t(len(detail)))
}

func bytes(p unsafe.Pointer, size C.size_t) []byte { return unsafe.Slice((*byte)(p), size) }
