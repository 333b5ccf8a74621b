/* SPDX-License-Identifier: MPL-2.0 */
/* The pings of a WebSocket server, and the end of peers that do not answer. */
#include "ztest.h"
#include "zfast.h"
#include "zmonitor.h"
#include "zws.h"

#include <stdio.h>
#include <sys/socket.h>

enum
{
    BUSY_MS = 300, /* that a thread may be kept from answering, many times over */
    TIMEOUT_MS = 6 * BUSY_MS
};

/* A client that answers pings in its way until its connection ends. */
typedef struct
{
    int fd;
    bool with_data; /* instead of pongs */
    atomic_int pings;
    pthread_t thread;
} answering_t;

static void *answer (void *arg)
{
    answering_t *a = arg;
    for (;;) {
        uint8_t head[2];
        ssize_t n = recv (a->fd, head, sizeof head, MSG_WAITALL);
        if (n != sizeof head || head[0] == (ZWS_FIN | ZWS_CLOSE)) /* the socket is closed */
            return NULL;
        CHECK_EQ (head[0], ZWS_FIN | ZWS_PING);
        CHECK_EQ (head[1], 0);
        if (a->with_data)
            zws_write_msg (a->fd, "here", 4);
        else
            zws_write (a->fd, ZWS_FIN | ZWS_PONG, NULL, 0);
        atomic_fetch_add (&a->pings, 1);
    }
}

static uint32_t client (zws_t *w, int *fd)
{
    *fd = zws_client (w->port, "/");
    return zt_fast_event (w->s, ZLINK_STREAM_CONNECTED);
}

/* Reads pings until the close frame. */
static void expect_given_up (int fd)
{
    zws_frame_t frame = zws_read (fd);
    while (frame.first == (ZWS_FIN | ZWS_PING)) {
        CHECK_EQ (frame.size, 0);
        free (frame.payload);
        frame = zws_read (fd);
    }
    CHECK_EQ (frame.first, ZWS_FIN | ZWS_CLOSE);
    CHECK (frame.size > 2); /* it says why */
    CHECK_EQ (frame.payload[0] << 8 | frame.payload[1], ZWS_INTERNAL_ERROR);
    free (frame.payload);
    zws_write_close (fd, ZWS_INTERNAL_ERROR);
    zt_expect_eof (fd);
    close (fd);
}

/* The disconnect event of peer, past data of others. */
static void expect_event_among_data (void *s, uint32_t peer)
{
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    do
        CHECK (zlink_msg_recv (&msg, s, 0) >= 0);
    while (zlink_msg_get (&msg, ZLINK_STREAM_EVENT)
           != ZLINK_STREAM_DISCONNECTED);
    CHECK_EQ (zlink_msg_routing_id (&msg), peer);
    CHECK_OK (zlink_msg_close (&msg));
}

/* Two silent peers are ended, one after the other, so two timeouts pass; those that
 * answer with a pong or with anything else stay. */
static void silent_peers_are_ended (void)
{
    zws_t w = zws_open_pinging (BUSY_MS, TIMEOUT_MS);
    answering_t pong = {.fd = w.other}, data = {.with_data = true};
    zlink_monitor_event_t e;
    int fd;

    client (&w, &data.fd);
    pong.thread = zt_thread (answer, &pong);
    data.thread = zt_thread (answer, &data);
    expect_given_up (w.fd);
    expect_event_among_data (w.s, w.peer);
    do
        CHECK_OK (zlink_monitor_recv (w.monitor, &e, 0));
    while (e.event != ZLINK_EVENT_DISCONNECTED);
    CHECK_EQ (e.value, ZLINK_DISCONNECT_TRANSPORT_ERROR);

    uint32_t peer;
    fd = zws_client (w.port, "/");
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    do
        CHECK (zlink_msg_recv (&msg, w.s, 0) >= 0);
    while (zlink_msg_get (&msg, ZLINK_STREAM_EVENT) != ZLINK_STREAM_CONNECTED);
    peer = zlink_msg_routing_id (&msg);
    CHECK_OK (zlink_msg_close (&msg));
    expect_given_up (fd);
    expect_event_among_data (w.s, peer);

    CHECK (atomic_load (&pong.pings) > 0 && atomic_load (&data.pings) > 0);
    ZT_UNTIL (zlink_socket_peer_count (w.s) == 2);
    zt_close (w.s);
    zt_close (w.monitor);
    zt_join (pong.thread); /* it has read the Close frame */
    zt_join (data.thread);
    close (pong.fd);
    close (data.fd);
    zt_term (w.ctx);
}

/* With HEARTBEAT_TIMEOUT 0 nobody has to answer. */
static void pings_without_end (void)
{
    zws_t w = zws_open_pinging (10, 0);
    for (int i = 0; i < 30; i++)
        zws_expect (w.fd, ZWS_FIN | ZWS_PING, "", 0);
    zws_write_msg (w.fd, "still here", 10);
    zt_fast_expect (w.s, w.peer, "still here", 10);
    ZT_UNTIL (zlink_socket_peer_count (w.s) == 2);
    close (w.fd);
    close (w.other);
    zt_close (w.s);
    zt_close (w.monitor);
    zt_term (w.ctx);
}

