/* SPDX-License-Identifier: MPL-2.0 */
/* The STREAM side of the harness. */
#include "ztest.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

void *zt_ctx (void)
{
    void *ctx = zlink_ctx_new ();
    CHECK (ctx != NULL);
    return ctx;
}

void *zt_socket (void *ctx)
{
    void *s = zlink_socket (ctx, ZLINK_STREAM);
    CHECK (s != NULL);
    return s;
}

void zt_set_int (void *s, int option, int value)
{
    CHECK_OK (zlink_setsockopt (s, option, &value, sizeof value));
}

int zt_get_int (void *s, int option)
{
    int value = -12345;
    size_t size = sizeof value;
    CHECK_OK (zlink_getsockopt (s, option, &value, &size));
    CHECK_EQ (size, sizeof value);
    return value;
}

void zt_close (void *s)
{
    CHECK_OK (zlink_close (s));
}

void zt_term (void *ctx)
{
    CHECK_OK (zlink_ctx_term (ctx));
}

int zt_bind (void *s)
{
    char endpoint[64];
    size_t size = sizeof endpoint;
    int port = 0;
    CHECK_OK (zlink_bind (s, "tcp://127.0.0.1:*"));
    CHECK_OK (zlink_getsockopt (s, ZLINK_LAST_ENDPOINT, endpoint, &size));
    CHECK_EQ (size, strlen (endpoint) + 1);
    CHECK_EQ (sscanf (endpoint, "tcp://127.0.0.1:%d", &port), 1);
    CHECK_RANGE (port, 1, 65535);
    return port;
}

void zt_connect (void *s, int port)
{
    CHECK_OK (zlink_connect (s, zt_endpoint (port)));
}

const char *zt_endpoint (int port)
{
    static _Thread_local char text[32];
    snprintf (text, sizeof text, "tcp://127.0.0.1:%d", port);
    return text;
}

/* The first of the ports that the kernel hands out by itself. */
static int first_ephemeral_port (void)
{
    int first;
    FILE *file = fopen ("/proc/sys/net/ipv4/ip_local_port_range", "r");
    CHECK (file != NULL);
    CHECK_EQ (fscanf (file, "%d", &first), 1);
    fclose (file);
    return first;
}

static bool can_bind (int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons ((uint16_t) port)};
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    at.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    bool bound = bind (fd, (struct sockaddr *) &at, sizeof at) == 0;
    close (fd);
    return bound;
}

/* Below those that the kernel hands out, where no other program's socket comes upon
 * the port meanwhile. Processes that run at the same time begin at different places. */
int zt_free_port (void)
{
    enum
    {
        lowest = 10000,
        step = 61
    };
    static atomic_uint next;
    const unsigned count = (unsigned) (first_ephemeral_port () - lowest);
    CHECK (first_ephemeral_port () > lowest + step);
    for (;;) {
        unsigned at = (unsigned) getpid () * step + atomic_fetch_add (&next, 1);
        int port = lowest + (int) (at % count);
        if (can_bind (port))
            return port;
    }
}

bool zt_same_id (const zlink_routing_id_t *a, const zlink_routing_id_t *b)
{
    return a->size == b->size && memcmp (a->data, b->data, a->size) == 0;
}

uint32_t zt_id_number (const zlink_routing_id_t *id)
{
    CHECK_EQ (id->size, 4);
    return zt_get32 (id->data);
}

static void recv_id (void *s, zlink_routing_id_t *id)
{
    int size = zlink_recv (s, id->data, sizeof id->data, 0);
    CHECK_RANGE (size, 1, 255);
    id->size = (uint8_t) size;
    CHECK_EQ (zt_get_int (s, ZLINK_RCVMORE), 1);
}

size_t zt_recv (void *s, zlink_routing_id_t *id, void *body, size_t cap)
{
    recv_id (s, id);
    int size = zlink_recv (s, body, cap, 0);
    CHECK_RANGE (size, 0, (double) cap);
    CHECK_EQ (zt_get_int (s, ZLINK_RCVMORE), 0);
    return (size_t) size;
}

