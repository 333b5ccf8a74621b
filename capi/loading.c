/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the host must not notice of Go's runtime, which the constructors of this
 * library start on a thread of its own. Threads inherit from the one that
 * starts them, so the loading thread is changed before Go's constructor and set
 * back after it:
 *
 *  - Signals are blocked: Go's threads, and those that they start, never take
 *    a signal that is meant for the host, whose handlers could not run on their
 *    small stacks.
 *  - Timer slack is long, yet not so long that the short sleeps of Go's
 *    scheduler show in a latency. Go's monitor thread (sysmon) looks after processors
 *    whose thread is outside Go. A C thread that drives a shard is outside Go
 *    most of the time, so sysmon would stay at its shortest sleep, 20 us, and
 *    take a fifth of a core to find nothing to do. Shards set theirs back
 *    (core/engine/driver.go).
 *
 * Go also installs handlers of its own: for SIGURG, to preempt its threads, but
 * zlink is built without that (cmake/ZlinkLibrary.cmake); for SIGPIPE, but
 * zlink writes with MSG_NOSIGNAL; for SIGSEGV and its like, but a fault is the
 * host's to handle, or to end with as usual. The host gets all of them back.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>

#include "hot.h"
#include "_cgo_export.h"

enum
{
    SLACK_NS = 200 * 1000,
    SIGNALS = 32 /* the real-time signals are not Go's */
};

static struct
{
    struct sigaction actions[SIGNALS];
    sigset_t mask;
    int slack_ns;
} before;

/* Before Go's constructor: those with a priority come first. */
__attribute__ ((constructor (101))) static void prepare (void)
{
    sigset_t all;
    for (int i = 1; i < SIGNALS; i++)
        sigaction (i, NULL, &before.actions[i]);
    sigfillset (&all);
    pthread_sigmask (SIG_SETMASK, &all, &before.mask);
    before.slack_ns = prctl (PR_GET_TIMERSLACK);
    if (before.slack_ns > 0 && before.slack_ns < SLACK_NS)
        prctl (PR_SET_TIMERSLACK, SLACK_NS);
}

/* After it: Go's object is the first of the link. */
__attribute__ ((constructor)) static void restore (void)
{
    if (before.slack_ns > 0)
        prctl (PR_SET_TIMERSLACK, before.slack_ns);
    pthread_sigmask (SIG_SETMASK, &before.mask, NULL);
}

/* Whether a handler is code of this library. */
static bool ours (const struct sigaction *action)
{
    Dl_info handler, self;
    return (action->sa_flags & SA_SIGINFO)
           && dladdr ((void *) action->sa_sigaction, &handler)
           && dladdr ((void *) &before, &self)
           && handler.dli_fbase == self.dli_fbase;
}

static void give_back (void)
{
    for (int i = 1; i < SIGNALS; i++) {
        struct sigaction now;
        if (sigaction (i, NULL, &now) == 0 && ours (&now))
            sigaction (i, &before.actions[i], NULL);
    }
}

void zl_give_signals_back (void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once (&once, give_back);
}

/* A host's handler may run while its thread is in Go, on Go's stack for that
 * thread: that is made large once, and stays so (gcshrinkstackoff). */
void zl_prepare_thread (void)
{
    static _Thread_local bool prepared;
    if (ZL_LIKELY (prepared))
        return;
    prepared = true;
    zgo_grow_stack ();
}
