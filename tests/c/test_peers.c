/* SPDX-License-Identifier: MPL-2.0 */
/* What a socket tells of its peers. */
#include "ztest.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

static zlink_peer_info_t info_of (void *s, const zlink_routing_id_t *id)
{
    zlink_peer_info_t info;
    memset (&info, 0xAA, sizeof info);
    CHECK_OK (zlink_socket_peer_info (s, id, &info));
    CHECK (zt_same_id (&info.routing_id, id));
    return info;
}

static uint64_t epoch_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

static void nobody (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    const zlink_routing_id_t id = {4, {0, 0, 0, 1}};
    zlink_routing_id_t out;
    zlink_peer_info_t info;
    size_t count = 1;

    for (int bound = 0; bound < 2; bound++) {
        CHECK_EQ (zlink_socket_peer_count (s), 0);
        CHECK_FAIL (zlink_socket_peer_routing_id (s, 0, &out), EINVAL);
        CHECK_FAIL (zlink_socket_peer_info (s, &id, &info), EHOSTUNREACH);
        count = 1;
        CHECK_OK (zlink_socket_peers (s, &info, &count));
        CHECK_EQ (count, 0);
        zt_bind (s);
    }
    /* A peer that is dialled and not there is none, even if it has a name. */
    CHECK_OK (zlink_setsockopt (s, ZLINK_CONNECT_ROUTING_ID, &id.data, 4));
    zt_connect (s, zt_free_port ());
    CHECK_EQ (zlink_socket_peer_count (s), 0);
    CHECK_FAIL (zlink_socket_peer_info (s, &id, &info), EHOSTUNREACH);
    zt_close (s);
    zt_term (ctx);
}

/* Three peers, each with counts of its own in either direction. */
static void counters (void)
{
    enum
    {
        peers = 3,
        base = 100
    };
    void *ctx = zt_ctx (), *server = zt_socket (ctx);
    int port = zt_bind (server), fds[peers];
    zlink_routing_id_t ids[peers];
    char body[16];

    for (int i = 0; i < peers; i++) {
        fds[i] = zt_client (port);
        zt_expect_connect (server, &ids[i]);
    }
    for (int i = 0; i < peers; i++)
        for (int j = 0; j < base * (i + 1); j++)
            zt_write_frame (fds[i], "in", 2);
    /* They count before the application takes them. */
    for (int i = 0; i < peers; i++)
        ZT_UNTIL (info_of (server, &ids[i]).msgs_received
                  == (uint64_t) (base * (i + 1)));
    for (int j = 0; j < base * 6; j++) {
        zlink_routing_id_t id;
        CHECK_EQ (zt_recv (server, &id, body, sizeof body), 2);
    }
    for (int i = 0; i < peers; i++)
        for (int j = 0; j < base * (peers - i) + 7; j++)
            zt_send (server, &ids[i], "out", 3);
    for (int i = 0; i < peers; i++) {
        zlink_peer_info_t info = info_of (server, &ids[i]);
        CHECK_EQ (info.msgs_sent, base * (peers - i) + 7);
        CHECK_EQ (info.msgs_received, base * (i + 1));
        for (int j = 0; j < base * (peers - i) + 7; j++)
            CHECK_EQ (zt_read_frame (fds[i], body, sizeof body), 3);
        info = info_of (server, &ids[i]);
        CHECK_EQ (info.msgs_sent, base * (peers - i) + 7);
        close (fds[i]);
    }
    zt_close (server);
    zt_term (ctx);
}

/* One per message, whatever its size and whichever call sends it; a refused one
 * does not count. */
static void only_accepted_messages_count (void)
{
    enum
    {
        hwm = 5,
        large = 1 << 20
    };
    void *ctx = zt_ctx (), *server = zt_socket (ctx);
    zlink_routing_id_t id;
    zlink_msg_t msg;
    uint64_t accepted = 0;

    zt_unbounded (server); /* messages are counted here, not bytes */
    zt_set_int (server, ZLINK_SNDHWM, hwm);
    int fd = zt_small_client (zt_bind (server));
    zt_expect_connect (server, &id);
    zt_send (server, &id, "", 0);
    CHECK_EQ (info_of (server, &id).msgs_sent, ++accepted);
    CHECK_EQ (zt_read_frame (fd, NULL, 0), 0);
    for (;;) {
        CHECK_OK (zlink_msg_init_size (&msg, large));
        memset (zlink_msg_data (&msg), 'x', large);
        int rc = zlink_send (server, id.data, id.size,
                             ZLINK_SNDMORE | ZLINK_DONTWAIT);
        if (rc != -1)
            rc = zlink_msg_send (&msg, server, ZLINK_DONTWAIT);
        CHECK_OK (zlink_msg_close (&msg));
        if (rc == -1)
            break;
        accepted++;
        CHECK_EQ (info_of (server, &id).msgs_sent, accepted);
    }
    CHECK_EQ (errno, EAGAIN);
    CHECK_EQ (info_of (server, &id).msgs_sent, accepted);
    CHECK (accepted >= hwm); /* the first message may still count when its peer has read it */
    zt_set_int (server, ZLINK_LINGER, 0);
    close (fd);
    zt_close (server);
    zt_term (ctx);
}

