/* A server whose clients show certificates, and a log line with the subject of each:
 * ./mtls_log ENDPOINT CERT KEY AUTHORITIES */
#include <stdio.h>
#include <string.h>
#include <zlink.h>

static void set_text (void *server, int option, const char *text)
{
    zlink_setsockopt (server, option, text, strlen (text));
}

/* What TLS has verified of a peer is true; control characters in it are escaped, so that nobody
 * writes a line of his own. */
static void log_line (const zlink_msg_t *msg, const char *what)
{
    printf ("%s:%s %s %s (sha256 %.16s) %s\n", zlink_msg_gets (msg, "Peer-Address"),
            zlink_msg_gets (msg, "Peer-Port"), zlink_msg_gets (msg, "TLS-Version"),
            zlink_msg_gets (msg, "TLS-Peer-Subject"), zlink_msg_gets (msg, "TLS-Peer-SHA256"), what);
    fflush (stdout);
}

int main (int argc, char **argv)
{
    int fast = ZLINK_STREAM_MODE_FAST, limits = ZLINK_STREAM_PROFILE_PUBLIC, on = 1;
    char endpoint[256];
    size_t size = sizeof endpoint;
    zlink_msg_t msg;

    if (argc != 5)
        return 2;
    void *context = zlink_ctx_new (), *server = zlink_socket (context, ZLINK_STREAM);
    zlink_setsockopt (server, ZLINK_STREAM_MODE, &fast, sizeof fast);
    zlink_setsockopt (server, ZLINK_STREAM_PROFILE, &limits, sizeof limits);
    set_text (server, ZLINK_TLS_CERT, argv[2]);
    set_text (server, ZLINK_TLS_KEY, argv[3]);
    set_text (server, ZLINK_TLS_CA, argv[4]);
    zlink_setsockopt (server, ZLINK_TLS_REQUIRE_CLIENT_CERT, &on, sizeof on);
    set_text (server, ZLINK_STREAM_PROPERTIES, "TLS-Version TLS-Peer-Subject TLS-Peer-SHA256");
    if (zlink_bind (server, argv[1]) != 0) {
        fprintf (stderr, "%s: %s\n", zlink_strerror (errno), zlink_error_detail ());
        return 1;
    }
    zlink_getsockopt (server, ZLINK_LAST_ENDPOINT, endpoint, &size);
    printf ("listening on %s\n", endpoint);
    fflush (stdout);
    zlink_msg_init (&msg);
    while (zlink_msg_recv (&msg, server, 0) >= 0)
        switch (zlink_msg_get (&msg, ZLINK_STREAM_EVENT)) {
            case ZLINK_STREAM_CONNECTED:
                log_line (&msg, "came");
                break;
            case ZLINK_STREAM_DISCONNECTED:
                log_line (&msg, "went");
                break;
            case ZLINK_STREAM_DATA:
                log_line (&msg, "said something");
                break;
        }
    zlink_close (server); /* a signal handler ran */
    zlink_ctx_term (context);
    return 0;
}
