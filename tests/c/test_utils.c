/* SPDX-License-Identifier: MPL-2.0 */
/* Version, error texts, counters, stopwatches, threads. */
#include "ztest.h"

#define THREADS 8
#define ROUNDS 100000

static void version (void)
{
    int major = -1, minor = -1, patch = -1;
    zlink_version (&major, &minor, &patch);
    CHECK_EQ (major, 1);
    CHECK_EQ (minor, 3);
    CHECK_EQ (patch, 0);
    CHECK_EQ (ZLINK_MAKE_VERSION (major, minor, patch), ZLINK_VERSION);
    minor = -1;
    zlink_version (NULL, &minor, NULL);
    CHECK_EQ (minor, 3);
    zlink_version (NULL, NULL, NULL);
}

static void has (void)
{
    static const char *const absent[] = {
      "", "TCP", "tcp ", "tcp://", "no such capability", "inproc",
      "pgm", "udp", "curve", "gssapi", "norm", "vmci",
      "tipc", "zmp", "draft", "stream\n"};

    CHECK_EQ (zlink_has ("tcp"), 1);
    CHECK_EQ (zlink_has ("stream"), 1);
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        CHECK_EQ (zlink_has (absent[i]), 0);
    CHECK_EQ (zlink_has (NULL), 0);
}

/* ------------------------------------------------------------------ errors */

/* Every error of the ABI has a text of its own; numbers that are none have the
 * text of none of them. */
static void error_texts (void)
{
    static const int errors[] = {
      ENOTSUP, EPROTONOSUPPORT, ENOBUFS, ENETDOWN, EADDRINUSE,
      EADDRNOTAVAIL, ECONNREFUSED, EINPROGRESS, ENOTSOCK, EMSGSIZE,
      EAFNOSUPPORT, ENETUNREACH, ECONNABORTED, ECONNRESET, ENOTCONN,
      ETIMEDOUT, EHOSTUNREACH, ENETRESET, EFSM, ENOCOMPATPROTO,
      ETERM, EMTHREAD, EINVAL, EAGAIN, EINTR,
      EFAULT, ENOMEM, EMFILE, ENODEV, ENOENT};
    static const int unknown[] = {-1, 100000, ZLINK_HAUSNUMERO,
                                  ZLINK_HAUSNUMERO + 50,
                                  ZLINK_HAUSNUMERO + 55, INT32_MAX, INT32_MIN};
    enum
    {
        count = sizeof errors / sizeof *errors
    };

    for (int i = 0; i < count; i++) {
        CHECK (zlink_strerror (errors[i]) != NULL);
        CHECK (zlink_strerror (errors[i])[0] != '\0');
        for (int j = 0; j < i; j++)
            CHECK (strcmp (zlink_strerror (errors[i]),
                           zlink_strerror (errors[j]))
                   != 0);
    }
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        CHECK (zlink_strerror (unknown[i]) != NULL);
        CHECK (zlink_strerror (unknown[i])[0] != '\0');
        for (int j = 0; j < count; j++)
            CHECK (strcmp (zlink_strerror (unknown[i]),
                           zlink_strerror (errors[j]))
                   != 0);
    }
    CHECK_STR (zlink_strerror (EINVAL), strerror (EINVAL));
    CHECK_STR (zlink_strerror (0), strerror (0));
    /* A text stays as it is while others are asked for. */
    const char *text = zlink_strerror (ETERM);
    zlink_strerror (INT32_MAX);
    CHECK_STR (text, "Context was terminated");
}

static pthread_barrier_t failed;

static void *fail_with_einval (void *timers)
{
    CHECK_FAIL (zlink_timers_cancel (timers, 1), EINVAL);
    pthread_barrier_wait (&failed);
    pthread_barrier_wait (&failed);
    CHECK_EQ (zlink_errno (), EINVAL);
    CHECK_EQ (errno, EINVAL);
    return NULL;
}

/* Two threads that failed one after the other keep their own error. */
static void errno_of_each_thread (void)
{
    void *timers = zlink_timers_new ();
    CHECK_OK (pthread_barrier_init (&failed, NULL, 2));
    pthread_t thread = zt_thread (fail_with_einval, timers);
    pthread_barrier_wait (&failed);
    CHECK_FAIL (zlink_close (NULL), ENOTSOCK);
    pthread_barrier_wait (&failed);
    zt_join (thread);
    errno = ENOTSOCK;
    CHECK_EQ (zlink_errno (), ENOTSOCK);
    errno = 0;
    CHECK_EQ (zlink_errno (), 0);
    CHECK_OK (pthread_barrier_destroy (&failed));
    CHECK_OK (zlink_timers_destroy (&timers));
}

/* ---------------------------------------------------------------- counters */

