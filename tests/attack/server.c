/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The server that is attacked: it echoes as the README's does, over tcp, ws and, with
 * a certificate, tls. It prints "LISTENING tcp ws tls", the ports. Each line of its
 * input is answered by one with its statistics, NAME=VALUE each. The end of its input ends it.
 *
 * A peer whose message is "push" gets 1 KiB every PUSH_MS from then on.
 */
#include "settings.h"
#include "tally.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <zlink.h>

#define PUSH_SIZE 1024
#define LOOK_EVERY_MS 20 /* at orders, when nothing comes */
#define PUSHED_MAX 20000

static struct
{
    const char *profile, *set, *cert, *key, *on_full;
    long io_threads, push_ms;
} given = {"private", "", "", "", "abort", 2, 50};

static void *context, *server;
static atomic_bool asked;
static _Atomic uint64_t aborted;

static void fail (const char *what)
{
    fprintf (stderr, "attack_server: %s: %s %s\n", what, zlink_strerror (errno), zlink_error_detail ());
    exit (1);
}

static void set_int (int option, int value)
{
    if (zlink_setsockopt (server, option, &value, sizeof value) == 0)
        return;
    int64_t wide = value; /* some are 64 bits wide */
    if (zlink_setsockopt (server, option, &wide, sizeof wide))
        fail ("an option");
}

/* set_all reads NUMBER=VALUE,NUMBER=VALUE... */
static void set_all (const char *text)
{
    for (char *end; *text; text = *end == ',' ? end + 1 : end) {
        int option = (int) strtol (text, &end, 10);
        if (end == text || *end != '=') {
            fprintf (stderr, "attack_server: %s is not NUMBER=VALUE\n", text);
            exit (2);
        }
        text = end + 1;
        set_int (option, (int) strtol (text, &end, 10));
    }
}

static void set_profile (void)
{
    if (!strcmp (given.profile, "private"))
        return;
#ifdef ZLINK_STREAM_PROFILE
    set_int (ZLINK_STREAM_PROFILE, ZLINK_STREAM_PROFILE_PUBLIC);
#else
    fprintf (stderr, "attack_server: this library has no profiles\n");
    exit (3);
#endif
}

static int bind_any (const char *transport)
{
    char end[256];
    size_t size = sizeof end;
    snprintf (end, sizeof end, "%s://127.0.0.1:*", transport);
    if (zlink_bind (server, end) || zlink_getsockopt (server, ZLINK_LAST_ENDPOINT, end, &size))
        fail (transport);
    return atoi (strrchr (end, ':') + 1);
}

/* Peers that are sent to by themselves */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint32_t pushed[PUSHED_MAX];
static size_t pushed_count;

static void push_to (uint32_t peer)
{
    pthread_mutex_lock (&mutex);
    if (pushed_count < PUSHED_MAX)
        pushed[pushed_count++] = peer;
    pthread_mutex_unlock (&mutex);
}

/* answer sends; false when the peer is gone, or does not read and is thrown out. */
static bool answer (zlink_msg_t *msg, uint32_t peer)
{
    if (zlink_msg_send (msg, server, ZLINK_DONTWAIT) >= 0)
        return true;
    if (errno != EAGAIN)
        return false;
    if (!strcmp (given.on_full, "keep"))
        return true;
    if (zlink_stream_abort_peer (server, peer) == 0)
        atomic_fetch_add (&aborted, 1);
    return false;
}

static void push_round (void)
{
    size_t kept = 0;
    pthread_mutex_lock (&mutex);
    for (size_t i = 0; i < pushed_count; i++) {
        zlink_msg_t msg;
        if (zlink_msg_init_size (&msg, PUSH_SIZE))
            continue;
        memset (zlink_msg_data (&msg), 'p', PUSH_SIZE);
        zlink_msg_set_routing_id (&msg, pushed[i]);
        if (answer (&msg, pushed[i]))
            pushed[kept++] = pushed[i];
        zlink_msg_close (&msg);
    }
    pushed_count = kept;
    pthread_mutex_unlock (&mutex);
}

static void *push (void *unused)
{
    for (;; usleep ((useconds_t) given.push_ms * 1000))
        push_round ();
    return unused;
}

/* Orders */

static void *listen_to_orders (void *unused)
{
    char line[64];
    while (fgets (line, sizeof line, stdin))
        atomic_store (&asked, true);
    zlink_ctx_shutdown (context);
    return unused;
}

#ifdef ZLINK_STREAM_REASON
static const char *const reason_names[32] = {
  "unknown", "peer_closed", "reset", "idle", "no_pong", "handshake", "protocol", "too_long", "queue_bound", "rate", "limit", "closed_here",
  "aborted_here", "drained", "first_message", "age", "stalled", "context", "no_memory", "19", "20", "21", "22", "23", "24", "25", "26", "27",
  "28", "29", "30", "31"};
#endif

