/* SPDX-License-Identifier: MPL-2.0 */
/* Children of a process that uses the library: programs run as ever, and a
 * forked copy of the process fails its calls at once. */
#include "ztest.h"

#include <dirent.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define CHILD_LIMIT_S 20
#define FORKS 100

extern char **environ;

/* A connection of two sockets, with everything about it that takes descriptors,
 * and a thread that echoes. */
typedef struct traffic_t
{
    void *ctx;
    void *server;
    void *client;
    void *monitor;
    zlink_routing_id_t id;
    pthread_t thread;
    uint32_t sent;
} traffic_t;

static traffic_t start_traffic (void)
{
    traffic_t t = {.ctx = zt_ctx ()};
    t.server = zt_socket (t.ctx);
    t.client = zt_socket (t.ctx);
    t.monitor = zlink_socket_monitor_open (t.client, ZLINK_EVENT_ALL);
    CHECK (t.monitor != NULL);
    zt_connect (t.client, zt_bind (t.server));
    zt_get_int (t.client, ZLINK_FD);
    zt_expect_connect (t.client, &t.id);
    t.thread = zt_thread (zt_echo, t.server);
    return t;
}

static void exchange (traffic_t *t)
{
    uint8_t body[100];
    for (int i = 0; i < 5; i++) {
        zt_fill (body, sizeof body, t->sent++);
        zt_send (t->client, &t->id, body, sizeof body);
        zt_expect (t->client, &t->id, body, sizeof body);
    }
}

static void stop_traffic (traffic_t *t)
{
    CHECK_OK (zlink_close (t->monitor));
    zt_close (t->client);
    zt_term (t->ctx);
    zt_join (t->thread);
}

static void expect_status (pid_t child, int expected)
{
    int status;
    CHECK (child > 0);
    CHECK_EQ (waitpid (child, &status, 0), child);
    CHECK_EQ (status, expected);
}

/* --------------------------------------------------------- every single call */

static struct
{
    traffic_t traffic;
    zlink_msg_t msg, other;
    void *timers, *counter, *watch, *thread;
    int timer;
} had;

static void nothing (int id, void *arg)
{
    (void) id;
    (void) arg;
}

static void idle (void *arg) { (void) arg; }

/* Calls without a return value that can tell set errno alone. */
#define CHECK_ERRNO(call)          \
    do {                           \
        errno = 0;                 \
        call;                      \
        CHECK_EQ (errno, ENOTSUP); \
    } while (0)

static void sockets_are_refused (void)
{
    void *s = had.traffic.client, *ctx = had.traffic.ctx;
    zlink_pollitem_t item = {s, 0, ZLINK_POLLIN | ZLINK_POLLOUT, 0};
    zlink_pollitem_t file = {NULL, 0, ZLINK_POLLIN, 0};
    zlink_monitor_event_t event;
    zlink_routing_id_t id = had.traffic.id;
    zlink_peer_info_t info;
    char buf[64];
    size_t size = sizeof buf, peers = 1;
    int value = 0;
    CHECK_NULL (zlink_ctx_new (), ENOTSUP);
    CHECK_FAIL (zlink_ctx_set (ctx, ZLINK_MAX_SOCKETS, 5), ENOTSUP);
    CHECK_FAIL (zlink_ctx_get (ctx, ZLINK_MAX_SOCKETS), ENOTSUP);
    CHECK_FAIL (zlink_ctx_shutdown (ctx), ENOTSUP);
    CHECK_NULL (zlink_socket (ctx, ZLINK_STREAM), ENOTSUP);
    CHECK_FAIL (zlink_setsockopt (s, ZLINK_LINGER, &value, sizeof value), ENOTSUP);
    CHECK_FAIL (zlink_getsockopt (s, ZLINK_LAST_ENDPOINT, buf, &size), ENOTSUP);
    size = sizeof value;
    CHECK_FAIL (zlink_getsockopt (s, ZLINK_RCVMORE, &value, &size), ENOTSUP);
    CHECK_FAIL (zlink_bind (s, "tcp://127.0.0.1:*"), ENOTSUP);
    CHECK_FAIL (zlink_connect (s, "tcp://127.0.0.1:9"), ENOTSUP);
    CHECK_FAIL (zlink_unbind (s, "tcp://127.0.0.1:9"), ENOTSUP);
    CHECK_FAIL (zlink_disconnect (s, "tcp://127.0.0.1:9"), ENOTSUP);
    CHECK_FAIL (zlink_send (s, id.data, id.size, ZLINK_SNDMORE), ENOTSUP);
    CHECK_FAIL (zlink_send_const (s, id.data, id.size, ZLINK_SNDMORE), ENOTSUP);
    CHECK_FAIL (zlink_recv (s, buf, sizeof buf, 0), ENOTSUP);
    CHECK_NULL (zlink_socket_monitor_open (s, ZLINK_EVENT_ALL), ENOTSUP);
    CHECK_FAIL (zlink_socket_monitor (s, "inproc://m", ZLINK_EVENT_ALL), ENOTSUP);
    CHECK_FAIL (zlink_monitor_recv (had.traffic.monitor, &event, 0), ENOTSUP);
    CHECK_FAIL (zlink_socket_peer_info (s, &id, &info), ENOTSUP);
    CHECK_FAIL (zlink_socket_peer_routing_id (s, 0, &id), ENOTSUP);
    CHECK_FAIL (zlink_socket_peer_count (s), ENOTSUP);
    CHECK_FAIL (zlink_socket_peers (s, &info, &peers), ENOTSUP);
    CHECK_FAIL (zlink_poll (&item, 1, -1), ENOTSUP);
    CHECK_FAIL (zlink_poll (&file, 1, -1), ENOTSUP);
    CHECK_FAIL (zlink_proxy (s, had.traffic.server, NULL), ENOTSUP);
    CHECK_FAIL (zlink_proxy_steerable (s, s, NULL, NULL), ENOTSUP);
    CHECK_FAIL (zlink_close (had.traffic.monitor), ENOTSUP);
    CHECK_FAIL (zlink_close (s), ENOTSUP);
    CHECK_FAIL (zlink_ctx_term (ctx), ENOTSUP);
}

