/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the host must not notice of Go's runtime, which the constructors of this
 * library start on a thread of its own. Most of it is left out of the runtime
 * at build time (cmake/GoRuntime.cmake). The rest is inherited: threads get their
 * signal mask from the one that starts them, so the loading thread blocks all
 * signals before Go's constructor and sets its mask back after it. Go's threads,
 * and those that they start, never take a signal that is meant for the host,
 * whose handlers could not run on their small stacks.
 *
 * Loading ends when Go is up. Until then it opens and closes descriptors, and a
 * host that has just closed its standard input expects the next one to be 0.
 */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "hot.h"
#include "_cgo_export.h"

enum
{
    /* Go takes a few ms and needs nothing of the loader, whose lock is held. If
     * that is ever wrong, it is no reason to hang: every call waits for Go. */
    LONGEST_WAIT_S = 10
};

static sigset_t mask_before;

static sem_t up;

void zl_go_is_up (zl_pool *pools)
{
    zl_pools = pools;
    sem_post (&up);
}

static void wait_for_go (void)
{
    struct timespec deadline;
    clock_gettime (CLOCK_REALTIME, &deadline);
    deadline.tv_sec += LONGEST_WAIT_S;
    sem_timedwait (&up, &deadline); /* no signal: they are blocked */
}

/* Before Go's constructor: those with a priority come first. */
__attribute__ ((constructor (101))) static void prepare (void)
{
    sigset_t all;
    sem_init (&up, 0, 0);
    sigfillset (&all);
    pthread_sigmask (SIG_SETMASK, &all, &mask_before);
}

/* After it: Go's object is the first of the link. */
__attribute__ ((constructor)) static void restore (void)
{
    wait_for_go ();
    zl_release_pages ();
    pthread_sigmask (SIG_SETMASK, &mask_before, NULL);
}

/* How many threads of the host have called Go and have not ended; the key tells
 * of their end. */
static atomic_uint callers;
static pthread_key_t caller_key;

static void caller_ends (void *counted)
{
    (void) counted;
    atomic_fetch_sub (&callers, 1);
}

__attribute__ ((constructor)) static void make_key (void)
{
    pthread_key_create (&caller_key, caller_ends);
}

/* A host's handler may run while its thread is in Go, on Go's stack for that
 * thread: that is made large once, and stays so (gcshrinkstackoff). And Go's
 * scheduler has to know how many such threads there are (callers.go). */
void zl_prepare_thread (void)
{
    static _Thread_local bool prepared;
    if (ZL_LIKELY (prepared))
        return;
    prepared = true;
    pthread_setspecific (caller_key, &callers);
    zgo_new_caller (atomic_fetch_add (&callers, 1) + 1);
}
