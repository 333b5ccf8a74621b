/* SPDX-License-Identifier: MPL-2.0 */
/* Ways in which fan_out says one thing to many. */
#ifndef FAN_WAYS_H_INCLUDED
#define FAN_WAYS_H_INCLUDED

#include "fan_clients.h"

typedef struct way
{
    const char *name;
    int (*open) (void);         /* returns the port, and starts to accept */
    void (*accept_all) (void);  /* returns when all clients are there */
    double (*say) (int times);  /* returns how long the caller was busy, in ms */
} way;

static pid_t server; /* whose memory and processor time count */

/* ------------------------------------------------------------------- zlink */

static void *ctx, *s;
static uint32_t *ids;

static int open_zlink (void)
{
    ctx = zlink_ctx_new ();
    zlink_ctx_set (ctx, ZLINK_MAX_SOCKETS, 1024);
    s = fast_socket (ctx);
    set_int (s, ZLINK_LINGER, 0);
    if (messages)
        set_int (s, ZLINK_STREAM_FRAMING, ZLINK_STREAM_FRAMING_MESSAGES);
    ids = calloc ((size_t) peers, sizeof *ids);
    return bind_any (s, ws ? "ws" : "tcp");
}

static void accept_zlink (void)
{
    for (int i = 0; i < peers; i++) {
        ids[i] = next_event (s, ZLINK_STREAM_CONNECTED);
        if (zlink_stream_join (s, ids[i], "all"))
            fail ("zlink_stream_join");
    }
}

static void publish_once (void)
{
    zlink_msg_t msg;
    if (zlink_msg_init_size (&msg, size))
        fail ("zlink_msg_init_size");
    memset (zlink_msg_data (&msg), 0, size);
    int took;
    while ((took = zlink_stream_publish (s, "all", &msg, 0)) < 0 && errno == EAGAIN)
        sleep_ms (1);
    if (took != peers)
        fail ("zlink_stream_publish");
    zlink_msg_close (&msg);
}

static double publish (int times)
{
    const double from = now_ms ();
    for (int i = 0; i < times; i++)
        publish_once ();
    return now_ms () - from;
}

static double send_all (int times)
{
    const double from = now_ms ();
    for (int n = 0; n < times; n++)
        for (int i = 0; i < peers; i++)
            if (send_to (s, ids[i], size, 0) < 0)
                fail ("zlink_msg_send");
    return now_ms () - from;
}

/* -------------------------------------------------------------------- bare */

static int listener, *fds;
static char *frame; /* what a client gets */
static size_t frame_size;

static int open_bare (void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    many_descriptors ();
    listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    at.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    if (listener < 0 || bind (listener, (struct sockaddr *) &at, len) || listen (listener, 65536)
        || getsockname (listener, (struct sockaddr *) &at, &len))
        fail ("listen");
    return ntohs (at.sin_port);
}

static void accept_bare (void)
{
    const uint32_t length = htonl ((uint32_t) size);
    frame_size = sizeof length + size;
    frame = calloc (1, frame_size);
    memcpy (frame, &length, sizeof length);
    fds = calloc ((size_t) peers, sizeof *fds);
    for (int i = 0; i < peers; i++) {
        int one = 1;
        if ((fds[i] = accept (listener, NULL, NULL)) < 0)
            fail ("accept");
        setsockopt (fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
}

static void write_part (int first, int step)
{
    for (int i = first; i < peers; i += step)
        for (size_t done = 0; done < frame_size;) { /* back to back, a buffer gets full */
            ssize_t n = send (fds[i], frame + done, frame_size - done, MSG_NOSIGNAL);
            if (n < 0 && errno != EINTR)
                fail ("write");
            done += n > 0 ? (size_t) n : 0;
        }
}

static double write_all (int times)
{
    const double from = now_ms ();
    for (int n = 0; n < times; n++)
        write_part (0, 1);
    return now_ms () - from;
}

/* The same with two threads. */

static pthread_barrier_t begin, end;

static void *write_half (void *arg)
{
    for (;;) {
        pthread_barrier_wait (&begin);
        write_part (1, 2);
        pthread_barrier_wait (&end);
    }
    return arg;
}

static void accept_bare2 (void)
{
    static pthread_t other;
    accept_bare ();
    pthread_barrier_init (&begin, NULL, 2);
    pthread_barrier_init (&end, NULL, 2);
    if (pthread_create (&other, NULL, write_half, NULL))
        fail ("pthread_create");
}

static double write_both (int times)
{
    const double from = now_ms ();
    for (int n = 0; n < times; n++) {
        pthread_barrier_wait (&begin);
        write_part (0, 2);
        pthread_barrier_wait (&end);
    }
    return now_ms () - from;
}

/* ------------------------------------------------------------------ others */

static FILE *orders, *answers;

/* The command of FAN_CMD_<name> is a server for {peers} clients at {port} of 127.0.0.1. When it
 * listens it prints a line. For a line with a number n it says {size} zeros to all of them, n
 * times in a row without a pause, and prints how many ms its calls took. It sends back what a
 * client says, and ends with its input. */
static const char *command;

/* A port that nobody has. */
static int free_port (void)
{
    const int port = open_bare ();
    close (listener);
    return port;
}

static char *filled_in (int port)
{
    static char text[4096];
    snprintf (text, sizeof text, "exec %s", command);
    const struct
    {
        const char *name;
        unsigned long value;
    } all[] = {{"{port}", (unsigned long) port}, {"{peers}", (unsigned long) peers}, {"{size}", size + (messages ? 0 : 4)}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (char *at; (at = strstr (text, all[i].name)) != NULL;) {
            char rest[4096], number[32];
            snprintf (rest, sizeof rest, "%s", at + strlen (all[i].name));
            snprintf (number, sizeof number, "%lu", all[i].value);
            snprintf (at, sizeof text - (size_t) (at - text), "%s%s", number, rest);
        }
    return text;
}

static double answer (void)
{
    char line[128];
    if (!fgets (line, sizeof line, answers))
        fail ("the server");
    return atof (line);
}

static int open_other (void)
{
    int to[2], from[2], port = free_port ();
    char *text = filled_in (port);
    if (pipe (to) || pipe (from) || (server = fork ()) < 0)
        fail ("fork");
    if (server == 0) {
        prctl (PR_SET_PDEATHSIG, SIGKILL);
        dup2 (to[0], 0);
        dup2 (from[1], 1);
        close (to[1]);
        close (from[0]);
        execl ("/bin/sh", "sh", "-c", text, (char *) NULL);
        _exit (127);
    }
    close (to[0]);
    close (from[1]);
    orders = fdopen (to[1], "w");
    answers = fdopen (from[0], "r");
    answer ();
    return port;
}

static void accept_other (void) {}

static double order (int times)
{
    fprintf (orders, "%d\n", times);
    fflush (orders);
    return answer ();
}

static const way ways[] = {{"publish", open_zlink, accept_zlink, publish},
                           {"sends", open_zlink, accept_zlink, send_all},
                           {"bare", open_bare, accept_bare, write_all},
                           {"bare2", open_bare, accept_bare2, write_both}};

/* named returns a way, or one of another server in room, or NULL. */
static const way *named (const char *name, way *room)
{
    char variable[128];
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (!strcmp (name, ways[i].name))
            return &ways[i];
    snprintf (variable, sizeof variable, "FAN_CMD_%s", name);
    command = getenv (variable);
    *room = (way) {name, open_other, accept_other, order};
    return command ? room : NULL;
}

#endif
