/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The gate: what happens when a thread of the host enters Go. Most of what the host must not
 * notice of Go's runtime is already left out of it at build time (cmake/GoRuntime.cmake).
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "internal.h"
#include "start.h"
#include "_cgo_export.h"

/* Number of the host's threads that have called Go and have not ended. The key's
 * destructor reports the end of a thread. */
static atomic_uint callers;
static pthread_key_t caller_key;

static void caller_ends (void *counted)
{
    (void) counted;
    atomic_fetch_sub (&callers, 1);
}

bool zl_make_key (void)
{
    static bool made; /* one thread starts Go */
    if (!made)
        made = pthread_key_create (&caller_key, caller_ends) == 0;
    return made;
}

static _Thread_local bool prepared;

#ifdef ZLINK_CHECK_GATE
/* Set by the gate for the one call of Go that follows it. */
static _Thread_local bool passed;

/* Every call that enters Go comes here first. */
void zl_check_gate (void)
{
    static const char text[] = "zlink: a call of Go has gone round the gate\n";
    if (!passed || !prepared) {
        if (write (STDERR_FILENO, text, sizeof text - 1) < 0)
            abort ();
        abort ();
    }
    passed = false;
}
#endif

/* A handler of the host may run while its thread is in Go, on the stack that Go has for the
 * thread. That stack is therefore made large once, and stays large (gcshrinkstackoff).
 * Go's scheduler must also know the number of such threads (host.go). */
static void prepare (void)
{
    prepared = true;
    pthread_setspecific (caller_key, &callers);
#ifdef ZLINK_CHECK_GATE
    passed = true;
#endif
    /* Until it returns that stack is small, and no place for a handler. */
    sigset_t all, before;
    sigfillset (&all);
    pthread_sigmask (SIG_SETMASK, &all, &before);
    zgo_new_caller (atomic_fetch_add (&callers, 1) + 1);
    pthread_sigmask (SIG_SETMASK, &before, NULL);
}

bool zl_enter (void)
{
    if (ZL_UNLIKELY (zl_forked)) {
        zl_fail (ENOTSUP);
        return false;
    }
    return ZL_LIKELY (prepared) || zl_start ();
}

void zl_pass (void)
{
    if (ZL_UNLIKELY (!prepared))
        prepare ();
#ifdef ZLINK_CHECK_GATE
    passed = true;
#endif
}
