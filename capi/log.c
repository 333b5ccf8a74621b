/* SPDX-License-Identifier: MPL-2.0 */
/* The log: Go calls the application's function on a thread of its own. */
#include "internal.h"
#include "zlink.h"

#include "_cgo_export.h"

int zlink_set_log (zlink_log_fn *fn, int level, void *arg)
{
    ZL_ENTER (-1);
    return zl_result (ZL_GO (set_log) ((uintptr_t) fn, level, (uintptr_t) arg));
}

void zl_log (uintptr_t fn, int level, const char *line, uintptr_t arg)
{
    ((zlink_log_fn *) fn) (level, line, (void *) arg);
}
