/* SPDX-License-Identifier: MPL-2.0 */
/* Timer sets. */
#include "ztest.h"

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

static void fire_again_and_again (void)
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
    CHECK_WAITED (start, 149);

    CHECK_OK (zlink_timers_set_interval (firing.timers, firing.id, ZT_TOO_LONG_MS));
    CHECK_RANGE (zlink_timers_timeout (firing.timers), 1, ZT_TOO_LONG_MS);
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

static void the_earliest_counts (void)
{
    firing_t late = {zlink_timers_new (), 0, 0, false};
    firing_t soon = {late.timers, 0, 0, true};

    late.id = zlink_timers_add (late.timers, ZT_TOO_LONG_MS, on_timer, &late);
    soon.id = zlink_timers_add (late.timers, 20, on_timer, &soon);
    CHECK (late.id != soon.id);
    CHECK_RANGE (zlink_timers_timeout (late.timers), 0, 20);
    run_until (&soon, 1);
    CHECK_EQ (late.count, 0);

    /* The handler has cancelled its own timer. */
    CHECK_FAIL (zlink_timers_cancel (late.timers, soon.id), EINVAL);
    CHECK_RANGE (zlink_timers_timeout (late.timers), 21, ZT_TOO_LONG_MS);
    CHECK_OK (zlink_timers_destroy (&late.timers));
}

/* ---------------------------------------------------- what handlers may do */

typedef struct log_t
{
    void *timers;
    int ids[16];
    int count;
    int other; /* the timer that a handler acts on */
} log_t;

static void note (int id, void *arg)
{
    log_t *log = arg;
    CHECK (log->count < 16);
    log->ids[log->count++] = id;
}

/* Makes every timer of up to 20 ms due. */
static void all_due (void)
{
    zt_pause_ms (25);
}

/* Whatever is due fires once, however late, and the earliest first. */
static void once_and_in_order (void)
{
    log_t log = {.timers = zlink_timers_new ()};
    int third = zlink_timers_add (log.timers, 20, note, &log);
    int first = zlink_timers_add (log.timers, 1, note, &log);
    int second = zlink_timers_add (log.timers, 8, note, &log);
    zlink_timers_add (log.timers, 60000, note, &log);

    all_due ();
    CHECK_EQ (zlink_timers_timeout (log.timers), 0);
    CHECK_OK (zlink_timers_execute (log.timers));
    CHECK_EQ (log.count, 3);
    CHECK_EQ (log.ids[0], first);
    CHECK_EQ (log.ids[1], second);
    CHECK_EQ (log.ids[2], third);
    CHECK_OK (zlink_timers_destroy (&log.timers));
}

static void add_one (int id, void *arg)
{
    log_t *log = arg;
    note (id, arg);
    log->other = zlink_timers_add (log->timers, 0, note, log);
    CHECK (log->other > 0);
    CHECK_OK (zlink_timers_cancel (log->timers, id));
}

/* A timer of 0 ms that a handler adds is for the next call: each call ends. */
static void handler_adds (void)
{
    log_t log = {.timers = zlink_timers_new ()};
    zlink_timers_add (log.timers, 1, add_one, &log);

    all_due ();
    CHECK_OK (zlink_timers_execute (log.timers));
    CHECK_EQ (log.count, 1);
    CHECK_RANGE (zlink_timers_timeout (log.timers), 0, 1);
    zt_pause_ms (2);
    CHECK_OK (zlink_timers_execute (log.timers));
    CHECK_EQ (log.count, 2);
    CHECK_EQ (log.ids[1], log.other);
    zt_pause_ms (2);
    CHECK_OK (zlink_timers_execute (log.timers));
    CHECK_EQ (log.count, 3);
    CHECK_OK (zlink_timers_destroy (&log.timers));
}

static void cancel_other (int id, void *arg)
{
    log_t *log = arg;
    note (id, arg);
    CHECK_OK (zlink_timers_cancel (log->timers, log->other));
}

/* One that is due as well and is cancelled does not fire. */
static void handler_cancels_another (void)
{
    log_t log = {.timers = zlink_timers_new ()};
    zlink_timers_add (log.timers, 1, cancel_other, &log);
    log.other = zlink_timers_add (log.timers, 10, note, &log);

    all_due ();
    CHECK_OK (zlink_timers_execute (log.timers));
    CHECK_EQ (log.count, 1);
    CHECK_FAIL (zlink_timers_cancel (log.timers, log.other), EINVAL);
    CHECK_OK (zlink_timers_destroy (&log.timers));
}

static void slow_down (int id, void *arg)
{
    log_t *log = arg;
    note (id, arg);
    CHECK_OK (zlink_timers_set_interval (log->timers, id, 60000));
    CHECK_OK (zlink_timers_reset (log->timers, id));
}

static void handler_changes_its_own (void)
{
    log_t log = {.timers = zlink_timers_new ()};
    zlink_timers_add (log.timers, 1, slow_down, &log);

    all_due ();
    CHECK_OK (zlink_timers_execute (log.timers));
    CHECK_RANGE (zlink_timers_timeout (log.timers), 30000, 60000);
    all_due ();
    CHECK_OK (zlink_timers_execute (log.timers));
    CHECK_EQ (log.count, 1);
    CHECK_OK (zlink_timers_destroy (&log.timers));
}

