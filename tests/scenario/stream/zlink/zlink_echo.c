/* SPDX-License-Identifier: MPL-2.0 */
/* An echo server as a user of libzlink writes it, on one STREAM socket: with two
 * frames for a message (COMPAT), one call (FAST), or batches of FAST. */
#include "process.h"
#include "settings.h"

#include <zlink.h>

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_ID 255
#define MAX_BATCH 1024

struct config
{
    const char *mode;
    const char *profile;           /* "private" or "public" */
    const char *transport;         /* "tcp", "tls", "ws", "wss" or "ipc" */
    const char *tls_cert, *tls_key; /* PEM files, or NULL */
    long port, io_threads, backlog, hwm, sndbuf, rcvbuf, max_size;
};

static sigset_t stop_signals (void)
{
    sigset_t signals;
    sigemptyset (&signals);
    sigaddset (&signals, SIGTERM);
    sigaddset (&signals, SIGINT);
    return signals;
}

/* A thread that waits for a signal and then ends every call with ETERM. A
 * handler that sets a flag would not do: the signal may come when the flag has
 * been looked at and the call does not sleep yet, which no EINTR ends then. */
static void *stop_on_signal (void *context)
{
    sigset_t signals = stop_signals ();
    int number;
    sigwait (&signals, &number);
    zlink_ctx_shutdown (context);
    return NULL;
}

static void fail (const char *what)
{
    const char *detail = zlink_error_detail ();
    fprintf (stderr, "%s: %s%s%s\n", what, zlink_strerror (zlink_errno ()),
             detail && *detail ? ": " : "", detail ? detail : "");
}

static int set_option (void *socket, int option, long value)
{
    int number = (int) value;
    return zlink_setsockopt (socket, option, &number, sizeof number);
}

/* A file name that was not given leaves the option as it is; libzlink says
 * then what is missing. */
static int set_file (void *socket, int option, const char *name)
{
    return name ? zlink_setsockopt (socket, option, name, strlen (name)) : 0;
}

static bool is_ipc (const struct config *config)
{
    return strcmp (config->transport, "ipc") == 0;
}

static int bind_endpoint (void *socket, const struct config *config)
{
    char endpoint[64];
    if (is_ipc (config))
        /* A port names the abstract socket, and else the process. */
        snprintf (endpoint, sizeof endpoint, "ipc://@zlink-echo-%ld",
                  config->port ? config->port : (long) getpid ());
    else
        snprintf (endpoint, sizeof endpoint, "%s://*:%ld", config->transport,
                  config->port);
    return zlink_bind (socket, endpoint);
}

/* Prints the port, or where an ipc socket is. A WebSocket's endpoint has a path
 * behind its port. */
static void print_listening (const struct config *config, const char *endpoint)
{
    if (is_ipc (config))
        printf ("LISTENING %s\n", endpoint + strlen ("ipc://"));
    else
        printf ("LISTENING %ld\n",
                strtol (strrchr (endpoint, ':') + 1, NULL, 10));
    fflush (stdout);
}

static int open_endpoint (void *socket, const struct config *config)
{
    int mode = strcmp (config->mode, "compat") == 0 ? ZLINK_STREAM_MODE_COMPAT
                                                    : ZLINK_STREAM_MODE_FAST;
    int profile = strcmp (config->profile, "public") == 0 ? ZLINK_STREAM_PROFILE_PUBLIC
                                                          : ZLINK_STREAM_PROFILE_PRIVATE;
    if (set_option (socket, ZLINK_STREAM_PROFILE, profile) != 0
        || set_option (socket, ZLINK_STREAM_MODE, mode) != 0
        || set_option (socket, ZLINK_BACKLOG, config->backlog) != 0
        || set_option (socket, ZLINK_SNDHWM, config->hwm) != 0
        || set_option (socket, ZLINK_RCVHWM, config->hwm) != 0
        || set_option (socket, ZLINK_SNDBUF, config->sndbuf) != 0
        || set_option (socket, ZLINK_RCVBUF, config->rcvbuf) != 0
        || set_option (socket, ZLINK_LINGER, 0) != 0
        || set_file (socket, ZLINK_TLS_CERT, config->tls_cert) != 0
        || set_file (socket, ZLINK_TLS_KEY, config->tls_key) != 0
        || bind_endpoint (socket, config) != 0)
        return -1;
    char bound[256];
    size_t len = sizeof bound;
    if (zlink_getsockopt (socket, ZLINK_LAST_ENDPOINT, bound, &len) != 0)
        return -1;
    print_listening (config, bound);
    return 0;
}

