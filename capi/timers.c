/* SPDX-License-Identifier: MPL-2.0 */
/* Timer sets. A handle is a number that is given out once and looked up on every call, so
 * the handle of a destroyed set, or a foreign one, is recognized and never followed.
 *
 * One lock guards the table and all sets. It is free while a handler runs, so a handler may
 * call anything here and even destroy its own set. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "internal.h"
#include "zlink.h"

#define NS_PER_MS UINT64_C (1000000)
#define BUCKETS 64

/* Handles lie in the half of the address space that no process owns: no pointer that a
 * caller may pass by mistake looks like a handle. */
#define FIRST_HANDLE (UINTPTR_MAX / 4 * 3)

typedef struct entry
{
    struct entry *next;
    uint64_t due_ns;
    uint64_t interval_ns;
    zlink_timer_fn *handler;
    void *arg;
    int id;
} entry_t;

typedef struct set
{
    struct set *next;  /* in the same bucket */
    uintptr_t handle;
    entry_t *entries;  /* by due time; equal ones in the order of their arming */
    int last_id;
} set_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static set_t *buckets[BUCKETS];
static uintptr_t last_handle = FIRST_HANDLE;

/* A child may continue with the library if Go had not started in its parent (api.c), so the
 * lock must be free and the table whole in the child. Under the lock nothing else is locked,
 * and no memory is allocated or freed: a fork cannot wait for itself here. */
static void before_fork (void) { pthread_mutex_lock (&lock); }
static void after_fork (void) { pthread_mutex_unlock (&lock); }

__attribute__ ((constructor)) static void watch_fork (void)
{
    pthread_atfork (before_fork, after_fork, after_fork);
}

/* ------------------------------------------------------ the table (locked) */

/* The place where the pointer to the handle's set is or would be. */
static set_t **slot (uintptr_t handle)
{
    set_t **at = &buckets[handle % BUCKETS];

    while (*at && (*at)->handle != handle)
        at = &(*at)->next;
    return at;
}

/* Returns the set and holds the lock, or returns NULL with EFAULT and without the lock. In
 * a forked child a thread that does not exist there may hold the lock. */
static set_t *acquire (void *handle)
{
    set_t *set;

    if (zl_forked) {
        zl_fail (ENOTSUP);
        return NULL;
    }
    pthread_mutex_lock (&lock);
    set = *slot ((uintptr_t) handle);
    if (!set) {
        pthread_mutex_unlock (&lock);
        zl_fail (EFAULT);
    }
    return set;
}

static int release (int rc, int error)
{
    pthread_mutex_unlock (&lock);
    if (rc == -1)
        zl_fail (error);
    return rc;
}

/* ------------------------------------------------------- one set (locked) */

