/* SPDX-License-Identifier: MPL-2.0 */
/* Data that an application gives for its peers, and what frees it. */
#include "ztest.h"
#include "zfast.h"

#include <stdio.h>
#include <sys/socket.h>

#define BATCH 64
#define CROWD (400 / ZT_SCALE)
#define SETTERS 3

static atomic_int freed;

static void count_free (void *data, void *hint)
{
    CHECK (hint == &freed);
    atomic_fetch_add (&freed, 1);
    free (data);
}

/* A block that count_free frees. */
static void *block (void)
{
    void *data = malloc (16);
    CHECK (data != NULL);
    return data;
}

static void give (void *s, uint32_t peer, void *data)
{
    CHECK_OK (zlink_stream_set_peer_data (s, peer, data, count_free, &freed));
}

static void *server_with_data (void *ctx, int *port)
{
    void *s = zt_fast_socket (ctx);
    zt_set_int (s, ZLINK_STREAM_PEER_DATA, 1);
    *port = zt_bind (s);
    atomic_store (&freed, 0);
    return s;
}

static zlink_stream_stats_t stats_of (void *s)
{
    zlink_stream_stats_t stats = {.size = sizeof stats};
    CHECK_OK (zlink_stream_stats (s, &stats));
    return stats;
}

/* Receives a batch until it has all of n messages. */
static void recv_all (void *s, zlink_msg_t *msgs, int n)
{
    zt_fast_init_all (msgs, (size_t) n);
    for (int got = 0; got < n;) {
        int more = zlink_stream_recv_batch (s, msgs + got, (size_t) (n - got), 0);
        CHECK (more > 0);
        got += more;
    }
}

/* Messages that came with the connect event have it, too, and the last of them keeps it. */
static void given_back (void)
{
    zlink_msg_t msgs[BATCH], copy, down;
    char body[100] = "";
    int port;
    void *ctx = zt_ctx (), *s = server_with_data (ctx, &port);
    int fd = zt_client (port);

    for (int i = 1; i < BATCH; i++)
        zt_write_frame (fd, body, i % 2 ? 5 : sizeof body);
    ZT_UNTIL (stats_of (s).msgs_in == BATCH - 1);
    recv_all (s, msgs, BATCH);
    CHECK_EQ (zlink_msg_get (&msgs[0], ZLINK_STREAM_EVENT), ZLINK_STREAM_CONNECTED);
    uint32_t peer = zlink_msg_routing_id (&msgs[0]);
    for (int i = 0; i < BATCH; i++)
        CHECK (zlink_msg_peer_data (&msgs[i]) == NULL);
    void *data = block ();
    give (s, peer, data);
    for (int i = 0; i < BATCH; i++)
        CHECK (zlink_msg_peer_data (&msgs[i]) == data);
    CHECK_STR (zlink_msg_gets (&msgs[1], "Peer-Address"), "127.0.0.1");
    CHECK_EQ (atomic_load (&freed), 0);

    data = block ();
    give (s, peer, data);
    CHECK_EQ (atomic_load (&freed), 1); /* the first one, at once */
    for (int i = 0; i < BATCH; i++)
        CHECK (zlink_msg_peer_data (&msgs[i]) == data);

    close (fd);
    recv_all (s, &down, 1);
    CHECK_EQ (zlink_msg_get (&down, ZLINK_STREAM_EVENT), ZLINK_STREAM_DISCONNECTED);
    CHECK (zlink_msg_peer_data (&down) == data);
    ZT_UNTIL (stats_of (s).connections == 0);
    CHECK_FAIL (zlink_stream_set_peer_data (s, peer, data, NULL, NULL), EHOSTUNREACH);
    CHECK_OK (zlink_msg_init (&copy));
    CHECK_OK (zlink_msg_copy (&copy, &msgs[2]));
    CHECK_OK (zlink_msg_close (&down));
    zt_fast_close_all (msgs, BATCH);
    zt_close (s);
    zt_term (ctx);
    CHECK_EQ (atomic_load (&freed), 1);
    CHECK (zlink_msg_peer_data (&copy) == data);
    CHECK_OK (zlink_msg_close (&copy));
    CHECK_EQ (atomic_load (&freed), 2);
}

