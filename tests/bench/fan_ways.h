/* SPDX-License-Identifier: MPL-2.0 */
/* Ways in which fan_out says one thing to many. */
#ifndef FAN_WAYS_H_INCLUDED
#define FAN_WAYS_H_INCLUDED

#include "fan_bare.h"

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
                           {"bare2", open_bare, accept_bare2, write_both},
                           {"loop", open_bare, accept_loop, say_loop}};

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