/* What one end sent the other has received; events are no messages. */
static void both_ends_agree (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx), *client = zt_socket (ctx);
    zlink_routing_id_t at_server, at_client;

    zt_connect (client, zt_bind (server));
    zt_expect_connect (server, &at_server);
    zt_expect_connect (client, &at_client);
    CHECK_EQ (info_of (server, &at_server).msgs_received, 0);
    CHECK_EQ (info_of (client, &at_client).msgs_sent, 0);
    for (int i = 0; i < 10; i++) {
        zt_send (client, &at_client, "up", 2);
        zt_expect (server, &at_server, "up", 2);
        if (i % 2)
            continue;
        zt_send (server, &at_server, "down", 4);
        zt_expect (client, &at_client, "down", 4);
    }
    CHECK_EQ (info_of (client, &at_client).msgs_sent, 10);
    CHECK_EQ (info_of (server, &at_server).msgs_received, 10);
    CHECK_EQ (info_of (client, &at_client).msgs_received, 5);
    CHECK_EQ (info_of (server, &at_server).msgs_sent, 5);
    zt_close (client);
    zt_close (server);
    zt_term (ctx);
}

static void address_and_time (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx);
    struct sockaddr_in mine;
    socklen_t size = sizeof mine;
    zlink_routing_id_t id;
    char expected[64];
    int port = zt_bind (server);

    uint64_t before = epoch_ms ();
    int fd = zt_client (port);
    zt_expect_connect (server, &id);
    zlink_peer_info_t info = info_of (server, &id);
    CHECK_RANGE (info.connected_time, (double) before - 1,
                 (double) epoch_ms () + 1);
    CHECK_OK (getsockname (fd, (struct sockaddr *) &mine, &size));
    snprintf (expected, sizeof expected, "tcp://127.0.0.1:%d",
              ntohs (mine.sin_port));
    CHECK_STR (info.remote_addr, expected);
    zt_pause_ms (5);
    CHECK_EQ (info_of (server, &id).connected_time, info.connected_time);
    close (fd);
    zt_close (server);
    zt_term (ctx);
}

/* The list, the index and the count tell the same, in any size of array. */
static void lists (void)
{
    enum
    {
        peers = 20
    };
    void *ctx = zt_ctx (), *server = zt_socket (ctx);
    zlink_peer_info_t all[peers + 2], some[peers + 2];
    zlink_routing_id_t id, ids[peers];
    int port = zt_bind (server), fds[peers];
    size_t count = 0;

    for (int i = 0; i < peers; i++) {
        fds[i] = zt_client (port);
        zt_expect_connect (server, &ids[i]);
    }
    CHECK_EQ (zlink_socket_peer_count (server), peers);
    CHECK_OK (zlink_socket_peers (server, NULL, &count));
    CHECK_EQ (count, peers);
    count = peers + 2;
    memset (all, 0xAA, sizeof all);
    CHECK_OK (zlink_socket_peers (server, all, &count));
    CHECK_EQ (count, peers);
    CHECK_EQ (all[peers].routing_id.size, 0xAA); /* not touched */
    for (int i = 0; i < peers; i++) {
        CHECK_OK (zlink_socket_peer_routing_id (server, i, &id));
        CHECK (zt_same_id (&id, &all[i].routing_id));
        int found = 0;
        for (int j = 0; j < peers; j++)
            found += zt_same_id (&ids[j], &id);
        CHECK_EQ (found, 1);
        for (int j = 0; j < i; j++)
            CHECK (!zt_same_id (&all[j].routing_id, &id));
    }
    for (size_t room = 0; room < peers; room += 7) {
        memset (some, 0xAA, sizeof some);
        count = room;
        CHECK_OK (zlink_socket_peers (server, some, &count));
        CHECK_EQ (count, room);
        CHECK_MEM (some, all, room * sizeof *some);
        CHECK_EQ (some[room].routing_id.size, 0xAA);
    }
    CHECK_FAIL (zlink_socket_peer_routing_id (server, peers, &id), EINVAL);
    CHECK_FAIL (zlink_socket_peer_routing_id (server, -1, &id), EINVAL);

    /* Half of them go; the others are told as before. */
    for (int i = 0; i < peers; i += 2) {
        close (fds[i]);
        zt_expect_disconnect (server, &ids[i]);
        CHECK_EQ (zlink_socket_peer_count (server), peers - i / 2 - 1);
    }
    for (int i = 0; i < peers; i++) {
        if (i % 2)
            info_of (server, &ids[i]);
        else
            CHECK_FAIL (zlink_socket_peer_info (server, &ids[i], &some[0]),
                        EHOSTUNREACH);
    }
    CHECK_FAIL (zlink_socket_peer_routing_id (server, peers / 2, &id), EINVAL);
    for (int i = 1; i < peers; i += 2)
        close (fds[i]);
    zt_close (server);
    zt_term (ctx);
}