/* A message that is sent back gives it up, as one that is closed does. */
static void sent_back (void)
{
    zlink_msg_t msg;
    int port;
    void *ctx = zt_ctx (), *s = server_with_data (ctx, &port);
    int fd = zt_client (port);
    uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);

    give (s, peer, block ());
    zt_write_frame (fd, "hello", 5);
    recv_all (s, &msg, 1);
    CHECK (zlink_msg_peer_data (&msg) != NULL);
    CHECK_EQ (zlink_msg_send (&msg, s, 0), 5);
    CHECK (zlink_msg_peer_data (&msg) == NULL);
    CHECK_OK (zlink_msg_close (&msg));
    close (fd);
    zt_fast_event (s, ZLINK_STREAM_DISCONNECTED);
    ZT_UNTIL (atomic_load (&freed) == 1);
    zt_close (s);
    zt_term (ctx);
}

/* A peer that ends its side and takes nothing: the connection stays open, but the data goes
 * with the messages, and no more can be given. */
static void while_it_closes (void)
{
    static char body[60000];
    zlink_msg_t msg, down;
    int port, small = 4096;
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    zt_set_int (s, ZLINK_STREAM_PEER_DATA, 1);
    zt_set_int (s, ZLINK_STREAM_CLOSE_TIMEOUT, -1);
    zt_set_int (s, ZLINK_SNDBUF, small);
    port = zt_bind (s);
    atomic_store (&freed, 0);
    int fd = zt_client (port);
    CHECK_OK (setsockopt (fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small));
    zt_write_frame (fd, "hello", 5);
    uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    void *data = block ();
    give (s, peer, data);
    recv_all (s, &msg, 1);
    for (int i = 0; i < BATCH; i++)
        zt_fast_send (s, peer, body, sizeof body);
    CHECK_OK (shutdown (fd, SHUT_WR));
    recv_all (s, &down, 1);
    CHECK_EQ (zlink_msg_get (&down, ZLINK_STREAM_EVENT), ZLINK_STREAM_DISCONNECTED);
    CHECK_FAIL (zlink_stream_set_peer_data (s, peer, data, NULL, NULL), EHOSTUNREACH);
    CHECK_OK (zlink_msg_close (&down));
    CHECK_EQ (atomic_load (&freed), 0);
    CHECK (zlink_msg_peer_data (&msg) == data);
    CHECK_OK (zlink_msg_close (&msg));
    CHECK_EQ (atomic_load (&freed), 1);
    CHECK_EQ (stats_of (s).connections, 1);
    CHECK_OK (zlink_stream_abort_peer (s, peer));
    ZT_UNTIL (stats_of (s).connections == 0);
    close (fd);
    zt_close (s);
    zt_term (ctx);
    CHECK_EQ (atomic_load (&freed), 1);
}

/* Nobody receives the disconnect events: the end of the socket frees it. */
static void never_received (void)
{
    int port, fds[BATCH];
    void *ctx = zt_ctx (), *s = server_with_data (ctx, &port);

    for (int i = 0; i < BATCH; i++) {
        fds[i] = zt_client (port);
        give (s, zt_fast_event (s, ZLINK_STREAM_CONNECTED), block ());
    }
    for (int i = 0; i < BATCH / 2; i++)
        close (fds[i]);
    zt_close (s);
    for (int i = BATCH / 2; i < BATCH; i++)
        close (fds[i]);
    zt_term (ctx);
    CHECK_EQ (atomic_load (&freed), BATCH);
}

static void in_compat (void)
{
    zlink_msg_t id, msg;
    zlink_routing_id_t peer;
    void *ctx = zt_ctx (), *s = zt_socket (ctx), *data = block ();
    zt_set_int (s, ZLINK_STREAM_PEER_DATA, 1);
    int port = zt_bind (s), fd = zt_client (port);

    atomic_store (&freed, 0);
    zt_expect_connect (s, &peer);
    give (s, zt_id_number (&peer), data);
    zt_write_frame (fd, "hello", 5);
    CHECK_OK (zlink_msg_init (&id));
    CHECK_OK (zlink_msg_init (&msg));
    CHECK_EQ (zlink_msg_recv (&id, s, 0), 4);
    CHECK_EQ (zlink_msg_recv (&msg, s, 0), 5);
    CHECK (zlink_msg_peer_data (&id) == data && zlink_msg_peer_data (&msg) == data);
    CHECK_OK (zlink_msg_close (&id));
    close (fd);
    zt_expect_disconnect (s, &peer);
    CHECK_EQ (atomic_load (&freed), 0);
    CHECK_OK (zlink_msg_close (&msg));
    ZT_UNTIL (atomic_load (&freed) == 1);
    zt_close (s);
    zt_term (ctx);
}