static void messages_are_refused (void)
{
    static char data[64];
    zlink_msg_t fresh;
    zlink_msg_t *parts = calloc (2, sizeof *parts);
    CHECK_FAIL (zlink_msg_init (&fresh), ENOTSUP);
    CHECK_FAIL (zlink_msg_init_size (&fresh, 10), ENOTSUP);
    CHECK_FAIL (zlink_msg_init_data (&fresh, data, sizeof data, NULL, NULL), ENOTSUP);
    CHECK_FAIL (zlink_msg_send (&had.msg, had.traffic.client, 0), ENOTSUP);
    CHECK_FAIL (zlink_msg_recv (&had.msg, had.traffic.client, 0), ENOTSUP);
    CHECK_FAIL (zlink_msg_move (&had.other, &had.msg), ENOTSUP);
    CHECK_FAIL (zlink_msg_copy (&had.other, &had.msg), ENOTSUP);
    CHECK_NULL (zlink_msg_data (&had.msg), ENOTSUP);
    CHECK_ERRNO (CHECK_EQ (zlink_msg_size (&had.msg), 0));
    CHECK_FAIL (zlink_msg_more (&had.msg), ENOTSUP);
    CHECK_FAIL (zlink_msg_get (&had.msg, ZLINK_SHARED), ENOTSUP);
    CHECK_FAIL (zlink_msg_set (&had.msg, ZLINK_SHARED, 1), ENOTSUP);
    CHECK_NULL (zlink_msg_gets (&had.msg, "Peer-Address"), ENOTSUP);
    CHECK_FAIL (zlink_msg_close (&had.msg), ENOTSUP);
    CHECK_ERRNO (zlink_msgv_close (parts, 2));
}

static void utilities_are_refused (void)
{
    void *counter = had.counter, *timers = had.timers;
    CHECK_NULL (zlink_atomic_counter_new (), ENOTSUP);
    CHECK_ERRNO (zlink_atomic_counter_set (counter, 5));
    CHECK_FAIL (zlink_atomic_counter_inc (counter), ENOTSUP);
    CHECK_FAIL (zlink_atomic_counter_dec (counter), ENOTSUP);
    CHECK_FAIL (zlink_atomic_counter_value (counter), ENOTSUP);
    CHECK_ERRNO (zlink_atomic_counter_destroy (&counter));
    CHECK_NULL (zlink_timers_new (), ENOTSUP);
    CHECK_FAIL (zlink_timers_add (timers, 1, nothing, NULL), ENOTSUP);
    CHECK_FAIL (zlink_timers_cancel (timers, had.timer), ENOTSUP);
    CHECK_FAIL (zlink_timers_set_interval (timers, had.timer, 1), ENOTSUP);
    CHECK_FAIL (zlink_timers_reset (timers, had.timer), ENOTSUP);
    CHECK_FAIL (zlink_timers_timeout (timers), ENOTSUP);
    CHECK_FAIL (zlink_timers_execute (timers), ENOTSUP);
    CHECK_FAIL (zlink_timers_destroy (&timers), ENOTSUP);
    CHECK_NULL (zlink_stopwatch_start (), ENOTSUP);
    CHECK_ERRNO (CHECK_EQ (zlink_stopwatch_intermediate (had.watch), 0));
    CHECK_ERRNO (CHECK_EQ (zlink_stopwatch_stop (had.watch), 0));
    CHECK_NULL (zlink_threadstart (idle, NULL), ENOTSUP);
    CHECK_ERRNO (zlink_threadclose (had.thread));
}

