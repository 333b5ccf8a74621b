/* SPDX-License-Identifier: MPL-2.0 */
/* Chat rooms: ./chat_rooms [ENDPOINT]. A client sends "+ROOM" to enter a room, "-ROOM" to leave
 * it, and "ROOM text" to say something to the others in it. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <zlink.h>

enum
{
    longest = 1000, /* bytes of a message */
    entries = 1000  /* how often a client may enter a room */
};

static void serve (void *server, zlink_msg_t *msg)
{
    char text[longest + 1];
    uint32_t peer = zlink_msg_routing_id (msg);
    size_t size = zlink_msg_size (msg);
    memcpy (text, zlink_msg_data (msg), size);
    text[size] = 0;
    intptr_t entered = (intptr_t) zlink_msg_peer_data (msg); /* a number, which needs no memory */
    if (text[0] == '+') {
        if (entered < entries && zlink_stream_join (server, peer, text + 1) == 0)
            zlink_stream_set_peer_data (server, peer, (void *) (entered + 1), NULL, NULL);
    } else if (text[0] == '-')
        zlink_stream_leave (server, peer, text + 1);
    else {
        text[strcspn (text, " ")] = 0;
        zlink_stream_publish (server, text, msg, ZLINK_STREAM_EXCEPT);
    }
}

int main (int argc, char **argv)
{
    int fast = ZLINK_STREAM_MODE_FAST, yes = 1;
    int64_t most = longest;
    char endpoint[256];
    size_t size = sizeof endpoint;
    void *context = zlink_ctx_new (), *server = zlink_socket (context, ZLINK_STREAM);
    zlink_setsockopt (server, ZLINK_STREAM_MODE, &fast, sizeof fast);
    zlink_setsockopt (server, ZLINK_STREAM_PEER_DATA, &yes, sizeof yes);
    zlink_setsockopt (server, ZLINK_MAXMSGSIZE, &most, sizeof most);
    if (zlink_bind (server, argc > 1 ? argv[1] : "tcp://127.0.0.1:5555") != 0) {
        fprintf (stderr, "%s: %s\n", zlink_strerror (errno), zlink_error_detail ());
        return 1;
    }
    zlink_getsockopt (server, ZLINK_LAST_ENDPOINT, endpoint, &size);
    printf ("%s\n", endpoint);
    fflush (stdout);
    zlink_msg_t msg;
    zlink_msg_init (&msg);
    while (zlink_msg_recv (&msg, server, 0) >= 0)
        if (zlink_msg_get (&msg, ZLINK_STREAM_EVENT) == ZLINK_STREAM_DATA)
            serve (server, &msg); /* who goes leaves all rooms */
    zlink_close (server);
    zlink_ctx_term (context);
    return 0;
}