static uint64_t now_ns (void)
{
    struct timespec now;

    clock_gettime (CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 * NS_PER_MS + (uint64_t) now.tv_nsec;
}

/* Never 0: a timer armed while due timers run must not be due in the same run. Otherwise a
 * timer of 0 ms could keep zlink_timers_execute from returning. */
static uint64_t interval_ns (size_t interval_ms)
{
    if (interval_ms == 0)
        return 1;
    if (interval_ms > UINT64_MAX / NS_PER_MS)
        return UINT64_MAX;
    return (uint64_t) interval_ms * NS_PER_MS;
}

static void arm (set_t *set, entry_t *entry, uint64_t from_ns)
{
    entry_t **at = &set->entries;

    entry->due_ns = from_ns + entry->interval_ns;
    if (entry->due_ns < from_ns)
        entry->due_ns = UINT64_MAX;
    while (*at && (*at)->due_ns <= entry->due_ns)
        at = &(*at)->next;
    entry->next = *at;
    *at = entry;
}

static entry_t *take_entry (set_t *set, int id)
{
    entry_t **at = &set->entries;
    entry_t *entry;

    while (*at && (*at)->id != id)
        at = &(*at)->next;
    entry = *at;
    if (entry)
        *at = entry->next;
    return entry;
}

/* ------------------------------------------------------------- the calls */

void *zlink_timers_new (void)
{
    set_t *set = zl_forked ? NULL : calloc (1, sizeof *set);
    set_t **at;

    if (!set) {
        zl_fail (ENOMEM);
        return NULL;
    }
    pthread_mutex_lock (&lock);
    set->handle = ++last_handle;
    at = slot (set->handle);
    *at = set;
    pthread_mutex_unlock (&lock);
    return (void *) set->handle;
}

static void free_set (set_t *set)
{
    entry_t *entry = set->entries;

    while (entry) {
        entry_t *next = entry->next;
        free (entry);
        entry = next;
    }
    free (set);
}

int zlink_timers_destroy (void **timers_p)
{
    set_t *set = acquire (timers_p ? *timers_p : NULL);

    if (!set)
        return -1;
    *slot (set->handle) = set->next;
    release (0, 0);
    free_set (set);
    *timers_p = NULL;
    return 0;
}

int zlink_timers_add (void *timers,
                      size_t interval_ms,
                      zlink_timer_fn handler,
                      void *arg)
{
    entry_t *entry = malloc (sizeof *entry);
    set_t *set = acquire (timers);
    int error;

    if (set && handler && entry && set->last_id < INT_MAX) {
        int id = ++set->last_id;
        *entry = (entry_t) {NULL, 0, interval_ns (interval_ms), handler, arg, id};
        arm (set, entry, now_ns ());
        return release (id, 0);
    }
    if (set)
        release (-1, handler ? ENOMEM : EFAULT);
    error = errno;
    free (entry);
    errno = error;
    return -1;
}

int zlink_timers_cancel (void *timers, int timer_id)
{
    set_t *set = acquire (timers);
    entry_t *entry;

    if (!set)
        return -1;
    entry = take_entry (set, timer_id);
    if (release (entry ? 0 : -1, EINVAL) == -1)
        return -1;
    free (entry);
    return 0;
}

static int rearm (void *timers, int timer_id, uint64_t new_interval_ns)
{
    set_t *set = acquire (timers);
    entry_t *entry;

    if (!set)
        return -1;
    entry = take_entry (set, timer_id);
    if (!entry)
        return release (-1, EINVAL);
    if (new_interval_ns)
        entry->interval_ns = new_interval_ns;
    arm (set, entry, now_ns ());
    return release (0, 0);
}

int zlink_timers_set_interval (void *timers, int timer_id, size_t interval_ms)
{
    return rearm (timers, timer_id, interval_ns (interval_ms));
}

int zlink_timers_reset (void *timers, int timer_id)
{
    return rearm (timers, timer_id, 0);
}

/* Rounded up, so that the timer is due once the caller has waited that long. */
static long ms_until (uint64_t due_ns)
{
    uint64_t now = now_ns ();
    uint64_t wait_ms;

    if (due_ns <= now)
        return 0;
    wait_ms = (due_ns - now - 1) / NS_PER_MS + 1;
    return wait_ms > LONG_MAX ? LONG_MAX : (long) wait_ms;
}

/* -1 means no timer, or no set; only the latter sets errno. */
long zlink_timers_timeout (void *timers)
{
    set_t *set = acquire (timers);
    long timeout_ms;

    if (!set)
        return -1;
    timeout_ms = set->entries ? ms_until (set->entries->due_ns) : -1;
    pthread_mutex_unlock (&lock);
    return timeout_ms;
}

/* Returns the next due timer, and arms it again before its handler runs. Whatever the handler
 * does to its own timer then needs no special case. */
static entry_t *next_due (set_t *set, uint64_t now)
{
    entry_t *entry = set->entries;

    if (!entry || entry->due_ns > now)
        return NULL;
    set->entries = entry->next;
    arm (set, entry, now);
    return entry;
}

/* Looks the set up again after each handler, which may have destroyed it. */
int zlink_timers_execute (void *timers)
{
    uint64_t now = now_ns ();
    set_t *set = acquire (timers);

    if (!set)
        return -1;
    while (set) {
        entry_t *entry = next_due (set, now);
        entry_t due;

        if (!entry)
            return release (0, 0);
        due = *entry;
        pthread_mutex_unlock (&lock);
        due.handler (due.id, due.arg);
        set = acquire (timers);
    }
    return 0;
}
