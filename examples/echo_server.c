/* A server that sends every message back: ./echo_server tcp://127.0.0.1:5555 */
#include <stdio.h>
#include <zlink.h>

int main (int argc, char **argv)
{
    void *context = zlink_ctx_new ();
    void *server = zlink_socket (context, ZLINK_STREAM);

    if (argc != 2 || zlink_bind (server, argv[1]) != 0) {
        fprintf (stderr, "cannot bind: %s (%s)\n", zlink_strerror (errno),
                 zlink_error_detail ());
        return 1;
    }
    for (;;) {
        unsigned char id[255], body[65536];
        int id_size = zlink_recv (server, id, sizeof id, 0);
        int size = zlink_recv (server, body, sizeof body, 0);
        if (id_size < 0 || size < 0)
            break; /* a signal handler ran */
        if (size == 1 && body[0] <= 1)
            continue; /* 1: a client came, 0: it went */
        if (size > (int) sizeof body)
            size = sizeof body; /* it was cut */
        if (zlink_send (server, id, id_size, ZLINK_SNDMORE) >= 0)
            zlink_send (server, body, size, 0);
    }
    zlink_close (server);
    zlink_ctx_term (context);
    return 0;
}