/* The client has its own; a place that comes back has nothing of the last peer. */
static void next_peer (void)
{
    zlink_msg_t up;
    int port;
    void *ctx = zt_ctx (), *s = server_with_data (ctx, &port);

    for (int i = 0; i < CROWD; i++) {
        int fd = zt_client (port);
        recv_all (s, &up, 1);
        CHECK (zlink_msg_peer_data (&up) == NULL);
        if (i % 2 == 0)
            give (s, zlink_msg_routing_id (&up), block ());
        CHECK_OK (zlink_msg_close (&up));
        close (fd);
        zt_fast_event (s, ZLINK_STREAM_DISCONNECTED);
    }
    ZT_UNTIL (atomic_load (&freed) == CROWD / 2);
    zt_close (s);
    zt_term (ctx);
}

static void arguments (void)
{
    zlink_msg_t msg;
    int port, data = 0;
    zt_fast_t plain = zt_fast_open ();
    void *ctx = zt_ctx (), *s = server_with_data (ctx, &port);
    int fd = zt_client (port);
    uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);

    CHECK_FAIL (zlink_stream_set_peer_data (s, 0, &data, NULL, NULL), EINVAL);
    CHECK_FAIL (zlink_stream_set_peer_data (s, peer + 1, &data, NULL, NULL), EHOSTUNREACH);
    CHECK_FAIL (zlink_stream_set_peer_data (NULL, peer, &data, NULL, NULL), ENOTSOCK);
    CHECK_FAIL (zlink_stream_set_peer_data (plain.s, plain.peer, &data, NULL, NULL), EINVAL);
    CHECK (strstr (zlink_error_detail (), "STREAM_PEER_DATA") != NULL);
    CHECK_OK (zlink_stream_set_peer_data (s, peer, &data, NULL, NULL));
    CHECK_OK (zlink_stream_set_peer_data (s, peer, (void *) 1, NULL, NULL));
    CHECK_OK (zlink_msg_init (&msg));
    CHECK (zlink_msg_peer_data (&msg) == NULL); /* not received */
    zt_write_frame (fd, "x", 1);
    CHECK_EQ (zlink_msg_recv (&msg, s, 0), 1);
    CHECK (zlink_msg_peer_data (&msg) == (void *) 1);
    CHECK_OK (zlink_stream_set_peer_data (s, peer, NULL, NULL, NULL));
    CHECK (zlink_msg_peer_data (&msg) == NULL);
    CHECK_OK (zlink_msg_close (&msg));
    CHECK (zlink_msg_peer_data (&msg) == NULL && errno == EFAULT);
    CHECK (zlink_msg_peer_data (NULL) == NULL && errno == EFAULT);
    close (fd);
    zt_close (s);
    zt_term (ctx);
    zt_fast_close (&plain);
}

typedef struct setter_t
{
    void *s;
    _Atomic uint32_t last;
    atomic_bool over;
    atomic_int given;
} setter_t;

static void *set_always (void *arg)
{
    setter_t *t = arg;
    while (!atomic_load (&t->over)) {
        uint32_t peer = atomic_load (&t->last);
        void *data = block ();
        if (peer != 0 && zlink_stream_set_peer_data (t->s, peer, data, count_free, &freed) == 0)
            atomic_fetch_add (&t->given, 1);
        else {
            CHECK (peer == 0 || errno == EHOSTUNREACH);
            free (data);
        }
    }
    return NULL;
}

/* What several threads give for peers that come and go is freed once each. */
static void several_threads (void)
{
    int port;
    void *ctx = zt_ctx ();
    setter_t t = {.s = server_with_data (ctx, &port)};
    pthread_t threads[SETTERS];

    for (int i = 0; i < SETTERS; i++)
        CHECK_EQ (pthread_create (&threads[i], NULL, set_always, &t), 0);
    for (int i = 0; i < CROWD; i++) {
        int fd = zt_client (port), had = atomic_load (&t.given);
        atomic_store (&t.last, zt_fast_event (t.s, ZLINK_STREAM_CONNECTED));
        ZT_UNTIL (atomic_load (&t.given) > had); /* while somebody gives more, the peer goes */
        close (fd);
        zt_fast_event (t.s, ZLINK_STREAM_DISCONNECTED);
    }
    atomic_store (&t.over, true);
    for (int i = 0; i < SETTERS; i++)
        zt_join (threads[i]);
    zt_close (t.s);
    zt_term (ctx);
    CHECK_EQ (atomic_load (&freed), atomic_load (&t.given));
}

static const zt_case_t cases[] = {
  ZT_CASE (given_back),
  ZT_CASE (sent_back),
  ZT_CASE (while_it_closes),
  ZT_CASE (never_received),
  ZT_CASE (in_compat),
  ZT_CASE (next_peer),
  ZT_CASE (arguments),
  ZT_CASE (several_threads),
};

ZT_MAIN (cases)
