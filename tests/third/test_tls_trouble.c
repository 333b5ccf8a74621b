/* SPDX-License-Identifier: MPL-2.0 */
/* Clients that a tls server has to get rid of, and nobody else notices. */
#include "ztest.h"
#include "zfast.h"
#include "zmonitor.h"
#include "zws.h"
#include "ztls.h"

#include <stdio.h>
#include <sys/socket.h>

#define PROTOCOL ZLINK_EVENT_HANDSHAKE_FAILED_PROTOCOL
#define NO_DETAIL ZLINK_EVENT_HANDSHAKE_FAILED_NO_DETAIL

static void expect_served (ztls_t *t, zt_child_t client)
{
    uint32_t peer = ztls_expect_up (t);
    zt_expect_exchange (t->s, peer, client.fd);
    CHECK_EQ (zt_finish (&client), 0);
    ztls_expect_down (t, peer);
}

/* -------------------------------------------------------------- wrong bytes */

/* The client is told, or at least cut. */
static void drain (int fd)
{
    char bytes[256];
    while (read (fd, bytes, sizeof bytes) > 0) {
    }
    close (fd);
}

static void plain_bytes (void)
{
    static const char *const openings[] = {"\0\0\0\5hello", "GET / HTTP/1.1\r\n",
                                           "\x16\x03\x01\xFF\xFF..."};
    static const size_t sizes[] = {9, 16, 8};
    ztls_t t = ztls_open ();
    for (int i = 0; i < 3; i++) {
        int fd = zt_client (t.port);
        zt_write (fd, openings[i], sizes[i]);
        drain (fd);
        ztls_expect_failed (&t, PROTOCOL,
                            ZLINK_PROTOCOL_ERROR_ZMP_CRYPTOGRAPHIC);
    }
    ztls_end (&t);
}

/* The start of a real handshake, then nonsense. */
static void broken_handshake (void)
{
    ztls_t t = ztls_open ();
    char command[64];
    uint8_t hello[2048];
    int port, listener = zt_listen (&port);
    snprintf (command, sizeof command, "127.0.0.1:%d", port);
    zt_child_t client = zt_spawn (
      ZT_ARGV ("openssl", "s_client", "-quiet", "-connect", command));
    int from = zt_accept (listener);
    ssize_t size = recv (from, hello, sizeof hello, 0);
    CHECK (size > 100);
    zt_kill (&client);
    close (from);
    close (listener);
    int fd = zt_client (t.port);
    zt_write (fd, hello, (size_t) size);
    zt_write (fd, "what comes now is no TLS record", 31);
    drain (fd);
    ztls_expect_failed (&t, PROTOCOL, ZLINK_PROTOCOL_ERROR_ZMP_CRYPTOGRAPHIC);

    /* And one that goes in the middle. */
    fd = zt_client (t.port);
    zt_write (fd, hello, (size_t) size / 2);
    close (fd);
    ztls_expect_failed (&t, NO_DETAIL, 0);
    fd = zt_client (t.port);
    zt_write (fd, hello, (size_t) size / 2);
    zt_reset (fd);
    ztls_expect_failed (&t, NO_DETAIL, 0);
    ztls_end (&t);
}

/* Versions below 1.2 are refused. */
static void old_version (void)
{
    ztls_t t = ztls_open ();
    zt_child_t client = zt_s_client (t.port, "-tls1_1", "-cipher",
                                     "DEFAULT:@SECLEVEL=0", NULL);
    ztls_expect_failed (&t, PROTOCOL, ZLINK_PROTOCOL_ERROR_ZMP_CRYPTOGRAPHIC);
    CHECK (zt_finish (&client) != 0);
    ztls_end (&t);
}

/* A record that was changed on its way ends an established connection, and no
 * other. */
