/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Go's start, at the first call that needs Go. Loading the library starts nothing: its
 * constructor only keeps the entry of Go's runtime (cmake/GoRuntime.cmake), which runs on a
 * thread of its own once zl_start calls for it. A process may therefore fork before, as
 * daemons do. A process at its limits gets an error from a call, where Go itself could only
 * abort.
 *
 * A thread inherits the signal mask of its creator, so the starting thread blocks all
 * signals meanwhile. Go's threads, and those that they start, never take a signal that is
 * meant for the host: the host's handlers could not run on their small stacks.
 *
 * The call returns when Go is up. Until then Go opens and closes descriptors, and a host
 * that has just closed its standard input expects the next one to be 0.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"
#include "start.h"

/* The entry of Go's runtime. It is weak because cgo links this file for itself, too. */
extern void *(*x_cgo_runtime_entry) (void *) __attribute__ ((weak));

enum
{
    IDLE,     /* Go has not begun */
    STARTING, /* a thread of the host is in start */
    LAUNCHED, /* Go's first thread runs */
    UP
};

/* Also a futex. A child of fork has the state of that moment: only a child that finds IDLE
 * can start a Go of its own. */
static _Atomic uint32_t state;

enum
{
    /* Go takes a few ms. If it cannot have a thread, it waits for one. */
    LONGEST_WAIT_S = 10,
    LAUNCH_TRIES = 20 /* one each ms */
};

/* The part of the address space that Go reserves when it starts, and some more to live on.
 * Go 1.26 and 1.27 reserve 1.65 GB, nearly all of it for tables that stay empty. */
#define ADDRESS_SPACE ((size_t) 2 << 30)

bool zl_started (void)
{
    return atomic_load (&state) != IDLE;
}

/* Go calls this when it is completely initialised. */
void zl_go_is_up (zl_pool *pools, zl_id_directory *ids)
{
    zl_pools = pools;
    atomic_store (&zl_ids, ids);
    atomic_store (&state, UP);
    syscall (SYS_futex, &state, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

/* ------------------------------------------------------------- what there is */

typedef struct trial
{
    pthread_mutex_t mutex;
    pthread_cond_t all_made;
    bool over;
} trial;

static void *wait_for_end (void *arg)
{
    trial *t = arg;
    pthread_mutex_lock (&t->mutex);
    while (!t->over)
        pthread_cond_wait (&t->all_made, &t->mutex);
    pthread_mutex_unlock (&t->mutex);
    return NULL;
}

bool zl_can_start_threads (int count)
{
    pthread_t threads[ZL_MAX_TRIAL];
    trial t = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    sigset_t all, before;
    int made = 0, cancelling;
    if (count > ZL_MAX_TRIAL)
        count = ZL_MAX_TRIAL;
    /* No call is a cancellation point, and the trial threads use this thread's stack. */
    pthread_setcancelstate (PTHREAD_CANCEL_DISABLE, &cancelling);
    sigfillset (&all);
    pthread_sigmask (SIG_SETMASK, &all, &before);
    while (made < count
           && pthread_create (&threads[made], NULL, wait_for_end, &t) == 0)
        made++;
    pthread_mutex_lock (&t.mutex);
    t.over = true;
    pthread_cond_broadcast (&t.all_made);
    pthread_mutex_unlock (&t.mutex);
    for (int i = 0; i < made; i++)
        pthread_join (threads[i], NULL);
    pthread_sigmask (SIG_SETMASK, &before, NULL);
    pthread_setcancelstate (cancelling, NULL);
    return made == count;
}

bool zl_can_reserve (size_t size)
{
    void *place = mmap (NULL, size, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED)
        return false;
    munmap (place, size);
    return true;
}

/* The number of threads that Go may have shortly after its start: its own, one for each
 * processor, and some that look for work (host.go). */
static int first_threads (void)
{
    cpu_set_t set;
    int processors = 1;
    if (sched_getaffinity (0, sizeof set, &set) == 0)
        processors = CPU_COUNT (&set);
    return 6 + processors;
}

static int refuse (int error, const char *format, int number)
{
    char text[256];
    int size = snprintf (text, sizeof text, format, number);
    zl_set_detail ((unsigned char *) text, (size_t) size);
    return error;
}

/* Checks whether the process has what Go needs to start. Returns 0, or an errno with a
 * sentence. */
static int check_limits (void)
{
    int threads = first_threads ();
    if (!zl_can_reserve (ADDRESS_SPACE))
        return refuse (ENOMEM,
                       "the library needs %d MiB of address space to start (RLIMIT_AS)",
                       (int) (ADDRESS_SPACE >> 20));
    if (!zl_can_start_threads (threads))
        return refuse (EAGAIN,
                       "the library needs %d threads to start (RLIMIT_NPROC, pids.max)",
                       threads);
    return 0;
}

/* -------------------------------------------------------------------- start */

static int launch (void)
{
    pthread_attr_t detached;
    pthread_t thread;
    int error;
    if (!&x_cgo_runtime_entry || !x_cgo_runtime_entry)
        return refuse (EAGAIN, "the library's constructors have not run yet", 0);
    if (!zl_make_key ())
        return refuse (EAGAIN, "the process has no key for data of threads left", 0);
    error = check_limits ();
    if (error != 0)
        return error;
    pthread_attr_init (&detached);
    pthread_attr_setdetachstate (&detached, PTHREAD_CREATE_DETACHED);
    /* The trial threads may still be counted. */
    for (int tries = 0; tries < LAUNCH_TRIES; tries++) {
        error = pthread_create (&thread, &detached, x_cgo_runtime_entry, NULL);
        if (error == 0)
            break;
        nanosleep (&(struct timespec) {0, 1000000}, NULL);
    }
    if (error != 0)
        error = refuse (EAGAIN, "the library's first thread cannot start", 0);
    pthread_attr_destroy (&detached);
    return error;
}

/* Waits while a start is going on. false: it takes too long. */
static bool settled (void)
{
    struct timespec deadline;
    clock_gettime (CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += LONGEST_WAIT_S;
    for (;;) {
        uint32_t now = atomic_load (&state);
        if (now == IDLE || now == UP)
            return true;
        if (syscall (SYS_futex, &state, FUTEX_WAIT_BITSET_PRIVATE, now, &deadline,
                     NULL, FUTEX_BITSET_MATCH_ANY)
              != 0
            && errno == ETIMEDOUT)
            return false;
    }
}

/* This thread's part of the start. Returns 0, or an errno with a sentence. */
static int start (void)
{
    sigset_t all, before;
    int cancelling;
    sigfillset (&all);
    pthread_sigmask (SIG_SETMASK, &all, &before);
    pthread_setcancelstate (PTHREAD_CANCEL_DISABLE, &cancelling); /* others wait for it */
    int error = launch ();
    uint32_t starting = STARTING; /* or Go is UP already */
    atomic_compare_exchange_strong (&state, &starting, error ? IDLE : LAUNCHED);
    syscall (SYS_futex, &state, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
    bool up = error == 0 && settled ();
    if (up)
        zl_release_pages ();
    pthread_sigmask (SIG_SETMASK, &before, NULL);
    pthread_setcancelstate (cancelling, NULL);
    return error;
}

bool zl_start (void)
{
    for (;;) {
        uint32_t now = IDLE;
        if (atomic_compare_exchange_strong (&state, &now, STARTING)) {
            int error = start ();
            if (error != 0) {
                errno = error;
                return false;
            }
        } else if (now == UP)
            return true;
        if (!settled ()) {
            errno = refuse (EAGAIN, "the library waits for threads to start with", 0);
            return false;
        }
    }
}
