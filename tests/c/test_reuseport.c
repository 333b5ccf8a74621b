/* SPDX-License-Identifier: MPL-2.0 */
/* STREAM_REUSEPORT: several sockets listen on one port. */
#include "ztest.h"
#include "zfast.h"

#include <stdio.h>

#define CLIENTS 64

static void *shared_socket (void *ctx)
{
    void *s = zt_fast_socket (ctx);
    zt_set_int (s, ZLINK_STREAM_REUSEPORT, 1);
    return s;
}

/* The number of connect events that wait. */
static int arrived (void *s)
{
    zlink_msg_t msg;
    int n = 0;
    CHECK_OK (zlink_msg_init (&msg));
    while (zlink_msg_recv (&msg, s, ZLINK_DONTWAIT) >= 0)
        n += zlink_msg_get (&msg, ZLINK_STREAM_EVENT) == ZLINK_STREAM_CONNECTED;
    CHECK_OK (zlink_msg_close (&msg));
    return n;
}

/* The first bind chooses the port. Each of the sockets, of two contexts, gets some of the clients, and all are served. */
static void one_port_of_several (void)
{
    void *ctx[2] = {zt_ctx (), zt_ctx ()}, *s[3];
    int clients[CLIENTS], came[3] = {0}, port = 0;

    for (int i = 0; i < 3; i++) {
        s[i] = shared_socket (ctx[i % 2]);
        if (i == 0)
            port = zt_bind (s[0]);
        else
            CHECK_OK (zlink_bind (s[i], zt_endpoint (port)));
    }
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = zt_client (port);
    ZT_UNTIL ((came[0] += arrived (s[0]), came[1] += arrived (s[1]), came[2] += arrived (s[2]),
               came[0] + came[1] + came[2] == CLIENTS));
    for (int i = 0; i < 3; i++)
        CHECK (came[i] > 0);
    /* The others serve when one has left; what it has stays. */
    CHECK_OK (zlink_unbind (s[0], zt_endpoint (port)));
    close (zt_client (port));
    zt_close (s[0]);
    CHECK_OK (zlink_unbind (s[1], zt_endpoint (port)));
    close (zt_client (port));
    zt_fast_event (s[2], ZLINK_STREAM_CONNECTED);
    for (int i = 0; i < CLIENTS; i++)
        close (clients[i]);
    zt_close (s[1]);
    zt_close (s[2]);
    zt_term (ctx[0]);
    zt_term (ctx[1]);
}

static void each_transport (void)
{
    static const char *const names[] = {"tcp", "ws", "any"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *ctx = zt_ctx (), *one = shared_socket (ctx), *two = shared_socket (ctx);
        char text[64];
        size_t size = sizeof text;
        snprintf (text, sizeof text, "%s://127.0.0.1:*", names[i]);
        CHECK_OK (zlink_bind (one, text));
        CHECK_OK (zlink_getsockopt (one, ZLINK_LAST_ENDPOINT, text, &size));
        CHECK_OK (zlink_bind (two, text));
        zt_close (one);
        zt_close (two);
        zt_term (ctx);
    }
}

static void refused (void)
{
    void *ctx = zt_ctx (), *shared = shared_socket (ctx), *other = zt_fast_socket (ctx);
    int port = zt_bind (shared);
    CHECK_FAIL (zlink_bind (other, zt_endpoint (port)), EADDRINUSE);
    int alone = zt_bind (other);
    CHECK_FAIL (zlink_bind (shared, zt_endpoint (alone)), EADDRINUSE);
    CHECK_FAIL (zlink_bind (shared, "ipc://@zlink-reuseport"), EINVAL);
    CHECK (strstr (zlink_error_detail (), "STREAM_REUSEPORT") != NULL);
    zt_close (shared);
    zt_close (other);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (one_port_of_several),
  ZT_CASE (each_transport),
  ZT_CASE (refused),
};

int main (int argc, char **argv)
{
    return zt_main (argc, argv, cases, sizeof cases / sizeof *cases);
}
