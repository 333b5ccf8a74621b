/* SPDX-License-Identifier: MPL-2.0 */
/* Listeners that go from one process to the next. */
#include "internal.h"
#include "zlink.h"
#include "_cgo_export.h"

int zlink_stream_handover (void *handle, const char *path, int fd, int timeout_ms)
{
    ZL_ENTER (-1);
    return zl_result (ZL_GO (handover) ((uintptr_t) handle, (char *) path, fd, timeout_ms));
}

int zlink_stream_takeover (void *handle, const char *path, int fd, int timeout_ms)
{
    ZL_ENTER (-1);
    return zl_result (ZL_GO (takeover) ((uintptr_t) handle, (char *) path, fd, timeout_ms));
}
