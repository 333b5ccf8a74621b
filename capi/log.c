/* SPDX-License-Identifier: MPL-2.0 */
/* The log: Go calls the application's function on a thread of its own. */
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

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

/* A write of this many bytes to a pipe is all of it or nothing; lines are shorter. */
enum
{
    longest_line = 4096
};

/* Returns whether a descriptor has taken a line. */
static bool write_line (int fd, const char *level, const char *line)
{
    char text[longest_line];
    int size = snprintf (text, sizeof text, "%s %s\n", level, line);
    if (size >= (int) sizeof text) {
        size = sizeof text - 1;
        text[size - 1] = '\n';
    }
    for (int at = 0; at < size;) {
        const ssize_t n = write (fd, text + at, (size_t) (size - at));
        if (n < 0 && errno != EINTR)
            return false;
        at += n > 0 ? (int) n : 0;
    }
    return true;
}

void zlink_log_to_fd (int level, const char *line, void *fd)
{
    static const char *const names[] = {"none", "error", "warning", "info", "debug"};
    static _Atomic unsigned long left_out; /* lines that no descriptor took */
    const int to = (int) (intptr_t) fd, before = errno;
    const unsigned long missing = atomic_exchange (&left_out, 0);
    char says[64];
    snprintf (says, sizeof says, "too many lines, some are left out lines=%lu", missing);
    if (missing && !write_line (to, "error", says))
        atomic_fetch_add (&left_out, missing + 1); /* and the one that came now */
    else if (!write_line (to, level < 0 || level > ZLINK_LOG_DEBUG ? "none" : names[level], line))
        atomic_fetch_add (&left_out, 1);
    errno = before;
}