static void broken_record (void)
{
    ztls_t t = ztls_open ();
    char address[32];
    uint8_t bytes[8192];
    int port, listener = zt_listen (&port);
    snprintf (address, sizeof address, "127.0.0.1:%d", port);
    zt_child_t client = zt_spawn (
      ZT_ARGV ("openssl", "s_client", "-quiet", "-tls1_2", "-connect", address));
    int left = zt_accept (listener), right = zt_client (t.port);
    /* Pass two rounds of the handshake on. */
    for (int round = 0; round < 2; round++) {
        ssize_t n = recv (left, bytes, sizeof bytes, 0);
        CHECK (n > 0);
        zt_write (right, bytes, (size_t) n);
        n = recv (right, bytes, sizeof bytes, 0);
        CHECK (n > 0);
        zt_write (left, bytes, (size_t) n);
    }
    uint32_t peer = ztls_expect_up (&t);
    zt_write_frame (client.fd, "hello", 5);
    ssize_t n = recv (left, bytes, sizeof bytes, 0);
    CHECK (n > 9);
    bytes[n - 1] ^= 1;
    zt_write (right, bytes, (size_t) n);
    CHECK_EQ (zt_fast_event (t.s, ZLINK_STREAM_DISCONNECTED), peer);
    zt_event_value (t.monitor, ZLINK_EVENT_DISCONNECTED,
                    ZLINK_DISCONNECT_TRANSPORT_ERROR);
    drain (right);
    close (left);
    close (listener);
    zt_kill (&client);
    ztls_end (&t);
}

/* s_client to a tcp port: with MAXMSGSIZE its first bytes are a length that is
 * too long. */
static void tls_to_a_plain_port (void)
{
    int64_t limit = 1 << 20;
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    CHECK_OK (zlink_setsockopt (s, ZLINK_MAXMSGSIZE, &limit, sizeof limit));
    int port = zt_bind (s), fd = zt_client (port);
    uint32_t other = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    zt_child_t client = zt_s_client (port, NULL);
    uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    CHECK_EQ (zt_fast_event (s, ZLINK_STREAM_DISCONNECTED), peer);
    CHECK (zt_finish (&client) != 0);
    zt_expect_exchange (s, other, fd);
    close (fd);
    zt_close (s);
    zt_term (ctx);
}

/* --------------------------------------------------------------------- time */

static void silent_client_is_cut (void)
{
    ztls_t t = ztls_open ();
    zt_set_int (t.s, ZLINK_HANDSHAKE_IVL, 150);
    int port = zt_bind_to (t.s, "tls://127.0.0.1:*");
    double start = zt_now_ms ();
    int fd = zt_client (port);
    drain (fd);
    CHECK_WAITED (start, 140);
    ztls_expect_failed (&t, NO_DETAIL, ETIMEDOUT);
    ztls_end (&t);
}

/* A thousand of them do not stop the one that talks, nor new ones. */
static void many_silent_clients (void)
{
    enum
    {
        count = 1000 / ZT_SCALE
    };
    static int fds[count];
    ztls_t t = ztls_open ();
    zt_raise_nofile ();
    for (int i = 0; i < count; i++) {
        fds[i] = zt_client (t.port);
        zt_event (t.monitor, ZLINK_EVENT_ACCEPTED);
    }
    for (int i = 0; i < 20; i++)
        zt_expect_exchange (t.s, t.other_peer, t.other.fd);
    expect_served (&t, zt_s_client (t.port, NULL));
    ZT_UNTIL (zlink_socket_peer_count (t.s) == 1); /* the one served has gone */
    for (int i = 0; i < count; i++)
        close (fds[i]);
    for (int i = 0; i < 2 * count; i++) {
        zlink_monitor_event_t e;
        CHECK_OK (zlink_monitor_recv (t.monitor, &e, 0));
        CHECK (e.event == NO_DETAIL || e.event == ZLINK_EVENT_DISCONNECTED);
    }
    ztls_end (&t);
}

/* Sockets close under them, too. */
static void closed_among_silent_clients (void)
{
    enum
    {
        count = 50
    };
    int fds[count];
    ztls_t t = ztls_open ();
    for (int i = 0; i < count; i++) {
        fds[i] = zt_client (t.port);
        zt_event (t.monitor, ZLINK_EVENT_ACCEPTED);
    }
    zt_close (t.s);
    zt_close (t.monitor);
    zt_term (t.ctx);
    for (int i = 0; i < count; i++)
        drain (fds[i]);
    zt_finish (&t.other);
}

static const zt_case_t cases[] = {
  ZT_CASE (plain_bytes),
  ZT_CASE (broken_handshake),
  ZT_CASE (old_version),
  ZT_CASE (broken_record),
  ZT_CASE (tls_to_a_plain_port),
  ZT_CASE (silent_client_is_cut),
  ZT_CASE (many_silent_clients),
  ZT_CASE (closed_among_silent_clients),
};

int main (int argc, char **argv)
{
    if (!zt_has_program ("openssl"))
        return SKIPPED;
    return zt_main (argc, argv, cases, sizeof cases / sizeof *cases);
}
