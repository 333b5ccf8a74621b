/* SPDX-License-Identifier: MPL-2.0 */
/* MAXMSGSIZE, hostile peers and time-outs. */
#include "ztest.h"

#include <sys/socket.h>

#define HOSTILE_PEERS 50
#define TIMEOUT_MS 200
#define TIMEOUT_LOW_MS 190

static void *server_with_max (void *ctx, int64_t max_bytes)
{
    void *server = zt_socket (ctx);
    CHECK_OK (zlink_setsockopt (server, ZLINK_MAXMSGSIZE, &max_bytes,
                                sizeof max_bytes));
    return server;
}

/* A round trip that shows the connection is alive. */
static void round_trip (void *server, const zlink_routing_id_t *id, int fd)
{
    uint8_t answer[16];
    zt_write_frame (fd, "alive", 5);
    zt_expect (server, id, "alive", 5);
    zt_send (server, id, "indeed", 6);
    CHECK_EQ (zt_read_frame (fd, answer, sizeof answer), 6);
    CHECK_MEM (answer, "indeed", 6);
}

static void maxmsgsize_cuts (void)
{
    void *ctx = zt_ctx ();
    void *server = server_with_max (ctx, 100);
    int port = zt_bind (server);
    int fd = zt_client (port);
    zlink_routing_id_t id, long_id;
    uint8_t body[100];

    zt_expect_connect (server, &id);
    zt_fill (body, sizeof body, 1);
    zt_write_frame (fd, body, sizeof body);
    zt_expect (server, &id, body, sizeof body);

    /* The length alone cuts the connection; what came before is delivered. */
    int long_fd = zt_client (port);
    zt_expect_connect (server, &long_id);
    zt_write (long_fd, "\0\0\0\4last\0\0\0\145", 12);
    zt_expect_eof (long_fd);
    close (long_fd);
    zt_expect (server, &long_id, "last", 4);
    zt_expect_disconnect (server, &long_id);

    round_trip (server, &id, fd);
    close (fd);
    zt_expect_disconnect (server, &id);
    zt_close (server);
    zt_term (ctx);
}

/* MAXMSGSIZE limits what is received, not what is sent. */
static void maxmsgsize_of_zero_and_sends (void)
{
    void *ctx = zt_ctx ();
    void *server = server_with_max (ctx, 0);
    int fd = zt_client (zt_bind (server));
    zlink_routing_id_t id;
    uint8_t body[16];

    zt_expect_connect (server, &id);
    zt_write_frame (fd, NULL, 0);
    zt_expect (server, &id, "", 0);
    zt_send (server, &id, "longer", 6);
    CHECK_EQ (zt_read_frame (fd, body, sizeof body), 6);
    zt_write (fd, "\0\0\0\1", 4);
    zt_expect_eof (fd);
    close (fd);
    zt_expect_disconnect (server, &id);
    zt_close (server);
    zt_term (ctx);
}

/* Writes what the peer may already have cut off. */
static void write_to_hostile (int fd, const void *buf, size_t size)
{
    ssize_t n = send (fd, buf, size, MSG_NOSIGNAL);
    CHECK (n == (ssize_t) size
           || (n == -1 && (errno == EPIPE || errno == ECONNRESET)));
}

/* Fifty peers announce 4 GiB each and send 1 KiB of it. Whether the engine
 * keeps or cuts such a connection, it takes no memory for it, delivers nothing
 * of it, and tells of its end. */
static void announced_length_takes_no_memory (void)
{
    static const uint8_t part[1024];
    void *ctx = zt_ctx ();
    void *server = zt_socket (ctx);
    int port = zt_bind (server);
    int fd = zt_client (port);
    int hostile[HOSTILE_PEERS];
    zlink_routing_id_t id, other;
    size_t connects = 0, disconnects = 0;

    zt_expect_connect (server, &id);
    round_trip (server, &id, fd);
    size_t before_kb = zt_rss_kb ();
    for (int i = 0; i < HOSTILE_PEERS; i++) {
        hostile[i] = zt_client (port);
        write_to_hostile (hostile[i], "\xff\xff\xff\xff", 4);
        write_to_hostile (hostile[i], part, sizeof part);
    }
    ZT_UNTIL (zt_unread_bytes (port) == 0);
    CHECK_RANGE (zt_rss_kb (), 0, before_kb + 16384);

    for (int i = 0; i < HOSTILE_PEERS; i++)
        zt_reset (hostile[i]);
    while (disconnects < HOSTILE_PEERS) {
        uint8_t event[16];
        CHECK_EQ (zt_recv (server, &other, event, sizeof event), 1);
        CHECK (!zt_same_id (&other, &id));
        connects += event[0] == ZT_EVENT_CONNECT;
        disconnects += event[0] == ZT_EVENT_DISCONNECT;
    }
    CHECK_EQ (connects, HOSTILE_PEERS);
    round_trip (server, &id, fd);
    close (fd);
    zt_expect_disconnect (server, &id);
    zt_close (server);
    zt_term (ctx);
}

