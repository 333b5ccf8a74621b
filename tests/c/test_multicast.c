/* SPDX-License-Identifier: MPL-2.0 */
/* One message for many peers: to a list, to groups, with keys. */
#include <limits.h>
#include <stdatomic.h>

#include "ztest.h"
#include "zfast.h"

enum
{
    PEERS = 40, /* more than are written to within the call */
    STALE_BYTES = 3000
};

/* A server and PEERS plain clients; ids in the order of the clients. */
typedef struct crowd_t
{
    void *ctx;
    void *s;
    int port;
    int fds[PEERS];
    uint32_t ids[PEERS];
} crowd_t;

static crowd_t open_crowd (bool fast)
{
    crowd_t c;
    c.ctx = zt_ctx ();
    c.s = fast ? zt_fast_socket (c.ctx) : zt_socket (c.ctx);
    c.port = zt_bind (c.s);
    for (int i = 0; i < PEERS; i++) {
        c.fds[i] = zt_client (c.port);
        if (fast)
            c.ids[i] = zt_fast_event (c.s, ZLINK_STREAM_CONNECTED);
        else {
            uint8_t id[4], body[2];
            CHECK_EQ (zlink_recv (c.s, id, sizeof id, 0), 4);
            CHECK_EQ (zlink_recv (c.s, body, sizeof body, 0), 1);
            c.ids[i] = (uint32_t) id[0] << 24 | id[1] << 16 | id[2] << 8 | id[3];
        }
    }
    return c;
}

static void close_crowd (crowd_t *c)
{
    for (int i = 0; i < PEERS; i++)
        if (c->fds[i] >= 0)
            close (c->fds[i]);
    zt_close (c->s);
    zt_term (c->ctx);
}

static zlink_stream_stats_t stats_of (void *s)
{
    zlink_stream_stats_t stats = {.size = sizeof stats};
    CHECK_OK (zlink_stream_stats (s, &stats));
    return stats;
}

/* The calls with a text that is the message. */
static int multicast (crowd_t *c, const uint32_t *ids, size_t n, const char *text, int *errors)
{
    zlink_msg_t msg;
    zt_fast_init (&msg, c->ids[0], text, strlen (text));
    int rc = zlink_stream_multicast (c->s, ids, n, &msg, 0, errors);
    CHECK_EQ (zlink_msg_size (&msg), rc < 0 ? strlen (text) : 0);
    CHECK_OK (zlink_msg_close (&msg));
    return rc;
}

static int publish (crowd_t *c, const char *group, uint32_t from, const char *text, int flags)
{
    zlink_msg_t msg;
    zt_fast_init (&msg, from, text, strlen (text));
    int rc = zlink_stream_publish (c->s, group, &msg, flags);
    CHECK_EQ (zlink_msg_size (&msg), rc < 0 ? strlen (text) : 0);
    CHECK_OK (zlink_msg_close (&msg));
    return rc;
}

static void says (int fd, const char *text)
{
    char body[1024];
    CHECK_EQ (zt_read_frame (fd, (uint8_t *) body, sizeof body), strlen (text));
    CHECK_MEM (body, text, strlen (text));
}

static void reaches_a_list_in (bool fast)
{
    crowd_t c = open_crowd (fast);
    CHECK_EQ (multicast (&c, c.ids, PEERS, "to all of them", NULL), PEERS);
    CHECK_EQ (multicast (&c, c.ids, 2, "to two of them", NULL), 2);
    CHECK_EQ (multicast (&c, NULL, 0, "to nobody", NULL), 0);
    for (int i = 0; i < PEERS; i++)
        says (c.fds[i], "to all of them");
    says (c.fds[0], "to two of them");
    says (c.fds[1], "to two of them");

    zlink_stream_stats_t stats = stats_of (c.s);
    CHECK_EQ (stats.publishes, 3);
    CHECK_EQ (stats.deliveries, PEERS + 2);
    CHECK_EQ (stats.msgs_out, PEERS + 2);
    CHECK_EQ (stats.undelivered, 0);
    CHECK_EQ (stats.replaced, 0);
    close_crowd (&c);
}

static void reaches_a_list (void)
{
    reaches_a_list_in (true);
    reaches_a_list_in (false);
}

/* A message of every kind of content, as long as it likes. */
static void every_length (void)
{
    static const size_t sizes[] = {0, 1, 39, 40, 63, 64, 1000, 16 << 10, 64 << 10, 1 << 20};
    crowd_t c = open_crowd (true);
    for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        zlink_msg_t msg;
        zt_fast_fill (&msg, c.ids[0], i, sizes[i]);
        CHECK_EQ (zlink_stream_multicast (c.s, c.ids, 3, &msg, 0, NULL), 3);
        CHECK_OK (zlink_msg_close (&msg));
        for (int p = 0; p < 3; p++)
            zt_fast_read (c.fds[p], i, sizes[i]);
    }
    close_crowd (&c);
}