/* What the echo functions return after an error: 0 when a signal asked to stop,
 * -1 when something failed. */
static int ended (void)
{
    return zlink_errno () == ETERM ? 0 : -1;
}

static int echo_frames (void *socket, char *body, size_t capacity)
{
    char id[MAX_ID];
    for (;;) {
        int id_len = zlink_recv (socket, id, sizeof id, 0);
        if (id_len < 0) {
            if (zlink_errno () == EINTR)
                continue;
            return ended ();
        }
        int more;
        size_t more_len = sizeof more;
        if (zlink_getsockopt (socket, ZLINK_RCVMORE, &more, &more_len) != 0)
            return ended ();
        if (!more)
            continue;
        int len = zlink_recv (socket, body, capacity, 0);
        if (len < 0)
            return ended ();
        if (len == 1 && (body[0] == 0 || body[0] == 1))
            continue; /* a peer came or went */
        if ((size_t) len > capacity) {
            fprintf (stderr, "a message of %d bytes, --max-size is %zu\n", len,
                     capacity);
            continue;
        }
        if (zlink_send (socket, id, (size_t) id_len, ZLINK_SNDMORE) >= 0
            && zlink_send (socket, body, (size_t) len, 0) >= 0)
            continue;
        /* The peer may have gone since it sent this. */
        if (zlink_errno () != EHOSTUNREACH && zlink_errno () != EINTR)
            return ended ();
    }
}

static int echo_messages (void *socket)
{
    zlink_msg_t msg;
    int result;
    zlink_msg_init (&msg);
    for (;;) {
        if (zlink_msg_recv (&msg, socket, 0) < 0) {
            if (zlink_errno () == EINTR)
                continue;
            break;
        }
        if (zlink_msg_get (&msg, ZLINK_STREAM_EVENT) != ZLINK_STREAM_DATA)
            continue; /* a peer came or went */
        if (zlink_msg_send (&msg, socket, 0) < 0
            && zlink_errno () != EHOSTUNREACH && zlink_errno () != EINTR)
            break;
    }
    result = ended ();
    zlink_msg_close (&msg);
    return result;
}

/* Sends what was received; messages for peers that have gone are skipped. */
static int send_all (void *socket, zlink_msg_t *msgs, int count)
{
    for (int sent = 0; sent < count;) {
        int n = zlink_stream_send_batch (socket, msgs + sent,
                                         (size_t) (count - sent), 0);
        if (n < 0 && zlink_errno () != EHOSTUNREACH
            && zlink_errno () != EINTR)
            return -1;
        sent += n > 0 ? n : 1;
    }
    return 0;
}

/* Takes the events out of a batch; returns how many messages are left. */
static int drop_events (zlink_msg_t *msgs, int count)
{
    int kept = 0;
    for (int i = 0; i < count; i++) {
        if (zlink_msg_get (&msgs[i], ZLINK_STREAM_EVENT) != ZLINK_STREAM_DATA)
            continue;
        if (kept < i)
            zlink_msg_move (&msgs[kept], &msgs[i]);
        kept++;
    }
    return kept;
}

static int echo_batches (void *socket)
{
    static zlink_msg_t msgs[MAX_BATCH];
    int result;
    for (int i = 0; i < MAX_BATCH; i++)
        zlink_msg_init (&msgs[i]);
    for (;;) {
        int n = zlink_stream_recv_batch (socket, msgs, MAX_BATCH, 0);
        if (n < 0 && zlink_errno () == EINTR)
            continue;
        if (n < 0 || send_all (socket, msgs, drop_events (msgs, n)) != 0)
            break;
    }
    result = ended ();
    for (int i = 0; i < MAX_BATCH; i++)
        zlink_msg_close (&msgs[i]);
    return result;
}

