/* SPDX-License-Identifier: MPL-2.0 */
/* The mode FAST: who owns a message's bytes, and for how long. */
#include "ztest.h"
#include "zfast.h"

#define KEPT (20000 / ZT_SCALE)
#define KEPT_BYTES 1024
#define VIEW_LIMIT_KB (8 << 10)
/* What else grows meanwhile: malloc's own, queues, and, when sanitized, much. */
#define SLACK_KB ((8 << 10) * ZT_SCALE)
#define CLOSERS 4
#define OWNED_BYTES 100000

typedef struct writer_t
{
    int fd;
    uint32_t first, count;
    size_t size;
} writer_t;

/* Writes messages that follow from their numbers. */
static void *write_numbers (void *arg)
{
    const writer_t *w = arg;
    uint8_t *body = malloc (w->size);
    CHECK (body != NULL);
    for (uint32_t i = 0; i < w->count; i++) {
        zt_fill (body, w->size, w->first + i);
        zt_write_frame (w->fd, body, w->size);
    }
    free (body);
    return NULL;
}

/* Kept messages hold their own size and at most 8 MiB more, and stay what they
 * are while others come and go. */
static void kept_messages (void)
{
    zt_fast_t f = zt_fast_open ();
    zlink_msg_t *kept = calloc (KEPT, sizeof *kept), msg;
    writer_t fill = {f.fd, 0, KEPT, KEPT_BYTES}, more = {f.fd, KEPT, KEPT, 3000};

    CHECK (kept != NULL);
    zt_fast_init_all (kept, KEPT);
    size_t before_kb = zt_rss_kb ();
    pthread_t thread = zt_thread (write_numbers, &fill);
    for (uint32_t i = 0; i < KEPT; i++)
        CHECK_EQ (zlink_msg_recv (&kept[i], f.s, 0), KEPT_BYTES);
    zt_join (thread);
    CHECK_RANGE ((double) zt_rss_kb () - (double) before_kb, -1e9,
                 KEPT * KEPT_BYTES / 1024 + VIEW_LIMIT_KB + SLACK_KB);

    CHECK_OK (zlink_msg_init (&msg));
    thread = zt_thread (write_numbers, &more);
    for (uint32_t i = 0; i < KEPT; i++) {
        CHECK_EQ (zlink_msg_recv (&msg, f.s, 0), 3000);
        zt_fast_filled (&msg, f.peer, KEPT + i, 3000);
    }
    zt_join (thread);
    for (uint32_t i = 0; i < KEPT; i++)
        zt_fast_filled (&kept[i], f.peer, i, KEPT_BYTES);
    CHECK_OK (zlink_msg_close (&msg));
    zt_fast_close_all (kept, KEPT);
    free (kept);
    zt_fast_close (&f);
}

/* One of many messages is kept: that pins no buffer for each. */
static void few_of_many_are_kept (void)
{
    enum
    {
        kept_count = 400 / ZT_SCALE,
        period = 250,
        size = 1000
    };
    zt_fast_t f = zt_fast_open ();
    zlink_msg_t kept[kept_count], msg;
    writer_t w = {f.fd, 0, kept_count * period, size};

    zt_fast_init_all (kept, kept_count);
    CHECK_OK (zlink_msg_init (&msg));
    size_t before_kb = zt_rss_kb ();
    pthread_t thread = zt_thread (write_numbers, &w);
    for (uint32_t i = 0; i < kept_count * period; i++) {
        CHECK_EQ (zlink_msg_recv (&msg, f.s, 0), size);
        if (i % period == 0)
            CHECK_OK (zlink_msg_move (&kept[i / period], &msg));
    }
    zt_join (thread);
    CHECK_RANGE ((double) zt_rss_kb () - (double) before_kb, -1e9,
                 VIEW_LIMIT_KB + SLACK_KB);
    for (uint32_t i = 0; i < kept_count; i++)
        zt_fast_filled (&kept[i], f.peer, i * period, size);
    CHECK_OK (zlink_msg_close (&msg));
    zt_fast_close_all (kept, kept_count);
    zt_fast_close (&f);
}

/* A bin that threads take messages from to check and close them. */
typedef struct bin_t
{
    pthread_mutex_t mutex;
    zlink_msg_t msgs[64];
    uint32_t numbers[64];
    int used;
    bool over;
    uint32_t peer;
} bin_t;

static void *empty_bin (void *arg)
{
    bin_t *bin = arg;
    zlink_msg_t msg;
    for (;;) {
        pthread_mutex_lock (&bin->mutex);
        bool over = bin->over && bin->used == 0, any = bin->used > 0;
        uint32_t number = 0;
        if (any) {
            CHECK_OK (zlink_msg_init (&msg));
            bin->used--;
            CHECK_OK (zlink_msg_move (&msg, &bin->msgs[bin->used]));
            number = bin->numbers[bin->used];
        }
        pthread_mutex_unlock (&bin->mutex);
        if (over)
            return NULL;
        if (!any) {
            zt_pause_ms (1);
            continue;
        }
        zt_fast_filled (&msg, bin->peer, number, 60 + number % 3000);
        CHECK_OK (zlink_msg_close (&msg));
    }
}