static void unknown_peers_are_told (void)
{
    crowd_t c = open_crowd (true);
    uint32_t ids[5] = {c.ids[0], 0, c.ids[PEERS - 1] + 1, c.ids[1], c.ids[2]};
    int errors[5] = {1, 1, 1, 1, 1};
    close (c.fds[1]);
    c.fds[1] = -1;
    CHECK_EQ (zt_fast_event (c.s, ZLINK_STREAM_DISCONNECTED), c.ids[1]);
    CHECK_EQ (multicast (&c, ids, 5, "hello", errors), 2);
    CHECK_EQ (errors[0], 0);
    CHECK_EQ (errors[1], EHOSTUNREACH);
    CHECK_EQ (errors[2], EHOSTUNREACH);
    CHECK_EQ (errors[3], EHOSTUNREACH);
    CHECK_EQ (errors[4], 0);
    says (c.fds[0], "hello");
    says (c.fds[2], "hello");
    CHECK_EQ (stats_of (c.s).undelivered, 3);
    CHECK_EQ (multicast (&c, ids, 5, "again", NULL), 2);
    close_crowd (&c);
}

/* Fills the queue of a peer that does not read. */
static int fill (crowd_t *c, uint32_t id)
{
    char text[STALE_BYTES + 1];
    int n = 0, error = 0;
    memset (text, 'x', STALE_BYTES);
    text[STALE_BYTES] = 0;
    while (error == 0) {
        int took = multicast (c, &id, 1, text, &error);
        CHECK_EQ (took, error == 0);
        n += took;
    }
    CHECK_EQ (error, EAGAIN);
    return n;
}

static void full_peers_are_told (void)
{
    crowd_t c = {.ctx = zt_ctx ()};
    uint8_t body[STALE_BYTES];
    c.s = zt_fast_socket (c.ctx);
    zt_set_int (c.s, ZLINK_STREAM_SEND_BYTES, 100000);
    zt_set_int (c.s, ZLINK_SNDBUF, 16 << 10);
    c.port = zt_bind (c.s);
    for (int i = 0; i < PEERS; i++) {
        c.fds[i] = zt_client (c.port);
        c.ids[i] = zt_fast_event (c.s, ZLINK_STREAM_CONNECTED);
    }
    int n = fill (&c, c.ids[0]), errors[2];
    while (multicast (&c, c.ids, 2, "hello", errors) == 2) { /* the kernel has taken more */
        says (c.fds[1], "hello");
        n += 1 + fill (&c, c.ids[0]);
    }
    CHECK_EQ (errors[0], EAGAIN);
    CHECK_EQ (errors[1], 0);
    says (c.fds[1], "hello");
    for (int i = 0; i < n; i++)
        CHECK (zt_read_frame (c.fds[0], body, sizeof body) > 0);
    CHECK_EQ (zt_fast_event (c.s, ZLINK_STREAM_WRITABLE), c.ids[0]);
    CHECK_EQ (multicast (&c, c.ids, 2, "again", errors), 2);
    says (c.fds[0], "again");
    close_crowd (&c);
}

static void groups_in (bool fast)
{
    crowd_t c = open_crowd (fast);
    for (int i = 0; i < PEERS; i++) {
        CHECK_OK (zlink_stream_join (c.s, c.ids[i], "all"));
        if (i % 2)
            CHECK_OK (zlink_stream_join (c.s, c.ids[i], "odd"));
    }
    CHECK_OK (zlink_stream_join (c.s, c.ids[1], "odd")); /* again */
    CHECK_EQ (publish (&c, "all", 0 + c.ids[3], "to all", 0), PEERS);
    CHECK_EQ (publish (&c, "odd", c.ids[3], "to the odd", ZLINK_STREAM_EXCEPT), PEERS / 2 - 1);
    CHECK_EQ (publish (&c, "none", c.ids[3], "to nobody", 0), 0);
    for (int i = 0; i < PEERS; i++) {
        says (c.fds[i], "to all");
        if (i % 2 && i != 3)
            says (c.fds[i], "to the odd");
    }
    CHECK_OK (zlink_stream_leave (c.s, c.ids[5], "odd"));
    CHECK_OK (zlink_stream_leave (c.s, c.ids[5], "odd"));
    CHECK_EQ (publish (&c, "odd", c.ids[3], "to fewer", 0), PEERS / 2 - 1);
    says (c.fds[3], "to fewer");
    CHECK_EQ (publish (&c, "all", c.ids[3], "to all", 0), PEERS);
    says (c.fds[5], "to all");
    close_crowd (&c);
}