static void counter (void)
{
    void *c = zlink_atomic_counter_new ();
    CHECK (c != NULL);
    CHECK_EQ (zlink_atomic_counter_value (c), 0);
    CHECK_EQ (zlink_atomic_counter_inc (c), 0);
    CHECK_EQ (zlink_atomic_counter_inc (c), 1);
    CHECK_EQ (zlink_atomic_counter_value (c), 2);
    CHECK_EQ (zlink_atomic_counter_dec (c), 1);
    CHECK_EQ (zlink_atomic_counter_dec (c), 0);
    CHECK_EQ (zlink_atomic_counter_value (c), 0);
    zlink_atomic_counter_set (c, 5);
    CHECK_EQ (zlink_atomic_counter_inc (c), 5);
    CHECK_EQ (zlink_atomic_counter_value (c), 6);
    zlink_atomic_counter_destroy (&c);
    CHECK (c == NULL);
    zlink_atomic_counter_destroy (&c);
    zlink_atomic_counter_destroy (NULL);
}

typedef struct share_t
{
    void *counter;
    int64_t sum;  /* of the old values */
    int zeroes;   /* times that dec said zero */
    bool is_down; /* this thread counts down */
} share_t;

static void count (void *arg)
{
    share_t *share = arg;
    for (int i = 0; i < ROUNDS; i++)
        if (share->is_down)
            share->zeroes += zlink_atomic_counter_dec (share->counter) == 0;
        else
            share->sum += zlink_atomic_counter_inc (share->counter);
}

static void count_in_threads (void *counter, bool down, int64_t *sum,
                              int *zeroes)
{
    share_t shares[THREADS];
    void *threads[THREADS];

    *sum = *zeroes = 0;
    for (int i = 0; i < THREADS; i++) {
        shares[i] = (share_t) {counter, 0, 0, down};
        threads[i] = zlink_threadstart (count, &shares[i]);
        CHECK (threads[i] != NULL);
    }
    for (int i = 0; i < THREADS; i++) {
        zlink_threadclose (threads[i]);
        *sum += shares[i].sum;
        *zeroes += shares[i].zeroes;
    }
}

/* Every old value is given to one thread only, and one thread hears of zero. */
static void threads_share_a_counter (void)
{
    const int64_t all = THREADS * ROUNDS;
    void *c = zlink_atomic_counter_new ();
    int64_t sum;
    int zeroes;

    count_in_threads (c, false, &sum, &zeroes);
    CHECK_EQ (zlink_atomic_counter_value (c), all);
    CHECK_EQ (sum, all * (all - 1) / 2);
    count_in_threads (c, true, &sum, &zeroes);
    CHECK_EQ (zlink_atomic_counter_value (c), 0);
    CHECK_EQ (zeroes, 1);
    zlink_atomic_counter_destroy (&c);
}

/* ------------------------------------------------------- time and threads */

static void stopwatch_and_sleep (void)
{
    double before_ms = zt_now_ms ();
    void *watch = zlink_stopwatch_start ();
    CHECK (watch != NULL);
    unsigned long first_us = zlink_stopwatch_intermediate (watch);
    double after_ms = zt_now_ms ();
    zlink_sleep (1);
    unsigned long second_us = zlink_stopwatch_intermediate (watch);
    CHECK (second_us - first_us >= 990000);
    unsigned long all_us = zlink_stopwatch_stop (watch);
    CHECK (all_us >= second_us);
    /* Microseconds: as long as the test's own clock says, which was read later. */
    CHECK_RANGE (all_us / 1000.0, 990, zt_now_ms () - before_ms);
    CHECK_RANGE (first_us / 1000.0, 0, after_ms - before_ms);

    zlink_sleep (0);
    zlink_sleep (-1);
    CHECK_EQ (zlink_stopwatch_intermediate (NULL), 0);
    CHECK_EQ (zlink_stopwatch_stop (NULL), 0);
}

static void set_flag (void *flag)
{
    zt_pause_ms (50);
    atomic_store ((atomic_bool *) flag, true);
}

static void threadclose_waits (void)
{
    atomic_bool flag = false;
    void *thread = zlink_threadstart (set_flag, &flag);
    CHECK (thread != NULL);
    zlink_threadclose (thread);
    CHECK (atomic_load (&flag));

    /* Also for one that is over. */
    atomic_store (&flag, false);
    thread = zlink_threadstart (set_flag, &flag);
    ZT_UNTIL (atomic_load (&flag));
    zlink_threadclose (thread);
    CHECK_NULL (zlink_threadstart (NULL, NULL), EINVAL);
    zlink_threadclose (NULL);
}

static const zt_case_t cases[] = {
  ZT_CASE (version),
  ZT_CASE (has),
  ZT_CASE (error_texts),
  ZT_CASE (errno_of_each_thread),
  ZT_CASE (counter),
  ZT_CASE (threads_share_a_counter),
  ZT_CASE (stopwatch_and_sleep),
  ZT_CASE (threadclose_waits),
};

ZT_MAIN (cases)
