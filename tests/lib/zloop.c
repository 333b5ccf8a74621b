/* SPDX-License-Identifier: MPL-2.0 */
#include "zloop.h"

#define CLIENTS (int) (sizeof ((zt_loop_t *) 0)->clients / sizeof (pthread_t))
#define BODY_BYTES 100

typedef struct client_t
{
    int port;
    int messages;
    uint32_t seed;
} client_t;

static void *ping (void *arg)
{
    client_t *c = arg;
    uint8_t body[BODY_BYTES], back[BODY_BYTES];
    int fd = zt_client (c->port);
    for (int i = 0; i < c->messages; i++) {
        zt_fill (body, sizeof body, c->seed + (uint32_t) i);
        zt_write_frame (fd, body, sizeof body);
        CHECK_EQ (zt_read_frame (fd, back, sizeof back), sizeof body);
        CHECK_MEM (back, body, sizeof body);
    }
    close (fd);
    free (c);
    return NULL;
}

void zt_loop_start (zt_loop_t *loop, void *ctx, int messages)
{
    memset (loop, 0, sizeof *loop);
    loop->server = zt_socket (ctx);
    loop->port = zt_bind (loop->server);
    loop->fd = zt_get_int (loop->server, ZLINK_FD);
    for (int i = 0; i < CLIENTS; i++) {
        client_t *c = malloc (sizeof *c);
        *c = (client_t) {loop->port, messages / CLIENTS,
                         (uint32_t) i * 1000003u};
        loop->expected += c->messages;
        loop->clients[i] = zt_thread (ping, c);
    }
}

static void echo_one (zt_loop_t *loop)
{
    zlink_routing_id_t id;
    uint8_t body[BODY_BYTES];
    size_t size = zt_recv (loop->server, &id, body, sizeof body);
    if (size != BODY_BYTES)
        return; /* an event */
    zt_send (loop->server, &id, body, size);
    loop->echoed++;
}

bool zt_loop_ready (zt_loop_t *loop, int limit)
{
    for (int taken = 0; limit == 0 || taken < limit; taken++) {
        if (!(zt_get_int (loop->server, ZLINK_EVENTS) & ZLINK_POLLIN))
            break;
        echo_one (loop);
    }
    return loop->echoed == loop->expected;
}

void zt_loop_stop (zt_loop_t *loop)
{
    for (int i = 0; i < CLIENTS; i++)
        zt_join (loop->clients[i]);
    zt_close (loop->server);
}