static void groups (void)
{
    groups_in (true);
    groups_in (false);
}

static void left_at_the_end (void)
{
    crowd_t c = open_crowd (true);
    for (int i = 0; i < PEERS; i++)
        CHECK_OK (zlink_stream_join (c.s, c.ids[i], "all"));
    close (c.fds[7]);
    CHECK_EQ (zt_fast_event (c.s, ZLINK_STREAM_DISCONNECTED), c.ids[7]);
    CHECK_EQ (publish (&c, "all", c.ids[0], "hello", 0), PEERS - 1);
    CHECK_FAIL (zlink_stream_join (c.s, c.ids[7], "all"), EHOSTUNREACH);
    CHECK_FAIL (zlink_stream_leave (c.s, c.ids[7], "all"), EHOSTUNREACH);
    CHECK_OK (zlink_stream_close_peer (c.s, c.ids[8]));
    CHECK_EQ (publish (&c, "all", c.ids[0], "hello", 0), PEERS - 2);
    CHECK_EQ (stats_of (c.s).undelivered, 0); /* who is going is no member */
    c.fds[7] = -1;
    close_crowd (&c);
}

static void arguments (void)
{
    crowd_t c = open_crowd (true);
    char name[257];
    zlink_msg_t msg, none = {{0}};
    memset (name, 'n', sizeof name);
    name[256] = 0;
    zt_fast_init (&msg, c.ids[0], "hello", 5);
    CHECK_FAIL (zlink_stream_join (c.s, c.ids[0], name), EINVAL);
    CHECK (strstr (zlink_error_detail (), "1 to 255 bytes") != NULL);
    CHECK_FAIL (zlink_stream_leave (c.s, c.ids[0], name), EINVAL);
    CHECK_FAIL (zlink_stream_publish (c.s, name, &msg, 0), EINVAL);
    CHECK_FAIL (zlink_stream_publish_key (c.s, "", &msg, 1, 0), EINVAL);
    name[255] = 0;
    CHECK_OK (zlink_stream_join (c.s, c.ids[0], name));
    CHECK_FAIL (zlink_stream_join (c.s, c.ids[0], ""), EINVAL);
    CHECK_FAIL (zlink_stream_join (c.s, 0, "all"), EINVAL);
    CHECK_FAIL (zlink_stream_join (c.s, c.ids[0], NULL), EFAULT);
    CHECK_FAIL (zlink_stream_leave (c.s, c.ids[0], NULL), EFAULT);
    CHECK_FAIL (zlink_stream_publish (c.s, NULL, &msg, 0), EFAULT);
    CHECK_FAIL (zlink_stream_publish (c.s, "all", &none, 0), EFAULT);
    CHECK_FAIL (zlink_stream_publish_key (c.s, "all", NULL, 1, 0), EFAULT);
    CHECK_FAIL (zlink_stream_send_key (c.s, NULL, 1, 0), EFAULT);
    CHECK_FAIL (zlink_stream_multicast (c.s, c.ids, 2, NULL, 0, NULL), EFAULT);
    CHECK_FAIL (zlink_stream_multicast (c.s, NULL, 2, &msg, 0, NULL), EFAULT);
    CHECK_FAIL (zlink_stream_multicast (c.s, c.ids, (size_t) INT_MAX + 1, &msg, 0, NULL), EINVAL);
    CHECK_FAIL (zlink_stream_multicast (NULL, c.ids, 2, &msg, 0, NULL), ENOTSOCK);
    CHECK_FAIL (zlink_stream_publish (NULL, "all", &msg, 0), ENOTSOCK);
    CHECK_FAIL (zlink_stream_join (NULL, c.ids[0], "all"), ENOTSOCK);
    CHECK_EQ (zlink_msg_size (&msg), 5);
    CHECK_OK (zlink_ctx_shutdown (c.ctx));
    CHECK_FAIL (zlink_stream_publish (c.s, "all", &msg, 0), ETERM);
    CHECK_OK (zlink_msg_close (&msg));
    close_crowd (&c);
}

/* Sends with key 1, or publishes with key 2. Reports whether there was room. */
static bool took_key (void *s, uint32_t id, const char *text, uint64_t key)
{
    zlink_msg_t msg;
    zt_fast_init (&msg, id, text, strlen (text));
    bool took = key == 1 ? zlink_stream_send_key (s, &msg, key, 0) == (int) strlen (text)
                         : zlink_stream_publish_key (s, "world", &msg, key, 0) == 1;
    CHECK_EQ (zlink_msg_size (&msg), took ? 0 : strlen (text));
    CHECK_OK (zlink_msg_close (&msg));
    return took;
}

