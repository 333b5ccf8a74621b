/* SPDX-License-Identifier: MPL-2.0 */
/* One port for tcp and ws, which the first byte of each client tells apart. Those of TLS have openssl as
 * the client: tests/third. */
#include "ztest.h"
#include "zfast.h"
#include "zmonitor.h"
#include "zws.h"

#include <stdio.h>
#include <sys/socket.h>

#define SILENT 1000

typedef struct any_t
{
    void *ctx, *s;
    int port;
} any_t;

static any_t any_open (void)
{
    any_t a = {.ctx = zt_ctx ()};
    a.s = zt_fast_socket (a.ctx);
    a.port = zt_bind_to (a.s, "any://127.0.0.1:*/chat");
    return a;
}

static void any_end (any_t *a)
{
    zt_fast_silence (a->s, 0);
    zt_close (a->s);
    zt_term (a->ctx);
}

static void expect_transport (void *s, uint32_t peer, const char *name)
{
    char text[16];
    CHECK (zlink_stream_peer_gets (s, peer, "Transport", text, sizeof text) > 0);
    CHECK_STR (text, name);
}

/* A client of tcp, which has to speak first. */
static uint32_t raw_client (any_t *a, int *fd)
{
    *fd = zt_client (a->port);
    zt_write_frame (*fd, "hello", 5);
    uint32_t peer = zt_fast_event (a->s, ZLINK_STREAM_CONNECTED);
    zt_fast_expect (a->s, peer, "hello", 5);
    return peer;
}

static void leave (any_t *a, uint32_t peer, int fd)
{
    close (fd);
    CHECK_EQ (zt_fast_event (a->s, ZLINK_STREAM_DISCONNECTED), peer);
}

/* A client of tcp comes, is heard, and goes. */
static void expect_served (any_t *a)
{
    int fd;
    uint32_t peer = raw_client (a, &fd);
    leave (a, peer, fd);
}

static void both_on_one_port (void)
{
    any_t a = any_open ();
    int raw, web;
    uint32_t first = raw_client (&a, &raw);
    web = zws_client (a.port, "/chat");
    uint32_t second = zt_fast_event (a.s, ZLINK_STREAM_CONNECTED);
    zws_write_msg (web, "hi", 2);
    zt_fast_expect (a.s, second, "hi", 2);
    expect_transport (a.s, first, "tcp");
    expect_transport (a.s, second, "ws");
    zt_fast_send (a.s, first, "one", 3);
    zt_fast_send (a.s, second, "two", 3);
    zws_expect_msg (web, "two", 3);
    char body[8];
    CHECK_EQ (zt_read_frame (raw, body, sizeof body), 3);
    CHECK_MEM (body, "one", 3);
    leave (&a, first, raw);
    leave (&a, second, web);
    any_end (&a);
}

/* Each byte of a client comes by itself. */
static void byte_by_byte (void)
{
    any_t a = any_open ();
    const char *request = zws_request ("/chat");
    char header[ZWS_HEADER_CAP];
    int fd = zt_client (a.port);
    for (size_t i = 0; i < 9; i++)
        zt_write (fd, &"\0\0\0\5hello"[i], 1);
    uint32_t peer = zt_fast_event (a.s, ZLINK_STREAM_CONNECTED);
    zt_fast_expect (a.s, peer, "hello", 5);
    leave (&a, peer, fd);
    fd = zt_client (a.port);
    for (size_t i = 0; request[i]; i++)
        zt_write (fd, request + i, 1);
    zws_read_header (fd, header);
    CHECK (strncmp (header, "HTTP/1.1 101 ", 13) == 0);
    leave (&a, zt_fast_event (a.s, ZLINK_STREAM_CONNECTED), fd);
    any_end (&a);
}

/* Who says something else, or nothing, is no peer; monitors hear of it. */
static void neither (void)
{
    static const char *const words[] = {"\x01", "\x7F", "hello", "\x16\x03\x01"};
    any_t a = any_open ();
    void *monitor = zt_monitor (a.s, ZLINK_EVENT_ACCEPTED | ZLINK_EVENT_HANDSHAKE_FAILED_NO_DETAIL
                                       | ZLINK_EVENT_HANDSHAKE_FAILED_PROTOCOL);
    for (int i = 0; i < 4; i++) {
        int fd = zt_client (a.port);
        zt_write (fd, words[i], strlen (words[i]));
        zlink_monitor_event_t up = zt_event (monitor, ZLINK_EVENT_ACCEPTED);
        CHECK (strncmp (up.local_addr, "any://127.0.0.1:", 16) == 0);
        zt_event (monitor, ZLINK_EVENT_HANDSHAKE_FAILED_PROTOCOL);
        printf ("%s\n", zlink_error_detail ());
        CHECK (strstr (zlink_error_detail (), i < 3 ? "the first byte" : "TLS_CERT") != NULL);
        close (fd);
    }
    int gone = zt_client (a.port);
    close (gone);
    zt_event (monitor, ZLINK_EVENT_ACCEPTED);
    zt_event_value (monitor, ZLINK_EVENT_HANDSHAKE_FAILED_NO_DETAIL, ECONNRESET);
    expect_served (&a);
    zt_close (monitor);
    any_end (&a);
}

/* Many who say nothing hold nobody up, and each may still speak. */
static void silent_clients (void)
{
    static int fds[SILENT];
    any_t a = any_open ();
    for (int i = 0; i < SILENT; i++)
        fds[i] = zt_client (a.port);
    expect_served (&a);
    int fd = zws_client (a.port, "/chat");
    leave (&a, zt_fast_event (a.s, ZLINK_STREAM_CONNECTED), fd);
    zlink_stream_stats_t stats = {.size = sizeof stats};
    CHECK_OK (zlink_stream_stats (a.s, &stats));
    CHECK (stats.memory < SILENT * 1500);
    for (int i = 0; i < SILENT; i += 100) {
        zt_write_frame (fds[i], "late", 4);
        uint32_t peer = zt_fast_event (a.s, ZLINK_STREAM_CONNECTED);
        zt_fast_expect (a.s, peer, "late", 4);
    }
    zt_close (a.s);
    zt_expect_eof (fds[1]);
    for (int i = 0; i < SILENT; i++)
        close (fds[i]);
    zt_term (a.ctx);
}

static void only_for_binds (void)
{
    any_t a = any_open ();
    char endpoint[64];
    size_t size = sizeof endpoint;
    CHECK_FAIL (zlink_connect (a.s, "any://127.0.0.1:5555"), ENOCOMPATPROTO);
    CHECK (strstr (zlink_error_detail (), "any:// is for a bind") != NULL);
    CHECK_FAIL (zlink_bind (a.s, "any://127.0.0.1"), EINVAL);
    CHECK_OK (zlink_getsockopt (a.s, ZLINK_LAST_ENDPOINT, endpoint, &size));
    CHECK (strncmp (endpoint, "any://127.0.0.1:", 16) == 0);
    CHECK_OK (zlink_unbind (a.s, endpoint));
    CHECK_FAIL (zlink_unbind (a.s, endpoint), ENOENT);
    CHECK_EQ (zlink_has ("any"), 1);
    any_end (&a);
}

static const zt_case_t cases[] = {
  ZT_CASE (both_on_one_port),
  ZT_CASE (byte_by_byte),
  ZT_CASE (neither),
  ZT_CASE (silent_clients),
  ZT_CASE (only_for_binds),
};

ZT_MAIN (cases)
