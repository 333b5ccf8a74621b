/* SPDX-License-Identifier: MPL-2.0 */
/* The small utilities: counters, stopwatches, sleep, threads. They do not enter
 * Go. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "internal.h"
#include "zlink.h"

/* Whether a call has to fail: its object is NULL, or, as for every call, this is a forked
 * child. */
static bool refused (const void *object)
{
    if (ZL_LIKELY (object && !zl_forked))
        return false;
    zl_fail (EFAULT);
    return true;
}

/* malloc, which fails in a forked child. */
static void *allocate (size_t size)
{
    void *block = zl_forked ? NULL : malloc (size);

    if (!block)
        zl_fail (ENOMEM);
    return block;
}

/* --------------------------------------------------------------- counters */

typedef struct
{
    atomic_int value;
} counter_t;

void *zlink_atomic_counter_new (void)
{
    counter_t *counter = allocate (sizeof *counter);

    if (counter)
        atomic_init (&counter->value, 0);
    return counter;
}

void zlink_atomic_counter_set (void *counter, int value)
{
    if (!refused (counter))
        atomic_store (&((counter_t *) counter)->value, value);
}

int zlink_atomic_counter_inc (void *counter)
{
    if (refused (counter))
        return -1;
    return atomic_fetch_add (&((counter_t *) counter)->value, 1);
}

int zlink_atomic_counter_dec (void *counter)
{
    if (refused (counter))
        return -1;
    return atomic_fetch_sub (&((counter_t *) counter)->value, 1) != 1;
}

int zlink_atomic_counter_value (void *counter)
{
    if (refused (counter))
        return -1;
    return atomic_load (&((counter_t *) counter)->value);
}

void zlink_atomic_counter_destroy (void **counter_p)
{
    if (refused (counter_p))
        return;
    free (*counter_p);
    *counter_p = NULL;
}

/* ------------------------------------------------------------- stopwatches */

static uint64_t now_us (void)
{
    struct timespec now;

    clock_gettime (CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000u + (uint64_t) now.tv_nsec / 1000u;
}

void *zlink_stopwatch_start (void)
{
    uint64_t *start_us = allocate (sizeof *start_us);

    if (start_us)
        *start_us = now_us ();
    return start_us;
}

unsigned long zlink_stopwatch_intermediate (void *watch)
{
    if (refused (watch))
        return 0;
    return (unsigned long) (now_us () - *(uint64_t *) watch);
}

unsigned long zlink_stopwatch_stop (void *watch)
{
    unsigned long elapsed_us = zlink_stopwatch_intermediate (watch);

    if (!zl_forked)
        free (watch);
    return elapsed_us;
}

/* ------------------------------------------------------------ cancellation */

/* nanosleep and pthread_join are cancellation points, but no call of the library may be one:
 * a cancellation stays pending until the call has returned. */
static int hold_cancellation (void)
{
    int before;

    pthread_setcancelstate (PTHREAD_CANCEL_DISABLE, &before);
    return before;
}

static void allow_cancellation (int before)
{
    pthread_setcancelstate (before, NULL);
}

/* ------------------------------------------------------------------- sleep */

/* Sleeps the whole time. The caller cannot learn how much time is left, and a signal that
 * does not concern it (Go's, a profiler's) must not cut the sleep short. */
void zlink_sleep (int seconds)
{
    struct timespec rest = {.tv_sec = seconds, .tv_nsec = 0};
    int before;

    if (seconds <= 0)
        return;
    before = hold_cancellation ();
    while (nanosleep (&rest, &rest) == -1 && errno == EINTR)
        ;
    allow_cancellation (before);
}

/* ----------------------------------------------------------------- threads */

typedef struct
{
    pthread_t id;
    zlink_thread_fn *func;
    void *arg;
} thread_t;

static void *run_thread (void *handle)
{
    thread_t *thread = handle;

    thread->func (thread->arg);
    return NULL;
}

/* Every signal except those that a fault raises in the thread itself. If one of these were
 * blocked, the kernel would kill the process without calling the host's handler. */
static void asynchronous_signals (sigset_t *set)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE,
                                 SIGILL, SIGTRAP, SIGSYS};

    sigfillset (set);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset (set, faults[i]);
}

/* A thread inherits the mask, so the mask is set around the creation: no signal can reach
 * the new thread, not even before its first instruction. */
static int create_deaf (thread_t *thread)
{
    sigset_t blocked, before;
    int rc;

    asynchronous_signals (&blocked);
    pthread_sigmask (SIG_BLOCK, &blocked, &before);
    rc = pthread_create (&thread->id, NULL, run_thread, thread);
    pthread_sigmask (SIG_SETMASK, &before, NULL);
    return rc;
}

void *zlink_threadstart (zlink_thread_fn *func, void *arg)
{
    thread_t *thread;
    int rc;

    if (!func) {
        zl_fail (EINVAL);
        return NULL;
    }
    thread = allocate (sizeof *thread);
    if (!thread)
        return NULL;
    thread->func = func;
    thread->arg = arg;
    rc = create_deaf (thread);
    if (rc != 0) {
        free (thread);
        zl_fail (rc);
        return NULL;
    }
    return thread;
}

void zlink_threadclose (void *handle)
{
    thread_t *thread = handle;
    int before;

    if (refused (thread))
        return;
    before = hold_cancellation ();
    pthread_join (thread->id, NULL);
    allow_cancellation (before);
    free (thread);
}