/* A peer that reads slowly gets the newest of each key. */
static void newest_state (void)
{
    crowd_t c = open_crowd (true);
    zlink_msg_t msg;
    uint8_t body[STALE_BYTES];
    char text[32];
    int n = fill (&c, c.ids[0]);
    CHECK_OK (zlink_stream_join (c.s, c.ids[0], "world"));
    CHECK_EQ (zt_read_frame (c.fds[0], body, sizeof body), STALE_BYTES);
    for (int room = 1; room > 0;) { /* for the two states, beside what is there */
        CHECK_EQ (zt_read_frame (c.fds[0], body, sizeof body), STALE_BYTES);
        n--;
        room = zt_fast_try (c.s, c.ids[0], "between", 7, ZLINK_DONTWAIT) < 0;
    }
    n--;
    for (int i = 0; i < 100; i++) {
        for (uint64_t key = 1; key <= 2; key++) {
            snprintf (text, sizeof text, "%s %d", key == 1 ? "state" : "world", i);
            for (; !took_key (c.s, c.ids[0], text, key); n--)
                CHECK_EQ (zt_read_frame (c.fds[0], body, sizeof body), STALE_BYTES);
        }
    }
    uint64_t replaced = stats_of (c.s).replaced;
    CHECK (replaced >= 100 && replaced <= 198); /* the kernel may still take some */
    for (int i = 0; i < n; i++)
        CHECK_EQ (zt_read_frame (c.fds[0], body, sizeof body), STALE_BYTES);
    says (c.fds[0], "between");
    char newest[2][32] = {"", ""};
    for (uint64_t i = 0; i < 200 - replaced; i++) {
        size_t size = (size_t) zt_read_frame (c.fds[0], body, sizeof body);
        CHECK (size < sizeof newest[0]);
        char *of = newest[body[0] == 'w'];
        memcpy (of, body, size);
        of[size] = 0;
    }
    CHECK (strcmp (newest[0], "state 99") == 0 && strcmp (newest[1], "world 99") == 0);
    zt_fast_init (&msg, c.ids[0] + 1000, "x", 1);
    CHECK_FAIL (zlink_stream_send_key (c.s, &msg, 1, 0), EHOSTUNREACH);
    CHECK_OK (zlink_msg_close (&msg));
    close_crowd (&c);
}

/* Several threads publish while one receives; each client gets each thread's messages in
 * order. */
enum
{
    THREADS = 3,
    ROUNDS = 300
};

static crowd_t many;
static _Atomic int number;

static void publishes (void *arg)
{
    (void) arg;
    uint8_t me = (uint8_t) atomic_fetch_add (&number, 1);
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t body[100] = {me, (uint8_t) (i >> 8), (uint8_t) i};
        zlink_msg_t msg;
        zt_fast_init (&msg, many.ids[0], body, 3 + (size_t) (i % 97));
        CHECK_EQ (zlink_stream_publish (many.s, "all", &msg, 0), PEERS);
        for (int p = 0; p < 3; p++) /* and alone to the one after the other */
            zt_fast_send (many.s, many.ids[p], body, 3);
        CHECK_OK (zlink_msg_close (&msg));
    }
}

static void several_threads (void)
{
    void *threads[THREADS];
    many = open_crowd (true);
    for (int i = 0; i < PEERS; i++)
        CHECK_OK (zlink_stream_join (many.s, many.ids[i], "all"));
    for (int i = 0; i < THREADS; i++)
        threads[i] = zlink_threadstart (publishes, NULL);
    for (int p = 0; p < PEERS; p++) {
        int each = p < 3 ? 2 : 1, next[THREADS] = {0};
        for (int i = 0; i < THREADS * ROUNDS * each; i++) {
            uint8_t body[100];
            CHECK (zt_read_frame (many.fds[p], body, sizeof body) >= 3);
            CHECK (body[0] < THREADS);
            CHECK_EQ (body[1] << 8 | body[2], next[body[0]]++ / each);
        }
    }
    for (int i = 0; i < THREADS; i++)
        zlink_threadclose (threads[i]);
    close_crowd (&many);
}

static const zt_case_t cases[] = {
  ZT_CASE (reaches_a_list),
  ZT_CASE (every_length),
  ZT_CASE (unknown_peers_are_told),
  ZT_CASE (full_peers_are_told),
  ZT_CASE (groups),
  ZT_CASE (left_at_the_end),
  ZT_CASE (arguments),
  ZT_CASE (newest_state),
  ZT_CASE (several_threads),
};

ZT_MAIN (cases)