static void reset_inside_a_frame (void)
{
    void *ctx = zt_ctx ();
    void *server = zt_socket (ctx);
    int port = zt_bind (server);
    zlink_routing_id_t id;

    for (size_t sent = 1; sent <= 9; sent++) {
        int fd = zt_client (port);
        zt_expect_connect (server, &id);
        zt_write (fd, "\0\0\0\6broken", sent);
        zt_reset (fd);
        zt_expect_disconnect (server, &id);
    }
    zt_expect_silence (server, 20);
    zt_close (server);
    zt_term (ctx);
}

static void garbage (void)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: example\r\n\r\n";
    void *ctx = zt_ctx ();
    void *server = server_with_max (ctx, 1 << 20);
    int port = zt_bind (server);
    int fd = zt_client (port);
    zlink_routing_id_t id, other;
    uint8_t noise[4096];
    uint32_t state = 99;

    zt_expect_connect (server, &id);
    for (int i = 0; i < 20; i++) {
        int garbage_fd = zt_client (port);
        zt_expect_connect (server, &other);
        for (size_t j = 0; j < sizeof noise; j++)
            noise[j] = (uint8_t) zt_random (&state);
        noise[0] |= 0x80;
        if (i == 0)
            memcpy (noise, request, sizeof request);
        write_to_hostile (garbage_fd, noise, sizeof noise);
        zt_expect_eof (garbage_fd);
        close (garbage_fd);
        zt_expect_disconnect (server, &other);
    }
    round_trip (server, &id, fd);
    close (fd);
    zt_expect_disconnect (server, &id);
    zt_close (server);
    zt_term (ctx);
}

static void dontwait_on_recv (void)
{
    void *ctx = zt_ctx ();
    void *server = zt_socket (ctx);
    zlink_routing_id_t id;
    zlink_msg_t msg;
    uint8_t buf[16];

    CHECK_FAIL (zlink_recv (server, buf, sizeof buf, ZLINK_DONTWAIT), EAGAIN);
    int fd = zt_client (zt_bind (server));
    zt_expect_connect (server, &id);
    CHECK_OK (zlink_msg_init (&msg));
    CHECK_FAIL (zlink_recv (server, buf, sizeof buf, ZLINK_DONTWAIT), EAGAIN);
    CHECK_FAIL (zlink_msg_recv (&msg, server, ZLINK_DONTWAIT), EAGAIN);

    /* Once the first frame is there, so is the second. */
    zt_write_frame (fd, "hello", 5);
    ZT_UNTIL (zlink_recv (server, buf, sizeof buf, ZLINK_DONTWAIT) == 4);
    CHECK_EQ (zlink_msg_recv (&msg, server, ZLINK_DONTWAIT), 5);
    CHECK_FAIL (zlink_recv (server, buf, sizeof buf, ZLINK_DONTWAIT), EAGAIN);
    CHECK_OK (zlink_msg_close (&msg));
    close (fd);
    zt_close (server);
    zt_term (ctx);
}

static void rcvtimeo (void)
{
    void *ctx = zt_ctx ();
    void *server = zt_socket (ctx);
    zlink_routing_id_t id;
    uint8_t buf[16];

    int fd = zt_client (zt_bind (server));
    zt_expect_connect (server, &id);
    zt_set_int (server, ZLINK_RCVTIMEO, TIMEOUT_MS);
    double start = zt_now_ms ();
    CHECK_FAIL (zlink_recv (server, buf, sizeof buf, 0), EAGAIN);
    CHECK_WAITED (start, TIMEOUT_LOW_MS);

    zt_set_int (server, ZLINK_RCVTIMEO, ZT_TOO_LONG_MS);
    CHECK_FAIL (zlink_recv (server, buf, sizeof buf, ZLINK_DONTWAIT), EAGAIN);
    zt_set_int (server, ZLINK_RCVTIMEO, 0);
    CHECK_FAIL (zlink_recv (server, buf, sizeof buf, 0), EAGAIN);

    /* A message that comes in time ends the wait. */
    zt_set_int (server, ZLINK_RCVTIMEO, 30000);
    zt_write_frame (fd, "in time", 7);
    zt_expect (server, &id, "in time", 7);
    close (fd);
    zt_close (server);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (maxmsgsize_cuts),
  ZT_CASE (maxmsgsize_of_zero_and_sends),
  ZT_CASE (announced_length_takes_no_memory),
  ZT_CASE (reset_inside_a_frame),
  ZT_CASE (garbage),
  ZT_CASE (dontwait_on_recv),
  ZT_CASE (rcvtimeo),
};

ZT_MAIN (cases)
