/* SPDX-License-Identifier: MPL-2.0 */
/* One port for tcp, tls, ws and wss, with openssl as the client of those with TLS. */
#include "ztest.h"
#include "zfast.h"
#include "zmonitor.h"
#include "zws.h"
#include "ztls.h"

#include <stdio.h>

static const char *const versions[] = {"-tls1_2", "-tls1_3"};

static void expect_transport (void *s, uint32_t peer, const char *name)
{
    char text[16];
    CHECK (zlink_stream_peer_gets (s, peer, "Transport", text, sizeof text) > 0);
    CHECK_STR (text, name);
}

static void *any_socket (void *ctx, int *port)
{
    void *s = zt_fast_socket (ctx);
    zt_set_cert (s, "server");
    *port = zt_bind_to (s, "any://127.0.0.1:*/chat");
    return s;
}

static void four_on_one_port (void)
{
    int port;
    void *ctx = zt_ctx (), *s = any_socket (ctx, &port);
    for (int i = 0; i < 2; i++) {
        char header[ZWS_HEADER_CAP];
        zt_child_t tls = zt_s_client (port, versions[i], NULL);
        zt_write_frame (tls.fd, "hello", 5);
        uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
        zt_fast_expect (s, peer, "hello", 5);
        expect_transport (s, peer, "tls");
        zt_expect_exchange (s, peer, tls.fd);

        zt_child_t wss = zt_s_client (port, versions[i], NULL);
        const char *request = zws_request ("/chat");
        zt_write (wss.fd, request, strlen (request));
        zws_read_header (wss.fd, header);
        CHECK (strncmp (header, "HTTP/1.1 101 ", 13) == 0);
        uint32_t web = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
        expect_transport (s, web, "wss");
        zws_write_msg (wss.fd, "hi", 2);
        zt_fast_expect (s, web, "hi", 2);
        zt_fast_send (s, web, "ho", 2);
        zws_expect_msg (wss.fd, "ho", 2);

        int fd = zt_client (port);
        zt_write_frame (fd, "raw", 3);
        uint32_t raw = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
        zt_fast_expect (s, raw, "raw", 3);
        expect_transport (s, raw, "tcp");
        close (fd);
        CHECK_EQ (zt_fast_event (s, ZLINK_STREAM_DISCONNECTED), raw);
        fd = zws_client (port, "/chat");
        uint32_t plain = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
        expect_transport (s, plain, "ws");
        close (fd);
        CHECK_EQ (zt_fast_event (s, ZLINK_STREAM_DISCONNECTED), plain);

        CHECK_EQ (zt_finish (&tls), 0);
        CHECK_EQ (zt_fast_event (s, ZLINK_STREAM_DISCONNECTED), peer);
        zt_kill (&wss);
        CHECK_EQ (zt_fast_event (s, ZLINK_STREAM_DISCONNECTED), web);
    }
    zt_close (s);
    zt_term (ctx);
}

/* Sockets of this library connect with each transport. */
static void sockets_connect (void)
{
    static const char *const schemes[] = {"tcp", "tls", "ws", "wss"};
    int port;
    void *ctx = zt_ctx (), *s = any_socket (ctx, &port);
    for (int i = 0; i < 4; i++) {
        char endpoint[64];
        void *client = zt_fast_socket (ctx);
        zt_set_text (client, ZLINK_TLS_CA, zt_cert ("ca.pem"));
        snprintf (endpoint, sizeof endpoint, "%s://127.0.0.1:%d%s", schemes[i], port, i < 2 ? "" : "/chat");
        CHECK_OK (zlink_connect (client, endpoint));
        uint32_t server = zt_fast_event (client, ZLINK_STREAM_CONNECTED);
        zt_fast_send (client, server, "hello", 5);
        uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
        zt_fast_expect (s, peer, "hello", 5);
        expect_transport (s, peer, schemes[i]);
        zt_fast_send (s, peer, "back", 4);
        zt_fast_expect (client, server, "back", 4);
        zt_close (client);
        CHECK_EQ (zt_fast_event (s, ZLINK_STREAM_DISCONNECTED), peer);
    }
    zt_close (s);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (four_on_one_port),
  ZT_CASE (sockets_connect),
};

int main (int argc, char **argv)
{
    if (!zt_has_program ("openssl"))
        return SKIPPED;
    return zt_main (argc, argv, cases, sizeof cases / sizeof *cases);
}
