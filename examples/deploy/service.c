/* SPDX-License-Identifier: MPL-2.0 */
/* An echo server for a service manager: SIGTERM takes it out of service, and it ends when its peers
 * have been told. ./service [drain=MS] [from=PROXIES] ENDPOINT [[from=PROXIES] ENDPOINT]...
 * from= holds for the endpoints behind it: their peers come through these proxies alone. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlink.h>

static int drain_ms = 5000;

static int set_text (void *server, int option, const char *text)
{
    return zlink_setsockopt (server, option, text, strlen (text));
}

static int take (void *server, const char *argument)
{
    if (strncmp (argument, "drain=", 6) == 0) {
        drain_ms = atoi (argument + 6);
        return 0;
    }
    if (strncmp (argument, "from=", 5) == 0)
        return set_text (server, ZLINK_STREAM_PROXY_FROM, argument + 5);
    return zlink_bind (server, argument);
}

/* Every other thread blocks these signals, so they come here. */
static void *await_signal (void *server)
{
    sigset_t ends;
    int signal;
    sigemptyset (&ends);
    sigaddset (&ends, SIGTERM);
    sigaddset (&ends, SIGINT);
    sigwait (&ends, &signal);
    zlink_stream_drain (server, drain_ms, 0);
    return NULL;
}

static void serve (void *server)
{
    zlink_msg_t msg;
    zlink_msg_init (&msg);
    for (int event = 0; event != ZLINK_STREAM_DRAINED;) {
        if (zlink_msg_recv (&msg, server, 0) < 0)
            continue; /* EINTR: a debugger, or a stop and its end */
        event = zlink_msg_get (&msg, ZLINK_STREAM_EVENT);
        uint32_t peer = zlink_msg_routing_id (&msg);
        if (event == ZLINK_STREAM_DATA && zlink_msg_send (&msg, server, ZLINK_DONTWAIT) < 0
            && errno == EAGAIN)
            zlink_stream_abort_peer (server, peer);
    }
    zlink_msg_close (&msg);
}

int main (int argc, char **argv)
{
    int fast = ZLINK_STREAM_MODE_FAST, limits = ZLINK_STREAM_PROFILE_PUBLIC;
    sigset_t all;
    pthread_t signals;
    sigfillset (&all);
    pthread_sigmask (SIG_BLOCK, &all, NULL);

    void *context = zlink_ctx_new (), *server = zlink_socket (context, ZLINK_STREAM);
    zlink_setsockopt (server, ZLINK_STREAM_MODE, &fast, sizeof fast);
    zlink_setsockopt (server, ZLINK_STREAM_PROFILE, &limits, sizeof limits);
    set_text (server, ZLINK_STREAM_WS_HEALTH_PATH, "/health");
    for (int i = 1; i < argc; i++)
        if (take (server, argv[i]) != 0) {
            fprintf (stderr, "%s: %s\n", zlink_strerror (errno), zlink_error_detail ());
            return 1;
        }
    pthread_create (&signals, NULL, await_signal, server);
    serve (server);
    pthread_join (signals, NULL);
    zlink_close (server);
    zlink_ctx_term (context);
    return 0;
}