static void *write_mixed (void *arg)
{
    int fd = *(int *) arg;
    static uint8_t body[4096];
    for (uint32_t i = 0; i < KEPT; i++) {
        zt_fill (body, 60 + i % 3000, i);
        zt_write_frame (fd, body, 60 + i % 3000);
    }
    return NULL;
}

/* Messages are received on one thread, and closed on others. */
static void closed_on_other_threads (void)
{
    static bin_t bin = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    zt_fast_t f = zt_fast_open ();
    pthread_t threads[CLOSERS];

    bin.peer = f.peer;
    zt_fast_init_all (bin.msgs, 64);
    for (int i = 0; i < CLOSERS; i++)
        threads[i] = zt_thread (empty_bin, &bin);
    pthread_t writer = zt_thread (write_mixed, &f.fd);
    for (uint32_t i = 0; i < KEPT;) {
        pthread_mutex_lock (&bin.mutex);
        int n = bin.used == 64
                  ? 0
                  : zlink_stream_recv_batch (f.s, bin.msgs + bin.used,
                                             64 - (size_t) bin.used,
                                             ZLINK_DONTWAIT);
        CHECK (n >= 0 || errno == EAGAIN);
        for (; n > 0; n--)
            bin.numbers[bin.used++] = i++;
        pthread_mutex_unlock (&bin.mutex);
        sched_yield ();
    }
    zt_join (writer);
    pthread_mutex_lock (&bin.mutex);
    bin.over = true;
    pthread_mutex_unlock (&bin.mutex);
    for (int i = 0; i < CLOSERS; i++)
        zt_join (threads[i]);
    zt_fast_close_all (bin.msgs, 64);
    zt_fast_close (&f);
}

/* Copies of a received message share its bytes, moved ones take them. */
static void copied_and_moved (void)
{
    static const size_t sizes[] = {0, 39, 40, 1000, 70000, 400000};
    zt_fast_t f = zt_fast_open ();

    for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        zlink_msg_t msgs[3];
        writer_t w = {f.fd, i, 1, sizes[i]};
        zt_fast_init_all (msgs, 3);
        pthread_t thread = zt_thread (write_numbers, &w);
        CHECK_EQ (zlink_msg_recv (&msgs[0], f.s, 0), sizes[i]);
        zt_join (thread);
        CHECK_EQ (zlink_msg_get (&msgs[0], ZLINK_SHARED), 0);
        CHECK_OK (zlink_msg_copy (&msgs[1], &msgs[0]));
        CHECK_EQ (zlink_msg_get (&msgs[0], ZLINK_SHARED), sizes[i] >= 40);
        CHECK_EQ (zlink_msg_get (&msgs[1], ZLINK_SHARED), sizes[i] >= 40);
        CHECK_OK (zlink_msg_move (&msgs[2], &msgs[0]));
        CHECK_EQ (zlink_msg_size (&msgs[0]), 0);
        CHECK_OK (zlink_msg_close (&msgs[0]));
        zt_fast_filled (&msgs[2], f.peer, i, sizes[i]);
        CHECK_OK (zlink_msg_close (&msgs[2]));
        zt_fast_filled (&msgs[1], f.peer, i, sizes[i]);
        CHECK_EQ (zlink_msg_send (&msgs[1], f.s, 0), sizes[i]);
        zt_fast_read (f.fd, i, sizes[i]);
        CHECK_OK (zlink_msg_close (&msgs[1]));
    }
    zt_fast_close (&f);
}

static void count_free (void *data, void *hint)
{
    free (data);
    atomic_fetch_add ((atomic_int *) hint, 1);
}

static void init_counted (zlink_msg_t *msg, uint32_t peer, size_t size,
                          uint32_t seed, atomic_int *freed)
{
    void *data = malloc (size);
    CHECK (data != NULL);
    zt_fill (data, size, seed);
    CHECK_OK (zlink_msg_init_data (msg, data, size, count_free, freed));
    CHECK_OK (zlink_msg_set_routing_id (msg, peer));
}

/* Above and below the size from which a body is not copied. */
static void sent_data_is_freed_once (void)
{
    static const size_t sizes[] = {1, 40, 5000, 32767, 32768, 1 << 20};
    enum
    {
        count = sizeof sizes / sizeof *sizes
    };
    zt_fast_t f = zt_fast_open ();
    atomic_int freed[2 * count];
    zlink_msg_t msgs[count];

    for (uint32_t batch = 0; batch < 2; batch++) {
        for (uint32_t i = 0; i < count; i++) {
            atomic_init (&freed[batch * count + i], 0);
            init_counted (&msgs[i], f.peer, sizes[i], i, &freed[batch * count + i]);
            if (!batch)
                CHECK_EQ (zlink_msg_send (&msgs[i], f.s, 0), sizes[i]);
        }
        if (batch)
            CHECK_EQ (zlink_stream_send_batch (f.s, msgs, count, 0), count);
        for (uint32_t i = 0; i < count; i++)
            zt_fast_read (f.fd, i, sizes[i]);
        zt_fast_close_all (msgs, count);
    }
    for (uint32_t i = 0; i < 2 * count; i++)
        ZT_UNTIL (atomic_load (&freed[i]) == 1);
    zt_pause_ms (5);
    for (uint32_t i = 0; i < 2 * count; i++)
        CHECK_EQ (atomic_load (&freed[i]), 1);
    zt_fast_close (&f);
}