static void tell (void)
{
    zlink_stream_stats_t s = {.size = sizeof s};
    if (zlink_stream_stats (server, &s))
        fail ("zlink_stream_stats");
    printf ("connections=%llu accepted=%llu closed=%llu msgs_in=%llu msgs_out=%llu msgs_queued=%llu bytes_queued=%llu "
            "refused=%llu oversize=%llu memory=%llu abandoned=%llu aborted=%llu",
            (unsigned long long) s.connections, (unsigned long long) s.accepted, (unsigned long long) s.closed,
            (unsigned long long) s.msgs_in, (unsigned long long) s.msgs_out, (unsigned long long) s.msgs_queued,
            (unsigned long long) s.bytes_queued, (unsigned long long) s.refused, (unsigned long long) s.oversize,
            (unsigned long long) s.memory, (unsigned long long) s.abandoned, (unsigned long long) atomic_load (&aborted));
#ifdef ZLINK_STREAM_REASON
    const char *between = " ended_by=";
    for (int i = 0; i < (int) (sizeof s.ended_by / sizeof s.ended_by[0]); i++)
        if (s.ended_by[i] > 0) {
            printf ("%s%s:%llu", between, reason_names[i], (unsigned long long) s.ended_by[i]);
            between = ",";
        }
#endif
    putchar ('\n');
    fflush (stdout);
}

static void serve (void)
{
    zlink_msg_t msg;
    zlink_msg_init (&msg);
    for (;;) {
        if (atomic_exchange (&asked, false))
            tell ();
        if (zlink_msg_recv (&msg, server, 0) < 0) {
            if (errno == EAGAIN || errno == EINTR)
                continue;
            break;
        }
        uint32_t peer = zlink_msg_routing_id (&msg);
        if (zlink_msg_get (&msg, ZLINK_STREAM_EVENT) != ZLINK_STREAM_DATA)
            continue;
        if (zlink_msg_size (&msg) == strlen (PUSH_ORDER) && !memcmp (zlink_msg_data (&msg), PUSH_ORDER, strlen (PUSH_ORDER)))
            push_to (peer);
        answer (&msg, peer);
    }
    if (errno != ETERM)
        fail ("zlink_msg_recv");
    zlink_msg_close (&msg);
}

static void open_socket (void)
{
    context = zlink_ctx_new ();
    zlink_ctx_set (context, ZLINK_IO_THREADS, (int) given.io_threads);
    server = zlink_socket (context, ZLINK_STREAM);
    if (server == NULL)
        fail ("zlink_socket");
    set_profile ();
    set_int (ZLINK_STREAM_MODE, ZLINK_STREAM_MODE_FAST);
    set_int (ZLINK_RCVTIMEO, LOOK_EVERY_MS);
    set_int (ZLINK_LINGER, 0);
    set_all (given.set);
    if (*given.cert
        && (zlink_setsockopt (server, ZLINK_TLS_CERT, given.cert, strlen (given.cert))
            || zlink_setsockopt (server, ZLINK_TLS_KEY, given.key, strlen (given.key))))
        fail ("the certificate");
}

int main (int argc, char **argv)
{
    const struct setting table[] = {
      {"PROFILE", SETTING_TEXT, true, &given.profile, 0, 0, "private or public"},
      {"SET", SETTING_TEXT, true, &given.set, 0, 0, "options, NUMBER=VALUE,NUMBER=VALUE..."},
      {"ON_FULL", SETTING_TEXT, true, &given.on_full, 0, 0, "a peer whose queue is full: abort it, or keep it"},
      {"CERT", SETTING_TEXT, true, &given.cert, 0, 0, "PEM file; empty: no tls"},
      {"KEY", SETTING_TEXT, true, &given.key, 0, 0, "PEM file"},
      {"IO_THREADS", SETTING_INTEGER, true, &given.io_threads, 1, 64, "io threads"},
      {"PUSH_MS", SETTING_INTEGER, true, &given.push_ms, 1, 1000, "a peer that wants it is sent 1 KiB so often"},
    };
    enum settings_result read = settings_read (table, sizeof table / sizeof table[0], argc, argv);
    if (read != SETTINGS_OK)
        return read == SETTINGS_HELP ? 0 : 2;
    struct rlimit files;
    getrlimit (RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit (RLIMIT_NOFILE, &files);
    open_socket ();
    int tcp = bind_any ("tcp"), ws = bind_any ("ws"), tls = *given.cert ? bind_any ("tls") : 0;
    printf ("LISTENING %d %d %d\n", tcp, ws, tls);
    fflush (stdout);
    pthread_t threads[2];
    pthread_create (&threads[0], NULL, listen_to_orders, NULL);
    pthread_create (&threads[1], NULL, push, NULL);
    serve ();
    zlink_close (server);
    zlink_ctx_term (context);
    _exit (0); /* the other threads wait for what does not come */
}
