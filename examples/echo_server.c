/* A server that sends every message back: ./echo_server [ENDPOINT] */
#include <stdio.h>
#include <zlink.h>

int main (int argc, char **argv)
{
    const char *endpoint = argc > 1 ? argv[1] : "tcp://127.0.0.1:5555";
    void *context = zlink_ctx_new ();
    void *server = zlink_socket (context, ZLINK_STREAM);
    int fast = ZLINK_STREAM_MODE_FAST, limits = ZLINK_STREAM_PROFILE_PUBLIC;
    zlink_msg_t msg;

    zlink_setsockopt (server, ZLINK_STREAM_MODE, &fast, sizeof fast);
    zlink_setsockopt (server, ZLINK_STREAM_PROFILE, &limits, sizeof limits);
    if (zlink_bind (server, endpoint) != 0) {
        fprintf (stderr, "%s: %s\n", zlink_strerror (errno), zlink_error_detail ());
        return 1;
    }
    printf ("listening on %s\n", endpoint);
    fflush (stdout); /* a pipe or a file would keep it back */
    zlink_msg_init (&msg);
    while (zlink_msg_recv (&msg, server, 0) >= 0) {
        uint32_t client = zlink_msg_routing_id (&msg);
        if (zlink_msg_get (&msg, ZLINK_STREAM_EVENT) != ZLINK_STREAM_DATA)
            continue; /* a client came, or went */
        if (zlink_msg_send (&msg, server, ZLINK_DONTWAIT) < 0 && errno == EAGAIN)
            zlink_stream_abort_peer (server, client); /* there is no room for it */
    }
    zlink_close (server); /* a signal handler ran */
    zlink_ctx_term (context);
    return 0;
}
