/* SPDX-License-Identifier: MPL-2.0 */
/* The log: Go calls the application's function on a thread of its own. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
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

/* A write that raises no SIGPIPE, which is the host's: the thread's own is taken back, unless one had been waiting. */
static ssize_t quiet_write (int fd, const char *data, size_t size)
{
    sigset_t pipe, waiting, before;
    sigemptyset (&pipe);
    sigaddset (&pipe, SIGPIPE);
    sigpending (&waiting);
    pthread_sigmask (SIG_BLOCK, &pipe, &before);
    const ssize_t n = write (fd, data, size);
    const int why = errno;
    if (n < 0 && why == EPIPE && !sigismember (&waiting, SIGPIPE))
        sigtimedwait (&pipe, NULL, &(struct timespec) {0, 0});
    pthread_sigmask (SIG_SETMASK, &before, NULL);
    errno = why;
    return n;
}

/* Returns whether a descriptor has taken a line. If it took a part, the next line begins on a new one. */
static bool write_line (int fd, const char *level, const char *line)
{
    static _Atomic int torn = -1; /* the descriptor that took a part last */
    char text[longest_line];
    const char *const begin = atomic_load (&torn) == fd ? "\n" : "";
    int size = snprintf (text, sizeof text, "%s%s %s\n", begin, level, line);
    if (size >= (int) sizeof text) {
        size = sizeof text - 1;
        text[size - 1] = '\n';
    }
    for (int at = 0; at < size;) {
        const ssize_t n = quiet_write (fd, text + at, (size_t) (size - at));
        if (n == 0 || (n < 0 && errno != EINTR)) {
            if (at > 0)
                atomic_store (&torn, fd);
            return false;
        }
        at += n > 0 ? (int) n : 0;
    }
    if (*begin)
        atomic_store (&torn, -1);
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