static void destroy_all (int id, void *arg)
{
    log_t *log = arg;
    note (id, arg);
    CHECK_OK (zlink_timers_destroy (&log->timers));
}

static void handler_destroys_the_set (void)
{
    log_t log = {.timers = zlink_timers_new ()};
    void *timers = log.timers;
    zlink_timers_add (timers, 1, destroy_all, &log);
    zlink_timers_add (timers, 2, note, &log);

    all_due ();
    CHECK_OK (zlink_timers_execute (timers));
    CHECK_EQ (log.count, 1);
    CHECK (log.timers == NULL);
    CHECK_FAIL (zlink_timers_execute (timers), EFAULT);
}

/* ------------------------------------------------------------------ limits */

static void sets_are_apart (void)
{
    log_t one = {.timers = zlink_timers_new ()};
    log_t two = {.timers = zlink_timers_new ()};
    int id = zlink_timers_add (one.timers, 1, note, &one);
    CHECK_EQ (zlink_timers_add (two.timers, 60000, note, &two), id);

    all_due ();
    CHECK_OK (zlink_timers_execute (two.timers));
    CHECK_OK (zlink_timers_execute (one.timers));
    CHECK_EQ (one.count, 1);
    CHECK_EQ (two.count, 0);
    CHECK_OK (zlink_timers_destroy (&one.timers));
    CHECK_OK (zlink_timers_cancel (two.timers, id));
    CHECK_OK (zlink_timers_destroy (&two.timers));
}

static void long_intervals (void)
{
    log_t log = {.timers = zlink_timers_new ()};
    int never = zlink_timers_add (log.timers, SIZE_MAX, note, &log);

    CHECK (zlink_timers_timeout (log.timers) > 1000000000);
    CHECK_OK (zlink_timers_execute (log.timers));
    CHECK_EQ (log.count, 0);
    CHECK_OK (zlink_timers_set_interval (log.timers, never, 0));
    zt_pause_ms (2);
    CHECK_OK (zlink_timers_execute (log.timers));
    CHECK_EQ (log.count, 1);
    CHECK_OK (zlink_timers_destroy (&log.timers));
}

static void ids_are_not_used_again (void)
{
    enum
    {
        count = 100
    };
    log_t log = {.timers = zlink_timers_new ()};
    int last = 0;
    for (int i = 0; i < count; i++) {
        int id = zlink_timers_add (log.timers, 1000, note, &log);
        CHECK (id > last);
        last = id;
        if (i % 2)
            CHECK_OK (zlink_timers_cancel (log.timers, id));
    }
    CHECK_OK (zlink_timers_destroy (&log.timers));
}

static void expect_no_set (void *timers)
{
    CHECK_FAIL (zlink_timers_add (timers, 10, note, NULL), EFAULT);
    CHECK_FAIL (zlink_timers_cancel (timers, 1), EFAULT);
    CHECK_FAIL (zlink_timers_set_interval (timers, 1, 10), EFAULT);
    CHECK_FAIL (zlink_timers_reset (timers, 1), EFAULT);
    CHECK_FAIL (zlink_timers_timeout (timers), EFAULT);
    CHECK_FAIL (zlink_timers_execute (timers), EFAULT);
    CHECK_FAIL (zlink_timers_destroy (&timers), EFAULT);
}

static void errors (void)
{
    void *timers = zlink_timers_new (), *counter = zlink_atomic_counter_new ();
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    int on_stack = 0;

    CHECK_FAIL (zlink_timers_cancel (timers, 12345), EINVAL);
    CHECK_FAIL (zlink_timers_reset (timers, 12345), EINVAL);
    CHECK_FAIL (zlink_timers_set_interval (timers, 12345, 10), EINVAL);
    CHECK_FAIL (zlink_timers_add (timers, 10, NULL, NULL), EFAULT);
    expect_no_set (NULL);
    expect_no_set (&on_stack);
    expect_no_set (counter);
    expect_no_set (ctx);
    expect_no_set (s);
    CHECK_FAIL (zlink_timers_destroy (NULL), EFAULT);

    void *destroyed = timers;
    CHECK_OK (zlink_timers_destroy (&timers));
    CHECK (timers == NULL);
    expect_no_set (destroyed);
    timers = zlink_timers_new (); /* does not bring it back */
    expect_no_set (destroyed);
    CHECK_OK (zlink_timers_destroy (&timers));
    zlink_atomic_counter_destroy (&counter);
    zt_close (s);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (fire_again_and_again),
  ZT_CASE (the_earliest_counts),
  ZT_CASE (once_and_in_order),
  ZT_CASE (handler_adds),
  ZT_CASE (handler_cancels_another),
  ZT_CASE (handler_changes_its_own),
  ZT_CASE (handler_destroys_the_set),
  ZT_CASE (sets_are_apart),
  ZT_CASE (long_intervals),
  ZT_CASE (ids_are_not_used_again),
  ZT_CASE (errors),
};

ZT_MAIN (cases)