/* What cannot fail goes on. */
static void plain_answers (void)
{
    int major = 0;
    zlink_version (&major, NULL, NULL);
    CHECK_EQ (major, ZLINK_VERSION_MAJOR);
    CHECK_STR (zlink_error_detail (), "");
    CHECK_EQ (zlink_has ("stream"), 1);
    CHECK (strlen (zlink_strerror (ENOTSUP)) > 0);
    errno = ETERM;
    CHECK_EQ (zlink_errno (), ETERM);
    zlink_sleep (0);
}

static void every_call_in_a_child (void)
{
    had.traffic = start_traffic ();
    CHECK_OK (zlink_msg_init_size (&had.msg, 100));
    CHECK_OK (zlink_msg_init (&had.other));
    had.timers = zlink_timers_new ();
    had.timer = zlink_timers_add (had.timers, 1, nothing, NULL);
    had.counter = zlink_atomic_counter_new ();
    had.watch = zlink_stopwatch_start ();
    had.thread = zlink_threadstart (idle, NULL);
    exchange (&had.traffic);

    pid_t child = fork ();
    if (child == 0) {
        alarm (CHILD_LIMIT_S);
        sockets_are_refused ();
        messages_are_refused ();
        utilities_are_refused ();
        plain_answers ();
        pid_t grandchild = fork ();
        if (grandchild == 0) {
            CHECK_NULL (zlink_ctx_new (), ENOTSUP);
            _exit (0);
        }
        expect_status (grandchild, 0);
        exit (5);
    }
    expect_status (child, 5 << 8);

    exchange (&had.traffic);
    CHECK_EQ (zlink_timers_execute (had.timers), 0);
    CHECK_EQ (zlink_atomic_counter_inc (had.counter), 0);
    CHECK_EQ (zlink_msg_size (&had.msg), 100);
    zlink_msg_close (&had.msg);
    zlink_timers_destroy (&had.timers);
    zlink_atomic_counter_destroy (&had.counter);
    zlink_stopwatch_stop (had.watch);
    zlink_threadclose (had.thread);
    stop_traffic (&had.traffic);
}

/* ------------------------------------------------------------ busy parents */

static atomic_bool stop;

/* Holds the locks of the library as often as it can. */
static void *busy (void *arg)
{
    while (!atomic_load (&stop)) {
        void *timers = zlink_timers_new ();
        zlink_timers_add (timers, 1000, nothing, NULL);
        zlink_timers_destroy (&timers);
        zlink_ctx_get (arg, ZLINK_MAX_SOCKETS);
    }
    return NULL;
}

static void forks_under_load (void)
{
    traffic_t t = start_traffic ();
    pthread_t thread = zt_thread (busy, t.ctx);
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork ();
        if (child == 0) {
            uint8_t buf[8];
            alarm (CHILD_LIMIT_S);
            CHECK_FAIL (zlink_recv (t.client, buf, sizeof buf, 0), ENOTSUP);
            CHECK_NULL (zlink_timers_new (), ENOTSUP);
            CHECK_FAIL (zlink_close (t.client), ENOTSUP);
            CHECK_FAIL (zlink_ctx_term (t.ctx), ENOTSUP);
            exit (i);
        }
        exchange (&t);
        expect_status (child, i << 8);
    }
    atomic_store (&stop, true);
    zt_join (thread);
    stop_traffic (&t);
}

static traffic_t *left_open;

static void close_what_is_left (void)
{
    zlink_close (left_open->client);
    zlink_ctx_term (left_open->ctx);
}

