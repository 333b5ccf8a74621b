/* SPDX-License-Identifier: MPL-2.0 */
/* Many contexts at once and one after another, many sockets after one another:
 * what they leave behind, and the limit of sockets. */
#include "ztest.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>

#define TALKING 50
#define TALK_ROUNDS 5
#define CYCLES (1000 / ZT_SCALE)
#define SPECIAL_CYCLES (200 / ZT_SCALE)
#define WARM_UP 50
#define SOCKETS (10000 / ZT_SCALE)

/* What a cycle may not leave behind is counted at least SPECIAL_CYCLES times,
 * so these need not be tight. Go keeps its threads for the next need, a burst of
 * work may need more than any before, and every thread can get a malloc arena of
 * its own. Two descriptors Go's runtime opens for itself, some time after its
 * start. Go's heap is full for the first time after about CYCLES, and a
 * sanitizer keeps what was freed. */
#define SPARE_THREADS 10
#define SPARE_MAPPINGS 40
#define SPARE_DESCRIPTORS 2
#define SPARE_KB (ZT_SCALE > 1 ? 65536 : 2048)

/* ------------------------------------------------------------------- a pair */

typedef struct pair_t
{
    void *ctx;
    void *server;
    void *client;
    zlink_routing_id_t at_server;
    zlink_routing_id_t at_client;
} pair_t;

static void open_pair (pair_t *p)
{
    p->ctx = zt_ctx ();
    p->server = zt_socket (p->ctx);
    p->client = zt_socket (p->ctx);
    zt_connect (p->client, zt_bind (p->server));
    zt_expect_connect (p->server, &p->at_server);
    zt_expect_connect (p->client, &p->at_client);
    zt_send (p->client, &p->at_client, "question", 8);
    zt_expect (p->server, &p->at_server, "question", 8);
    zt_send (p->server, &p->at_server, "answer", 6);
    zt_expect (p->client, &p->at_client, "answer", 6);
}

static void close_pair (pair_t *p)
{
    zt_close (p->client);
    zt_close (p->server);
    zt_term (p->ctx);
}

/* ------------------------------------------------------- what a process has */

typedef struct holdings_t
{
    size_t threads, descriptors, mappings, kb;
} holdings_t;

