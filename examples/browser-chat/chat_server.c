/* SPDX-License-Identifier: MPL-2.0 */
/* A chat: what one browser says goes to all. ./chat_server ws://127.0.0.1:8080
 * or, encrypted, ./chat_server wss://127.0.0.1:8443 cert.pem key.pem */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlink.h>

enum
{
    max_peers = 1000,
    max_bytes = 4096
};
static uint32_t peers[max_peers];
static size_t peer_count;

/* The body stays where it is: each peer gets a message that shares it. */
static void send_to_all (void *server, zlink_msg_t *body)
{
    for (size_t i = 0; i < peer_count; i++) {
        zlink_msg_t copy;
        zlink_msg_init (&copy);
        zlink_msg_copy (&copy, body);
        zlink_msg_set_routing_id (&copy, peers[i]);
        /* Who reads too slowly misses something: nobody waits for it. */
        zlink_msg_send (&copy, server, ZLINK_DONTWAIT);
        zlink_msg_close (&copy);
    }
}

static void enter (void *server, uint32_t peer)
{
    if (peer_count < max_peers)
        peers[peer_count++] = peer;
    else
        zlink_stream_close_peer (server, peer);
}

static void leave (uint32_t peer)
{
    for (size_t i = 0; i < peer_count; i++)
        if (peers[i] == peer)
            peers[i] = peers[--peer_count];
}

static void run (void *server)
{
    zlink_msg_t msg;
    zlink_msg_init (&msg);
    while (zlink_msg_recv (&msg, server, 0) >= 0) {
        uint32_t peer = zlink_msg_routing_id (&msg);
        switch (zlink_msg_get (&msg, ZLINK_STREAM_EVENT)) {
            case ZLINK_STREAM_CONNECTED:
                enter (server, peer);
                break;
            case ZLINK_STREAM_DISCONNECTED:
                leave (peer);
                break;
            default:
                send_to_all (server, &msg);
        }
    }
    zlink_msg_close (&msg);
}

static void set (void *server, int option, const void *value, size_t size)
{
    if (zlink_setsockopt (server, option, value, size) == 0)
        return;
    fprintf (stderr, "%s\n", zlink_error_detail ());
    exit (1);
}

int main (int argc, char **argv)
{
    int fast = ZLINK_STREAM_MODE_FAST, backlog = 1000;
    int64_t limit = max_bytes;
    char endpoint[256];
    size_t size = sizeof endpoint;
    void *context = zlink_ctx_new ();
    void *server = zlink_socket (context, ZLINK_STREAM);

    if (argc != 2 && argc != 4) {
        fprintf (stderr, "usage: %s ENDPOINT [CERTIFICATE KEY]\n", argv[0]);
        return 2;
    }
    set (server, ZLINK_STREAM_MODE, &fast, sizeof fast);
    set (server, ZLINK_MAXMSGSIZE, &limit, sizeof limit);
    set (server, ZLINK_SNDHWM, &backlog, sizeof backlog);
    if (argc == 4) {
        set (server, ZLINK_TLS_CERT, argv[2], strlen (argv[2]));
        set (server, ZLINK_TLS_KEY, argv[3], strlen (argv[3]));
    }
    if (zlink_bind (server, argv[1]) != 0) {
        fprintf (stderr, "cannot bind: %s (%s)\n", zlink_strerror (errno),
                 zlink_error_detail ());
        return 1;
    }
    zlink_getsockopt (server, ZLINK_LAST_ENDPOINT, endpoint, &size);
    printf ("%s\n", endpoint);
    fflush (stdout);
    run (server);
    zlink_close (server);
    zlink_ctx_term (context);
    return 0;
}