/* A refused message is the caller's; a copy that was sent is freed with the
 * last one; what is queued for a lost peer is freed. */
static void data_that_is_not_sent (void)
{
    enum
    {
        count = 64
    };
    static const size_t sizes[] = {100, OWNED_BYTES};
    zt_fast_t f;
    f.ctx = zt_ctx ();
    f.s = zt_fast_socket (f.ctx);
    zt_unbounded (f.s); /* the kernel must not be able to take all of it */
    zt_fast_begin (&f);
    atomic_int freed = 0, queued = 0;
    zlink_msg_t msg, copy;

    for (uint32_t i = 0; i < 2; i++) {
        atomic_store (&freed, 0);
        init_counted (&msg, f.peer + 1, sizes[i], i, &freed);
        CHECK_FAIL (zlink_msg_send (&msg, f.s, 0), EHOSTUNREACH);
        zt_fast_filled (&msg, f.peer + 1, i, sizes[i]);
        CHECK_OK (zlink_msg_set_routing_id (&msg, f.peer));
        CHECK_OK (zlink_msg_init (&copy));
        CHECK_OK (zlink_msg_copy (&copy, &msg));
        CHECK_EQ (zlink_msg_send (&msg, f.s, 0), sizes[i]);
        zt_fast_read (f.fd, i, sizes[i]);
        ZT_UNTIL (zlink_msg_get (&copy, ZLINK_SHARED) == 0);
        CHECK_EQ (atomic_load (&freed), 0);
        zt_fast_filled (&copy, f.peer, i, sizes[i]);
        CHECK_OK (zlink_msg_close (&copy));
        CHECK_EQ (atomic_load (&freed), 1);
        CHECK_OK (zlink_msg_close (&msg));
    }
    for (uint32_t i = 0; i < count; i++) {
        init_counted (&msg, f.peer, OWNED_BYTES * 4, i, &queued);
        CHECK_EQ (zlink_msg_send (&msg, f.s, 0), OWNED_BYTES * 4);
    }
    zt_reset (f.fd);
    CHECK_EQ (zt_fast_event (f.s, ZLINK_STREAM_DISCONNECTED), f.peer);
    ZT_UNTIL (atomic_load (&queued) == count);
    zt_close (f.s);
    zt_term (f.ctx);
    CHECK_EQ (atomic_load (&queued), count);
}

/* Received messages of several kinds outlive socket and context. */
static void kept_beyond_the_context (void)
{
    static const size_t sizes[] = {10, 100, 5000, 70000, 300000};
    enum
    {
        count = sizeof sizes / sizeof *sizes
    };
    zlink_msg_t msgs[count];
    zt_fast_t f = zt_fast_open ();

    zt_fast_init_all (msgs, count);
    for (uint32_t i = 0; i < count; i++) {
        writer_t w = {f.fd, i, 1, sizes[i]};
        pthread_t thread = zt_thread (write_numbers, &w);
        CHECK_EQ (zlink_msg_recv (&msgs[i], f.s, 0), sizes[i]);
        zt_join (thread);
    }
    close (f.fd);
    zt_close (f.s);
    for (uint32_t i = 0; i < count; i++)
        zt_fast_filled (&msgs[i], f.peer, i, sizes[i]);
    zt_term (f.ctx);
    zt_fast_t next = zt_fast_open (); /* uses what the first gave back */
    writer_t w = {next.fd, 50, 1, 300000};
    pthread_t thread = zt_thread (write_numbers, &w);
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    CHECK_EQ (zlink_msg_recv (&msg, next.s, 0), 300000);
    zt_join (thread);
    zt_fast_filled (&msg, next.peer, 50, 300000);
    for (uint32_t i = 0; i < count; i++)
        zt_fast_filled (&msgs[i], f.peer, i, sizes[i]);
    zt_fast_close_all (msgs, count);
    CHECK_OK (zlink_msg_close (&msg));
    zt_fast_close (&next);
}

static const zt_case_t cases[] = {
  ZT_CASE (kept_messages),
  ZT_CASE (few_of_many_are_kept),
  ZT_CASE (closed_on_other_threads),
  ZT_CASE (copied_and_moved),
  ZT_CASE (sent_data_is_freed_once),
  ZT_CASE (data_that_is_not_sent),
  ZT_CASE (kept_beyond_the_context),
};

ZT_MAIN (cases)