static size_t count_threads (void)
{
    size_t count = 0;
    DIR *dir = opendir ("/proc/self/task");
    CHECK (dir != NULL);
    for (struct dirent *entry; (entry = readdir (dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir (dir);
    return count;
}

static size_t count_mappings (void)
{
    size_t count = 0;
    FILE *file = fopen ("/proc/self/maps", "r");
    CHECK (file != NULL);
    for (int c; (c = getc (file)) != EOF;)
        count += c == '\n';
    fclose (file);
    return count;
}

static holdings_t look (const char *when)
{
    holdings_t h = {count_threads (), zt_fd_count (), count_mappings (),
                    zt_rss_kb ()};
    printf ("%s: %zu threads, %zu descriptors, %zu mappings, %zu kB\n", when,
            h.threads, h.descriptors, h.mappings, h.kb);
    return h;
}

static void plain (int i)
{
    pair_t p;
    (void) i;
    open_pair (&p);
    close_pair (&p);
}

/* Runs cycles after a warm-up; nothing of them must stay. A thread that ended
 * may show for a moment. */
static void expect_nothing_stays (void (*cycle) (int), int count)
{
    static bool warm;
    static size_t most_kb; /* that cycles have taken: free blocks come and go */
    int i = 0;
    for (int n = 0; n < CYCLES && !warm; n++)
        plain (n);
    warm = true;
    while (i < WARM_UP)
        cycle (i++);
    holdings_t before = look ("after the warm-up");
    most_kb = before.kb > most_kb ? before.kb : most_kb;
    for (count += WARM_UP; i < count; i++)
        cycle (i);
    ZT_UNTIL (count_threads () <= before.threads + SPARE_THREADS);
    holdings_t now = look ("at the end");
    CHECK_RANGE (now.descriptors, before.descriptors,
                 before.descriptors + SPARE_DESCRIPTORS);
    CHECK_RANGE (now.mappings, 0, before.mappings + SPARE_MAPPINGS);
    CHECK_RANGE (now.kb, 0, most_kb + SPARE_KB);
}

/* ------------------------------------------------------------- the contexts */

/* Every context's client talks to the server of the next. */
static void contexts_talk_to_each_other (void)
{
    static pair_t ring[TALKING];
    uint8_t body[100];

    for (int i = 0; i < TALKING; i++) {
        ring[i].ctx = zt_ctx ();
        ring[i].server = zt_socket (ring[i].ctx);
        ring[i].client = zt_socket (ring[i].ctx);
    }
    for (int i = 0; i < TALKING; i++) {
        pair_t *next = &ring[(i + 1) % TALKING];
        zt_connect (ring[i].client, zt_bind (next->server));
        zt_expect_connect (ring[i].client, &ring[i].at_client);
        zt_expect_connect (next->server, &next->at_server);
    }
    for (uint32_t round = 0; round < TALK_ROUNDS; round++) {
        for (uint32_t i = 0; i < TALKING; i++) {
            zt_fill (body, sizeof body, round * TALKING + i);
            zt_send (ring[i].client, &ring[i].at_client, body, sizeof body);
        }
        for (uint32_t i = 0; i < TALKING; i++) {
            pair_t *next = &ring[(i + 1) % TALKING];
            zt_fill (body, sizeof body, round * TALKING + i);
            zt_expect (next->server, &next->at_server, body, sizeof body);
            zt_send (next->server, &next->at_server, body, sizeof body);
            zt_expect (ring[i].client, &ring[i].at_client, body, sizeof body);
        }
    }
    /* The end of one is heard in the next one and nowhere else. */
    close_pair (&ring[0]);
    zt_expect_disconnect (ring[1].server, &ring[1].at_server);
    zt_expect_disconnect (ring[TALKING - 1].client,
                          &ring[TALKING - 1].at_client);
    for (int i = 1; i < TALKING - 1; i++) {
        zt_send (ring[i].client, &ring[i].at_client, "still", 5);
        zt_expect (ring[i + 1].server, &ring[i + 1].at_server, "still", 5);
    }
    for (int i = 1; i < TALKING; i++)
        close_pair (&ring[i]);
}

/* With a monitor that is closed first or last, or read to its end. */
static void monitored (int i)
{
    zlink_monitor_event_t event;
    pair_t p;
    open_pair (&p);
    void *monitor = zlink_socket_monitor_open (p.server, ZLINK_EVENT_ALL);
    CHECK (monitor != NULL);
    if (i % 3 == 0)
        zt_close (monitor);
    zt_close (p.server);
    if (i % 3 == 1) {
        do
            CHECK_OK (zlink_monitor_recv (monitor, &event, 0));
        while (event.event != ZLINK_EVENT_MONITOR_STOPPED);
        zt_close (monitor);
    }
    zt_close (p.client);
    zt_term (p.ctx);
    if (i % 3 == 2)
        zt_close (monitor);
}

/* With descriptors for foreign event loops, and polls that use some. */
static void with_descriptors (int i)
{
    pair_t p;
    (void) i;
    open_pair (&p);
    zlink_pollitem_t items[] = {
      {p.server, 0, ZLINK_POLLIN, 0},
      {NULL, zt_get_int (p.client, ZLINK_FD), ZLINK_POLLIN, 0},
    };
    CHECK (zlink_poll (items, 2, 1) >= 0);
    CHECK_EQ (zt_get_int (p.client, ZLINK_EVENTS), ZLINK_POLLOUT);
    close_pair (&p);
}

/* With messages that are unread, unsent, or both when the sockets close. */
static void with_linger (int i)
{
    static uint8_t body[1 << 20];
    static const int lingers_ms[] = {0, 1, -1};
    pair_t p;
    open_pair (&p);
    zt_set_int (p.client, ZLINK_LINGER, lingers_ms[i % 3]);
    zt_set_int (p.server, ZLINK_LINGER, lingers_ms[i / 3 % 3]);
    zt_send (p.client, &p.at_client, body, sizeof body);
    zt_send (p.server, &p.at_server, body, sizeof body);
    zt_send (p.server, &p.at_server, body, 100);
    close_pair (&p);
}

/* With a connect that finds nobody. */
static void with_retries (int i)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    zt_set_int (s, ZLINK_RECONNECT_IVL, i % 2);
    zt_connect (s, zt_free_port ());
    zt_expect_silence (s, i % 3);
    zt_close (s);
    zt_term (ctx);
}

static void plain_contexts_leave_nothing (void)
{
    expect_nothing_stays (plain, CYCLES);
}

static void special_contexts_leave_nothing (void)
{
    expect_nothing_stays (monitored, SPECIAL_CYCLES);
    expect_nothing_stays (with_descriptors, SPECIAL_CYCLES);
    expect_nothing_stays (with_linger, SPECIAL_CYCLES);
    expect_nothing_stays (with_retries, SPECIAL_CYCLES);
}

/* -------------------------------------------------------------- the sockets */

static void *sockets_ctx;

static void one_socket (int i)
{
    void *s = zt_socket (sockets_ctx);
    if (i % 10 == 0)
        zt_bind (s);
    if (i % 100 == 0)
        CHECK (zt_get_int (s, ZLINK_FD) >= 0);
    zt_close (s);
    /* The shard closes descriptors soon after. */
    if (i % 1000 == WARM_UP - 1 || i == SOCKETS + WARM_UP - 1)
        zt_pause_ms (100);
}

static void sockets_leave_nothing (void)
{
    sockets_ctx = zt_ctx ();
    expect_nothing_stays (one_socket, SOCKETS);
    zt_term (sockets_ctx);
}

static void limit_of_sockets (void)
{
    enum
    {
        limit = 5
    };
    void *ctx = zt_ctx (), *sockets[limit + 1];
    zlink_routing_id_t id;

    CHECK_OK (zlink_ctx_set (ctx, ZLINK_MAX_SOCKETS, limit));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < limit; i++)
            sockets[i] = zt_socket (ctx);
        CHECK_NULL (zlink_socket (ctx, ZLINK_STREAM), EMFILE);
        /* A monitor is none of them. */
        void *monitor =
          zlink_socket_monitor_open (sockets[0], ZLINK_EVENT_ALL);
        CHECK (monitor != NULL);
        zt_close (monitor);
        for (int i = 0; i < limit; i++) { /* one goes, one comes */
            zt_close (sockets[i]);
            sockets[i] = zt_socket (ctx);
            CHECK_NULL (zlink_socket (ctx, ZLINK_STREAM), EMFILE);
        }
        for (int i = 0; i < limit; i++)
            zt_close (sockets[i]);
    }

    /* The limit can change; sockets above it stay. */
    for (int i = 0; i < limit; i++)
        sockets[i] = zt_socket (ctx);
    CHECK_OK (zlink_ctx_set (ctx, ZLINK_MAX_SOCKETS, limit + 1));
    sockets[limit] = zt_socket (ctx);
    CHECK_OK (zlink_ctx_set (ctx, ZLINK_MAX_SOCKETS, 1));
    CHECK_NULL (zlink_socket (ctx, ZLINK_STREAM), EMFILE);
    zt_unbounded (sockets[limit]); /* so that more is queued than the kernel takes */
    int fd = zt_client (zt_bind (sockets[limit]));
    zt_expect_connect (sockets[limit], &id);
    for (int i = 0; i < limit; i++)
        zt_close (sockets[i]);
    CHECK_NULL (zlink_socket (ctx, ZLINK_STREAM), EMFILE);

    /* A closed socket whose linger is not over is none any more. */
    static uint8_t body[4 << 20];
    for (int i = 0; i < 4; i++)
        zt_send (sockets[limit], &id, body, sizeof body);
    zt_close (sockets[limit]);
    zt_close (zt_socket (ctx));
    close (fd);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (contexts_talk_to_each_other),
  ZT_CASE (plain_contexts_leave_nothing),
  ZT_CASE (special_contexts_leave_nothing),
  ZT_CASE (sockets_leave_nothing),
  ZT_CASE (limit_of_sockets),
};

ZT_MAIN (cases)