/* A child that is not careful: it ends with the handlers of its parent. */
static void exit_handlers_of_a_child (void)
{
    traffic_t t = start_traffic ();
    left_open = &t;
    pid_t child = fork ();
    if (child == 0) {
        alarm (CHILD_LIMIT_S);
        atexit (close_what_is_left);
        exit (3);
    }
    expect_status (child, 3 << 8);
    exchange (&t);
    stop_traffic (&t);
}

static pid_t forked_by_thread;

static void *fork_and_return (void *arg)
{
    exchange (arg);
    forked_by_thread = fork ();
    if (forked_by_thread == 0)
        alarm (CHILD_LIMIT_S);
    return NULL;
}

/* A forked thread that returns ends its process, as the only one there. */
static void threads_that_fork (void)
{
#ifdef __SANITIZE_ADDRESS__
    zt_skip ("AddressSanitizer does not free its locks in a child");
    return;
#endif
    traffic_t t = start_traffic ();
    for (int i = 0; i < 10; i++) {
        zt_join (zt_thread (fork_and_return, &t));
        expect_status (forked_by_thread, 0);
    }
    stop_traffic (&t);
}

/* ---------------------------------------------------------------- programs */

static void spawn_program (void)
{
    char *argv[] = {"sh", "-c", "exit 7", NULL};
    pid_t child;
    CHECK_OK (posix_spawn (&child, "/bin/sh", NULL, NULL, argv, environ));
    expect_status (child, 7 << 8);
}

static void fork_program (void)
{
    pid_t child = fork ();
    if (child == 0) {
        execl ("/bin/sh", "sh", "-c", "exit 8", (char *) NULL);
        _exit (127);
    }
    expect_status (child, 8 << 8);
}

static void vfork_program (void)
{
    pid_t child = vfork ();
    if (child == 0) {
        execl ("/bin/sh", "sh", "-c", "exit 9", (char *) NULL);
        _exit (127);
    }
    expect_status (child, 9 << 8);
}

/* The output of a command, without the newline at its end. */
static void output_of (const char *command, char *text, size_t size)
{
    FILE *pipe = popen (command, "r");
    CHECK (pipe != NULL);
    size = fread (text, 1, size - 1, pipe);
    CHECK_OK (pclose (pipe));
    text[size > 0 ? size - 1 : 0] = '\0';
}

static void run_programs (void)
{
    char text[16];
    spawn_program ();
    fork_program ();
    vfork_program ();
    CHECK_EQ (system ("exit 10"), 10 << 8);
    output_of ("echo words", text, sizeof text);
    CHECK_STR (text, "words");
}

static void *run_programs_often (void *arg)
{
    for (int i = 0; i < 10; i++)
        run_programs ();
    atomic_store (&stop, true);
    return arg;
}

static void programs (void)
{
    run_programs ();
    traffic_t t = start_traffic ();
    atomic_store (&stop, false);
    pthread_t thread = zt_thread (run_programs_often, NULL);
    while (!atomic_load (&stop))
        exchange (&t);
    zt_join (thread);
    stop_traffic (&t);
    run_programs ();
}

/* A program inherits no descriptor of the library, and signals and limits as
 * the host has set them. */
static void inheritance_of_programs (void)
{
    static const char command[] =
      "ls /proc/self/fd | wc -l; grep '^Sig[BIC]' /proc/self/status; ulimit -Sn";
    char before[512], during[512], after[512];
    struct rlimit limit, small;
    CHECK_OK (getrlimit (RLIMIT_NOFILE, &limit));
    small = limit;
    small.rlim_cur = 100;
    CHECK_OK (setrlimit (RLIMIT_NOFILE, &small));
    output_of (command, before, sizeof before);
    traffic_t t = start_traffic ();
    exchange (&t);
    output_of (command, during, sizeof during);
    stop_traffic (&t);
    output_of (command, after, sizeof after);
    CHECK_OK (setrlimit (RLIMIT_NOFILE, &limit));
    CHECK_STR (during, before);
    CHECK_STR (after, before);
    CHECK_STR (strrchr (during, '\n'), "\n100");
}

static const zt_case_t cases[] = {
  ZT_CASE (every_call_in_a_child),
  ZT_CASE (forks_under_load),
  ZT_CASE (exit_handlers_of_a_child),
  ZT_CASE (threads_that_fork),
  ZT_CASE (programs),
  ZT_CASE (inheritance_of_programs),
};

ZT_MAIN (cases)
