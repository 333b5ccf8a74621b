/* SPDX-License-Identifier: MPL-2.0 */
/* Version, counters, timers, stopwatches, threads. */
#include "ztest.h"

#define THREADS 4
#define INCREMENTS 100000

static void version (void)
{
    int major = -1, minor = -1, patch = -1;
    zlink_version (&major, &minor, &patch);
    CHECK_EQ (major, 1);
    CHECK_EQ (minor, 3);
    CHECK_EQ (patch, 0);
    CHECK_EQ (ZLINK_MAKE_VERSION (major, minor, patch), ZLINK_VERSION);
    zlink_version (NULL, NULL, NULL);
}

static void has (void)
{
    CHECK_EQ (zlink_has ("tcp"), 1);
    CHECK_EQ (zlink_has ("stream"), 1);
    CHECK_EQ (zlink_has ("no such capability"), 0);
    CHECK_EQ (zlink_has (""), 0);
    CHECK_EQ (zlink_has (NULL), 0);
}

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
}

static void count_up (void *counter)
{
    for (int i = 0; i < INCREMENTS; i++)
        zlink_atomic_counter_inc (counter);
}

static void threads_share_a_counter (void)
{
    void *c = zlink_atomic_counter_new ();
    void *threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        threads[i] = zlink_threadstart (count_up, c);
        CHECK (threads[i] != NULL);
    }
    for (int i = 0; i < THREADS; i++)
        zlink_threadclose (threads[i]);
    CHECK_EQ (zlink_atomic_counter_value (c), THREADS * INCREMENTS);
    zlink_atomic_counter_destroy (&c);
}

typedef struct firing_t
{
    void *timers;
    int id;
    int count;
    bool cancel;
} firing_t;

static void on_timer (int id, void *arg)
{
    firing_t *firing = arg;
    CHECK_EQ (id, firing->id);
    firing->count++;
    if (firing->cancel)
        CHECK_OK (zlink_timers_cancel (firing->timers, id));
}

/* Waits as the timers say, and runs them, until the timer fired n times. */
static void run_until (firing_t *firing, int n)
{
    while (firing->count < n) {
        long timeout_ms = zlink_timers_timeout (firing->timers);
        CHECK_RANGE (timeout_ms, 0, 60000);
        zt_pause_ms ((int) timeout_ms);
        CHECK_OK (zlink_timers_execute (firing->timers));
    }
    CHECK_EQ (firing->count, n);
}

static void timers_fire (void)
{
    firing_t firing = {zlink_timers_new (), 0, 0, false};
    CHECK (firing.timers != NULL);
    CHECK_EQ (zlink_timers_timeout (firing.timers), -1);
    CHECK_OK (zlink_timers_execute (firing.timers));

    double start = zt_now_ms ();
    firing.id = zlink_timers_add (firing.timers, 50, on_timer, &firing);
    CHECK (firing.id > 0);
    CHECK_RANGE (zlink_timers_timeout (firing.timers), 0, 50);
    CHECK_OK (zlink_timers_execute (firing.timers));
    CHECK (firing.count == 0 || zt_now_ms () - start >= 49);
    run_until (&firing, 3);
    CHECK_RANGE (zt_now_ms () - start, 149, 3000);

    CHECK_OK (zlink_timers_set_interval (firing.timers, firing.id, 5000));
    CHECK_RANGE (zlink_timers_timeout (firing.timers), 3000, 5000);
    zt_pause_ms (60);
    CHECK_OK (zlink_timers_execute (firing.timers));
    CHECK_EQ (firing.count, 3);
    long before_ms = zlink_timers_timeout (firing.timers);
    CHECK_OK (zlink_timers_reset (firing.timers, firing.id));
    CHECK (zlink_timers_timeout (firing.timers) > before_ms);

    CHECK_OK (zlink_timers_cancel (firing.timers, firing.id));
    CHECK_EQ (zlink_timers_timeout (firing.timers), -1);
    CHECK_OK (zlink_timers_destroy (&firing.timers));
    CHECK (firing.timers == NULL);
}

static void the_earliest_timer_counts (void)
{
    firing_t late = {zlink_timers_new (), 0, 0, false};
    firing_t soon = {late.timers, 0, 0, true};

    late.id = zlink_timers_add (late.timers, 30000, on_timer, &late);
    soon.id = zlink_timers_add (late.timers, 20, on_timer, &soon);
    CHECK (late.id != soon.id);
    CHECK_RANGE (zlink_timers_timeout (late.timers), 0, 20);
    run_until (&soon, 1);
    CHECK_EQ (late.count, 0);

    /* The handler has cancelled its own timer. */
    CHECK_FAIL (zlink_timers_cancel (late.timers, soon.id), EINVAL);
    CHECK_RANGE (zlink_timers_timeout (late.timers), 20000, 30000);
    CHECK_OK (zlink_timers_destroy (&late.timers));
}

static void timer_errors (void)
{
    void *timers = zlink_timers_new ();
    void *none = NULL;
    int on_stack = 0;
    void *foreign = &on_stack;

    CHECK_FAIL (zlink_timers_cancel (timers, 12345), EINVAL);
    CHECK_FAIL (zlink_timers_reset (timers, 12345), EINVAL);
    CHECK_FAIL (zlink_timers_set_interval (timers, 12345, 10), EINVAL);
    CHECK_FAIL (zlink_timers_add (timers, 10, NULL, NULL), EINVAL);
    CHECK_FAIL (zlink_timers_add (NULL, 10, on_timer, NULL), EFAULT);
    CHECK_FAIL (zlink_timers_add (foreign, 10, on_timer, NULL), EFAULT);
    CHECK_FAIL (zlink_timers_execute (NULL), EFAULT);
    CHECK_FAIL (zlink_timers_execute (foreign), EFAULT);
    CHECK_FAIL (zlink_timers_timeout (NULL), EFAULT);
    CHECK_FAIL (zlink_timers_destroy (&none), EFAULT);
    CHECK_FAIL (zlink_timers_destroy (&foreign), EFAULT);
    CHECK_OK (zlink_timers_destroy (&timers));
}

static void stopwatch_and_sleep (void)
{
    void *watch = zlink_stopwatch_start ();
    CHECK (watch != NULL);
    unsigned long first_us = zlink_stopwatch_intermediate (watch);
    CHECK_RANGE (first_us, 0, 900000);
    zlink_sleep (1);
    unsigned long second_us = zlink_stopwatch_intermediate (watch);
    CHECK_RANGE (second_us, 990000, 5000000);
    CHECK (second_us > first_us);
    CHECK (zlink_stopwatch_stop (watch) >= second_us);
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
}

static const zt_case_t cases[] = {
  ZT_CASE (version),
  ZT_CASE (has),
  ZT_CASE (counter),
  ZT_CASE (threads_share_a_counter),
  ZT_CASE (timers_fire),
  ZT_CASE (the_earliest_timer_counts),
  ZT_CASE (timer_errors),
  ZT_CASE (stopwatch_and_sleep),
  ZT_CASE (threadclose_waits),
};

ZT_MAIN (cases)