/* A named peer is known by its name alone, next to one with a number. */
static void named_peers (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx), *client = zt_socket (ctx);
    zlink_routing_id_t name = {255, {0}}, numbered, id, at_server;
    zlink_peer_info_t info;
    int port = zt_bind (server);

    memset (name.data, 'n', 255);
    CHECK_OK (
      zlink_setsockopt (client, ZLINK_CONNECT_ROUTING_ID, name.data, 255));
    zt_connect (client, port);
    zt_expect_connect (client, &id);
    CHECK (zt_same_id (&id, &name));
    zt_connect (client, port);
    zt_expect_connect (client, &numbered);
    zt_expect_connect (server, &at_server);
    zt_send (client, &name, "one", 3);
    CHECK_EQ (info_of (client, &name).msgs_sent, 1);
    CHECK_EQ (info_of (client, &numbered).msgs_sent, 0);
    CHECK_STR (info_of (client, &name).remote_addr, zt_endpoint (port));
    CHECK_EQ (zlink_socket_peer_count (client), 2);
    for (int i = 0; i < 2; i++) {
        CHECK_OK (zlink_socket_peer_routing_id (client, i, &id));
        CHECK (zt_same_id (&id, &name) || zt_same_id (&id, &numbered));
    }
    name.size--;
    CHECK_FAIL (zlink_socket_peer_info (client, &name, &info), EHOSTUNREACH);
    zt_close (client);
    zt_close (server);
    zt_term (ctx);
}

static void ipv6_peer (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx), *client = zt_socket (ctx);
    char endpoint[64];
    size_t size = sizeof endpoint;
    zlink_routing_id_t id;
    zlink_msg_t event;
    int port;

    zt_set_int (server, ZLINK_IPV6, 1);
    zt_set_int (client, ZLINK_IPV6, 1);
    if (zlink_bind (server, "tcp://[::1]:*") != 0) {
        zt_skip ("no IPv6 here (%s)", zlink_strerror (errno));
    } else {
        CHECK_OK (
          zlink_getsockopt (server, ZLINK_LAST_ENDPOINT, endpoint, &size));
        CHECK_OK (zlink_connect (client, endpoint));
        CHECK_OK (zlink_msg_init (&event));
        zt_recv_msg (server, &id, &event);
        CHECK_STR (zlink_msg_gets (&event, "Peer-Address"), "::1");
        CHECK_EQ (sscanf (info_of (server, &id).remote_addr, "tcp://[::1]:%d",
                          &port),
                  1);
        CHECK_OK (zlink_msg_close (&event));
        zt_expect_connect (client, &id);
        CHECK_STR (info_of (client, &id).remote_addr, endpoint);
    }
    zt_close (client);
    zt_close (server);
    zt_term (ctx);
}

static void errors (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    zlink_routing_id_t id = {4, {0, 0, 0, 1}}, empty = {0, {0}};
    zlink_peer_info_t info;
    size_t count = 1;

    CHECK_FAIL (zlink_socket_peer_info (s, &empty, &info), EINVAL);
    CHECK_FAIL (zlink_socket_peer_info (s, NULL, &info), EFAULT);
    CHECK_FAIL (zlink_socket_peer_info (s, &id, NULL), EFAULT);
    CHECK_FAIL (zlink_socket_peer_routing_id (s, 0, NULL), EFAULT);
    CHECK_FAIL (zlink_socket_peers (s, &info, NULL), EFAULT);
    for (int round = 0; round < 2; round++) {
        int code = round == 0 ? ETERM : ENOTSOCK;
        if (round == 0)
            CHECK_OK (zlink_ctx_shutdown (ctx));
        else
            zt_close (s);
        CHECK_FAIL (zlink_socket_peer_count (s), code);
        CHECK_FAIL (zlink_socket_peer_info (s, &id, &info), code);
        CHECK_FAIL (zlink_socket_peer_routing_id (s, 0, &id), code);
        CHECK_FAIL (zlink_socket_peers (s, &info, &count), code);
    }
    CHECK_FAIL (zlink_socket_peer_count (NULL), ENOTSOCK);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (nobody),
  ZT_CASE (counters),
  ZT_CASE (only_accepted_messages_count),
  ZT_CASE (both_ends_agree),
  ZT_CASE (address_and_time),
  ZT_CASE (lists),
  ZT_CASE (named_peers),
  ZT_CASE (ipv6_peer),
  ZT_CASE (errors),
};

ZT_MAIN (cases)
