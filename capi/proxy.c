/* SPDX-License-Identifier: MPL-2.0 */
/*
 * zlink_proxy and zlink_proxy_steerable. They use only public calls, and pass frames from
 * one socket to the other unchanged. doc/api/proxy.md says what that means for STREAM
 * sockets.
 */
#include <string.h>

#include "internal.h"
#include "zlink.h"

/* One direction, with the numbers that zlink_proxy_steerable reports of it. */
typedef struct side
{
    uint64_t msgs_in; /* whole messages: a routing id and a body */
    uint64_t bytes_in;
    uint64_t msgs_out;
    uint64_t bytes_out;
} side;

typedef enum state
{
    RUNNING,
    PAUSED,
    ENDED
} state;

/* Sends one frame on. If the peer does not exist, only the message is lost. Returns 1: sent,
 * 0: not sent, -1: the proxy ends. */
static int pass_frame (zlink_msg_t *frame, void *to, int more)
{
    if (zlink_msg_send (frame, to, more ? ZLINK_SNDMORE : 0) >= 0)
        return 1;
    return errno == EHOSTUNREACH || errno == EINVAL ? 0 : -1;
}

static int copy_to (zlink_msg_t *frame, void *capture, int more)
{
    zlink_msg_t copy;
    if (!capture)
        return 0;
    zlink_msg_init (&copy);
    int result = zlink_msg_copy (&copy, frame);
    if (result == 0)
        result = pass_frame (&copy, capture, more);
    zlink_msg_close (&copy);
    return result < 0 ? -1 : 0;
}

/* Passes one message on if there is one: 1, 0, or -1 with errno. */
static int forward_message (void *from, void *to, void *capture, side *in, side *out)
{
    zlink_msg_t frame;
    int more = 1, sent = 1;
    uint64_t bytes = 0; /* zlink_msg_recv cuts its result at INT_MAX */
    zlink_msg_init (&frame);
    for (int first = 1; more; first = 0) {
        if (zlink_msg_recv (&frame, from, ZLINK_DONTWAIT) < 0) {
            zlink_msg_close (&frame);
            return first && errno == EAGAIN ? 0 : -1;
        }
        more = zlink_msg_more (&frame);
        bytes += zlink_msg_size (&frame);
        if (copy_to (&frame, capture, more) < 0
            || (sent > 0 && (sent = pass_frame (&frame, to, more)) < 0)) {
            zlink_msg_close (&frame);
            return -1;
        }
    }
    zlink_msg_close (&frame);
    in->msgs_in++;
    in->bytes_in += bytes;
    out->msgs_out += sent > 0;
    out->bytes_out += sent > 0 ? bytes : 0;
    return 1;
}

static int is_command (const void *body, int size, const char *word)
{
    return size == (int) strlen (word) && memcmp (body, word, strlen (word)) == 0;
}

/* Reads one command from the control socket and obeys it. */
static int obey_command (void *control, state *now, const side sides[2])
{
    unsigned char id[255], body[16];
    int id_size = zlink_recv (control, id, sizeof id, ZLINK_DONTWAIT);
    if (id_size < 0)
        return errno == EAGAIN ? 0 : -1;
    int size = zlink_recv (control, body, sizeof body, 0);
    if (size < 0)
        return -1;
    if (is_command (body, size, "PAUSE"))
        *now = PAUSED;
    else if (is_command (body, size, "RESUME"))
        *now = RUNNING;
    else if (is_command (body, size, "TERMINATE"))
        *now = ENDED;
    else if (is_command (body, size, "STATISTICS")
             && zlink_send (control, id, (size_t) id_size, ZLINK_SNDMORE) >= 0)
        zlink_send (control, sides, 2 * sizeof sides[0], 0);
    return 0;
}

/* Number of messages that go one way before the other direction has its turn. */
enum
{
    BURST = 64
};

static int forward_burst (void *from, void *to, void *capture, side *in, side *out)
{
    int result = 1;
    for (int i = 0; i < BURST && result > 0; i++)
        result = forward_message (from, to, capture, in, out);
    return result < 0 ? -1 : 0;
}

/* A proxy passes frames on, and a socket in the mode FAST has none. */
static int check_socket (void *socket)
{
    int type, mode;
    size_t size = sizeof type;
    if (zlink_getsockopt (socket, ZLINK_TYPE, &type, &size) != 0)
        return -1;
    if (type != ZLINK_STREAM)
        return zl_fail (ENOTSOCK); /* a monitor */
    if (zlink_getsockopt (socket, ZLINK_STREAM_MODE, &mode, &size) != 0)
        return -1;
    return mode == ZLINK_STREAM_MODE_COMPAT ? 0 : zl_fail (ENOTSUP);
}

int zlink_proxy_steerable (void *frontend,
                           void *backend,
                           void *capture,
                           void *control)
{
    side sides[2];
    state now = RUNNING;
    memset (sides, 0, sizeof sides);
    if (check_socket (frontend) != 0 || check_socket (backend) != 0
        || (capture && check_socket (capture) != 0) || (control && check_socket (control) != 0))
        return -1;

    while (now != ENDED) {
        zlink_pollitem_t items[3] = {{control, 0, ZLINK_POLLIN, 0},
                                     {frontend, 0, ZLINK_POLLIN, 0},
                                     {backend, 0, ZLINK_POLLIN, 0}};
        zlink_pollitem_t *first = control ? items : items + 1;
        int count = (control ? 1 : 0) + (now == RUNNING ? 2 : 0);
        if (count > 0 && backend == frontend && now == RUNNING)
            count--;
        if (zlink_poll (first, count, -1) < 0)
            return -1;
        if ((items[0].revents & ZLINK_POLLIN) && obey_command (control, &now, sides) < 0)
            return -1;
        if (now != RUNNING)
            continue;
        if ((items[1].revents & ZLINK_POLLIN)
            && forward_burst (frontend, backend, capture, &sides[0], &sides[1]) < 0)
            return -1;
        if ((items[2].revents & ZLINK_POLLIN)
            && forward_burst (backend, frontend, capture, &sides[1], &sides[0]) < 0)
            return -1;
    }
    return 0;
}

int zlink_proxy (void *frontend, void *backend, void *capture)
{
    return zlink_proxy_steerable (frontend, backend, capture, NULL);
}