static int echo (void *socket, const struct config *config)
{
    if (strcmp (config->mode, "fast") == 0)
        return echo_messages (socket);
    if (strcmp (config->mode, "batch") == 0)
        return echo_batches (socket);
    char *body = malloc ((size_t) config->max_size);
    int result = body ? echo_frames (socket, body, (size_t) config->max_size)
                      : -1;
    free (body);
    return result;
}

static int serve (void *context, const struct config *config)
{
    void *socket = zlink_socket (context, ZLINK_STREAM);
    if (!socket) {
        fail ("zlink_socket");
        return 1;
    }
    int result = 0;
    if (open_endpoint (socket, config) != 0) {
        fail ("zlink_bind");
        result = 1;
    } else if (echo (socket, config) != 0) {
        fail ("echo");
        result = 1;
    }
    zlink_close (socket);
    return result;
}

int main (int argc, char **argv)
{
    struct config config = {.mode = "compat",
                            .profile = "private",
                            .transport = "tcp",
                            .io_threads = 2,
                            .backlog = 32768,
                            .hwm = 1000000,
                            .sndbuf = 262144,
                            .rcvbuf = 262144,
                            .max_size = 1 << 20};
    const struct setting table[] = {
      {"MODE", SETTING_TEXT, true, &config.mode, 0, 0,
       "compat, fast, or batch: fast in batches"},
      {"PROFILE", SETTING_TEXT, true, &config.profile, 0, 0,
       "private, or public: with the limits of a server on the internet"},
      {"TRANSPORT", SETTING_TEXT, false, &config.transport, 0, 0,
       "tcp, tls, ws, wss or ipc"},
      {"TLS_CERT", SETTING_TEXT, false, &config.tls_cert, 0, 0,
       "PEM file of the certificate, for tls and wss"},
      {"TLS_KEY", SETTING_TEXT, false, &config.tls_key, 0, 0,
       "PEM file of its key"},
      {"PORT", SETTING_INTEGER, true, &config.port, 0, 65535,
       "port to listen on, 0: any free one"},
      {"MAX_SIZE", SETTING_INTEGER, true, &config.max_size, 1, 1 << 30,
       "longest body that is echoed, bytes"},
      {"IO_THREADS", SETTING_INTEGER, false, &config.io_threads, 0, 1024,
       "io threads of the context"},
      {"BACKLOG", SETTING_INTEGER, false, &config.backlog, 0, 1 << 30,
       "listen backlog"},
      {"HWM", SETTING_INTEGER, false, &config.hwm, 0, 1 << 30,
       "messages queued for or from one connection"},
      {"SNDBUF", SETTING_INTEGER, false, &config.sndbuf, 0, 1 << 30,
       "socket send buffer in bytes, 0: system's"},
      {"RCVBUF", SETTING_INTEGER, false, &config.rcvbuf, 0, 1 << 30,
       "socket receive buffer in bytes, 0: system's"},
    };
    enum settings_result settings =
      settings_read (table, sizeof table / sizeof table[0], argc, argv);
    if (settings != SETTINGS_OK)
        return settings == SETTINGS_HELP ? 0 : 2;
    if (strcmp (config.mode, "compat") != 0 && strcmp (config.mode, "fast") != 0
        && strcmp (config.mode, "batch") != 0) {
        fprintf (stderr, "--mode is compat, fast or batch, not %s\n",
                 config.mode);
        return 2;
    }
    process_raise_descriptor_limit ();

    /* Blocked in every thread, for stop_on_signal to take. */
    sigset_t signals = stop_signals ();
    pthread_sigmask (SIG_BLOCK, &signals, NULL);

    void *context = zlink_ctx_new ();
    pthread_t stopper;
    if (!context
        || zlink_ctx_set (context, ZLINK_IO_THREADS, (int) config.io_threads)
             != 0
        || pthread_create (&stopper, NULL, stop_on_signal, context) != 0) {
        fail ("zlink_ctx_new");
        return 1;
    }
    pthread_detach (stopper);
    int result = serve (context, &config);
    while (zlink_ctx_term (context) != 0 && zlink_errno () == EINTR)
        continue;
    return result;
}