void zt_recv_msg (void *s, zlink_routing_id_t *id, zlink_msg_t *body)
{
    recv_id (s, id);
    int size = zlink_msg_recv (body, s, 0);
    CHECK (size >= 0);
    CHECK_EQ (size, zlink_msg_size (body));
    CHECK_EQ (zlink_msg_more (body), 0);
    CHECK_EQ (zt_get_int (s, ZLINK_RCVMORE), 0);
}

void zt_expect (void *s, const zlink_routing_id_t *id, const void *body,
                size_t size)
{
    zlink_routing_id_t from;
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    zt_recv_msg (s, &from, &msg);
    CHECK (zt_same_id (&from, id));
    CHECK_EQ (zlink_msg_size (&msg), size);
    CHECK_MEM (zlink_msg_data (&msg), body, size);
    CHECK_OK (zlink_msg_close (&msg));
}

void zt_expect_connect (void *s, zlink_routing_id_t *id)
{
    uint8_t body[16];
    CHECK_EQ (zt_recv (s, id, body, sizeof body), 1);
    CHECK_EQ (body[0], ZT_EVENT_CONNECT);
}

void zt_expect_disconnect (void *s, const zlink_routing_id_t *id)
{
    static const uint8_t event = ZT_EVENT_DISCONNECT;
    zt_expect (s, id, &event, 1);
}

void zt_expect_silence (void *s, int ms)
{
    zlink_pollitem_t item = {s, 0, ZLINK_POLLIN, 0};
    uint8_t frame[16];
    CHECK_EQ (zlink_poll (&item, 1, ms), 0);
    CHECK_FAIL (zlink_recv (s, frame, sizeof frame, ZLINK_DONTWAIT), EAGAIN);
}

void zt_send (void *s, const zlink_routing_id_t *id, const void *body,
              size_t size)
{
    CHECK_EQ (zlink_send (s, id->data, id->size, ZLINK_SNDMORE), id->size);
    CHECK_EQ (zlink_send (s, body, size, 0), size);
}

bool zt_try_send (void *s, const zlink_routing_id_t *id, const void *body,
                  size_t size, int flags)
{
    int rc = zlink_send (s, id->data, id->size, flags | ZLINK_SNDMORE);
    if (rc == -1)
        return false;
    CHECK_EQ (rc, id->size);
    rc = zlink_send (s, body, size, flags);
    if (rc == -1)
        return false;
    CHECK_EQ (rc, size);
    return true;
}

static bool echo_failure_expected (void)
{
    return errno == ETERM || errno == EHOSTUNREACH;
}

void *zt_echo (void *s)
{
    zlink_msg_t id, body;
    CHECK_OK (zlink_msg_init (&id));
    CHECK_OK (zlink_msg_init (&body));
    while (zlink_msg_recv (&id, s, 0) != -1) {
        CHECK_EQ (zlink_msg_more (&id), 1);
        if (zlink_msg_recv (&body, s, 0) == -1)
            break;
        if (zlink_msg_size (&body) == 1)
            continue;
        if (zlink_msg_send (&id, s, ZLINK_SNDMORE) == -1
            || zlink_msg_send (&body, s, 0) == -1)
            CHECK (echo_failure_expected ());
    }
    CHECK_EQ (errno, ETERM);
    CHECK_OK (zlink_msg_close (&id));
    CHECK_OK (zlink_msg_close (&body));
    zt_close (s);
    return NULL;
}

void zt_unbounded (void *s)
{
    const int64_t none = 0;
    zt_set_int (s, ZLINK_STREAM_SEND_BYTES, 0);
    CHECK_OK (zlink_setsockopt (s, ZLINK_STREAM_SEND_BYTES_TOTAL, &none, sizeof none));
}

zt_pair_t zt_pair_begin (void)
{
    zt_pair_t p = {.ctx = zt_ctx ()};
    p.server = zt_socket (p.ctx);
    return p;
}

void zt_pair_join (zt_pair_t *p, int (*client) (int port))
{
    p->port = zt_bind (p->server);
    p->fd = client (p->port);
    zt_expect_connect (p->server, &p->id);
}

zt_pair_t zt_pair (void)
{
    zt_pair_t p = zt_pair_begin ();
    zt_pair_join (&p, zt_client);
    return p;
}

void zt_pair_end (zt_pair_t *p)
{
    close (p->fd);
    zt_close (p->server);
    zt_term (p->ctx);
}
