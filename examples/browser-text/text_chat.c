/* SPDX-License-Identifier: MPL-2.0 */
/* A chat of browsers in text: ./text_chat [ENDPOINT]. What one says goes to all, as a message of
 * WebSocket, compressed where it is long. */
#include <stdio.h>
#include <zlink.h>

enum
{
    longest = 4096 /* bytes of a line */
};

static void serve (void *server, zlink_msg_t *msg)
{
    switch (zlink_msg_get (msg, ZLINK_STREAM_EVENT)) {
        case ZLINK_STREAM_CONNECTED:
            zlink_stream_join (server, zlink_msg_routing_id (msg), "all");
            break;
        case ZLINK_STREAM_DATA: /* text stays text */
            zlink_stream_publish (server, "all", msg, 0);
    }
}

static void set (void *server, int option, int value)
{
    zlink_setsockopt (server, option, &value, sizeof value);
}

int main (int argc, char **argv)
{
    int64_t most = longest;
    char endpoint[256];
    size_t size = sizeof endpoint;
    void *context = zlink_ctx_new (), *server = zlink_socket (context, ZLINK_STREAM);
    set (server, ZLINK_STREAM_MODE, ZLINK_STREAM_MODE_FAST);
    set (server, ZLINK_STREAM_FRAMING, ZLINK_STREAM_FRAMING_MESSAGES);
    set (server, ZLINK_STREAM_WS_DEFLATE, 1);
    zlink_setsockopt (server, ZLINK_MAXMSGSIZE, &most, sizeof most);
    if (zlink_bind (server, argc > 1 ? argv[1] : "ws://127.0.0.1:8080") != 0) {
        fprintf (stderr, "%s: %s\n", zlink_strerror (errno), zlink_error_detail ());
        return 1;
    }
    zlink_getsockopt (server, ZLINK_LAST_ENDPOINT, endpoint, &size);
    printf ("%s\n", endpoint);
    fflush (stdout);
    zlink_msg_t msg;
    zlink_msg_init (&msg);
    while (zlink_msg_recv (&msg, server, 0) >= 0)
        serve (server, &msg);
    zlink_close (server);
    zlink_ctx_term (context);
    return 0;
}