/* A ping is between messages, never inside one, whatever is queued. */
static void between_messages (void)
{
    enum
    {
        COUNT = 5, /* together less than STREAM_SEND_BYTES: all of it is queued */
        SIZE = 700000
    };
    zws_t w = zws_open_pinging (1, 0);
    uint8_t *body = malloc (SIZE);
    int pings = 0;

    CHECK (body != NULL);
    zt_fill (body, SIZE, 7);
    for (int i = 0; i < COUNT; i++)
        zt_fast_send (w.s, w.peer, body, SIZE);
    for (size_t bytes = 0; bytes < COUNT * (4 + (size_t) SIZE);) {
        zws_frame_t frame = zws_read (w.fd);
        CHECK (frame.first == (ZWS_FIN | ZWS_PING)
               || frame.first == (ZWS_FIN | ZWS_BINARY));
        if (frame.first == (ZWS_FIN | ZWS_BINARY)) {
            bytes += frame.size;
            CHECK_EQ (zt_get32 (frame.payload), SIZE);
            CHECK_EQ (frame.size % (4 + SIZE), 0);
        } else
            pings++;
        free (frame.payload);
    }
    while (pings == 0) {
        zws_expect (w.fd, ZWS_FIN | ZWS_PING, "", 0);
        pings++;
    }
    free (body);
    close (w.fd);
    close (w.other);
    zt_close (w.s);
    zt_close (w.monitor);
    zt_term (w.ctx);
}

/* A peer whose answers the application does not read is not given up for that. */
static void not_read (void)
{
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    uint32_t peer;

    zt_set_int (s, ZLINK_HEARTBEAT_IVL, BUSY_MS);
    zt_set_int (s, ZLINK_HEARTBEAT_TIMEOUT, BUSY_MS);
    zt_set_int (s, ZLINK_RCVHWM, 1);
    int fd = zws_client (zt_bind_to (s, "ws://127.0.0.1:*"), "/");
    for (int i = 0; i < 3; i++) { /* one is taken, and the socket is parked */
        zws_write_msg (fd, "message", 7);
        zws_write (fd, ZWS_FIN | ZWS_PONG, NULL, 0);
    }
    peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    zt_pause_ms (6 * BUSY_MS);
    zt_fast_send (s, peer, "answer", 6);
    zws_frame_t frame = zws_read (fd);
    while (frame.first == (ZWS_FIN | ZWS_PING)) {
        free (frame.payload);
        frame = zws_read (fd);
    }
    CHECK_EQ (frame.first, ZWS_FIN | ZWS_BINARY);
    free (frame.payload);
    close (fd);
    for (int i = 0; i < 3; i++)
        zt_fast_expect (s, peer, "message", 7);
    CHECK_EQ (zt_fast_event (s, ZLINK_STREAM_DISCONNECTED), peer);
    zt_close (s);
    zt_term (ctx);
}

/* It is the server that pings: who has dialled does not, and ends nobody. */
static void diallers_do_not (void)
{
    char header[ZWS_HEADER_CAP], accept_key[32];
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    int port, listener = zt_listen (&port);

    zt_set_int (s, ZLINK_HEARTBEAT_IVL, 10);
    zt_set_int (s, ZLINK_HEARTBEAT_TIMEOUT, 10);
    CHECK_OK (zlink_connect (s, zt_endpoint_of ("ws", port)));
    int fd = zt_accept (listener);
    zws_read_header (fd, header);
    websocket_accept (zws_field (header, "Sec-WebSocket-Key"), accept_key);
    char answer_text[256];
    int size = snprintf (answer_text, sizeof answer_text,
                         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                         accept_key);
    zt_write (fd, answer_text, (size_t) size);
    uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    zt_pause_ms (300);
    zt_fast_send (s, peer, "first", 5);
    zws_frame_t frame = zws_read (fd);
    CHECK_EQ (frame.first, ZWS_FIN | ZWS_BINARY);
    CHECK_EQ (frame.size, 9);
    free (frame.payload);
    close (fd);
    close (listener);
    zt_close (s);
    zt_term (ctx);
}

/* Peers come and go while they wait for their pings. */
static void come_and_go (void)
{
    enum
    {
        PEERS = 300
    };
    zws_t w = zws_open_pinging (20, 0);
    int fds[PEERS];

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < PEERS; i++)
            client (&w, &fds[i]);
        for (int i = 0; i < PEERS; i++) { /* some before their first ping */
            if (i % 3 == 0)
                zws_expect (fds[i], ZWS_FIN | ZWS_PING, "", 0);
            close (fds[i]);
        }
        for (int i = 0; i < PEERS; i++)
            zt_fast_event (w.s, ZLINK_STREAM_DISCONNECTED);
    }
    ZT_UNTIL (zlink_socket_peer_count (w.s) == 2);
    zws_expect (w.fd, ZWS_FIN | ZWS_PING, "", 0);
    close (w.fd);
    close (w.other);
    zt_close (w.s);
    zt_close (w.monitor);
    zt_term (w.ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (silent_peers_are_ended),
  ZT_CASE (pings_without_end),
  ZT_CASE (between_messages),
  ZT_CASE (not_read),
  ZT_CASE (diallers_do_not),
  ZT_CASE (come_and_go),
};

ZT_MAIN (cases)
