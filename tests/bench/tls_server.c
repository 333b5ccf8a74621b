/* SPDX-License-Identifier: MPL-2.0 */
/* A tls server that echoes, for testssl: tls_server CERT KEY ENDPOINT. It writes where it listens. */
#include <zlink.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must (int result)
{
    if (result >= 0)
        return;
    fprintf (stderr, "%s\n", zlink_error_detail ());
    exit (EXIT_FAILURE);
}

static void set (void *s, int option, const char *text)
{
    must (zlink_setsockopt (s, option, text, strlen (text)));
}

int main (int argc, char **argv)
{
    char endpoint[256];
    size_t size = sizeof endpoint;
    int fast = ZLINK_STREAM_MODE_FAST;
    zlink_msg_t msg;
    if (argc != 4)
        return 2;
    void *s = zlink_socket (zlink_ctx_new (), ZLINK_STREAM);
    must (zlink_setsockopt (s, ZLINK_STREAM_MODE, &fast, sizeof fast));
    set (s, ZLINK_TLS_CERT, argv[1]);
    set (s, ZLINK_TLS_KEY, argv[2]);
    must (zlink_bind (s, argv[3]));
    must (zlink_getsockopt (s, ZLINK_LAST_ENDPOINT, endpoint, &size));
    printf ("%s\n", endpoint);
    fflush (stdout);
    for (;;) {
        must (zlink_msg_init (&msg));
        must (zlink_msg_recv (&msg, s, 0));
        if (zlink_msg_get (&msg, ZLINK_STREAM_EVENT) != ZLINK_STREAM_DATA
            || zlink_msg_send (&msg, s, 0) == -1) /* it may be gone */
            must (zlink_msg_close (&msg));
    }
}
