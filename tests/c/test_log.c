/* SPDX-License-Identifier: MPL-2.0 */
/* The log: what it tells, how much, on which thread (zlink_set_log). */
#include "ztest.h"
#include "zfast.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#define FLOOD 400

static struct
{
    pthread_mutex_t mutex;
    char text[1 << 16]; /* all lines, with their levels */
    size_t used;
    long lines, left_out;
    pthread_t thread;
    bool several_threads;
    void *ask; /* a socket to ask for statistics, and to replace the log */
    long asked;
} got = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void take (int level, const char *line, void *arg)
{
    CHECK (arg == &got);
    if (got.ask) {
        zlink_stream_stats_t stats = {.size = sizeof stats};
        CHECK_OK (zlink_stream_stats (got.ask, &stats));
        CHECK (zlink_socket_peer_count (got.ask) >= 0);
        CHECK_FAIL (zlink_set_log (NULL, ZLINK_LOG_NONE, NULL), EFSM);
    }
    pthread_mutex_lock (&got.mutex);
    unsigned long more;
    if (got.lines && !pthread_equal (got.thread, pthread_self ()))
        got.several_threads = true;
    got.thread = pthread_self ();
    if (sscanf (line, "too many lines, some are left out lines=%lu", &more) == 1)
        got.left_out += (long) more;
    else
        got.lines++;
    got.asked += got.ask != NULL;
    int n = snprintf (got.text + got.used, sizeof got.text - got.used, "%d %s\n", level, line);
    if (got.used + (size_t) n < sizeof got.text)
        got.used += (size_t) n;
    pthread_mutex_unlock (&got.mutex);
}

static bool told (const char *text)
{
    pthread_mutex_lock (&got.mutex);
    bool found = strstr (got.text, text) != NULL;
    pthread_mutex_unlock (&got.mutex);
    return found;
}

static void begin (int level)
{
    got.used = 0;
    got.text[0] = '\0';
    got.lines = got.left_out = got.asked = 0;
    got.ask = NULL;
    CHECK_OK (zlink_set_log (take, level, &got));
}

static void end (void)
{
    CHECK_OK (zlink_set_log (NULL, ZLINK_LOG_NONE, NULL));
}

static void connections_handshakes_limits_errors (void)
{
    void *ctx = zt_ctx (), *server = zt_fast_socket (ctx), *web = zt_fast_socket (ctx),
         *client = zt_fast_socket (ctx);
    begin (ZLINK_LOG_INFO);
    zt_set_int (server, ZLINK_STREAM_MAX_CONNECTIONS, 1);
    int port = zt_bind (server);
    ZT_UNTIL (told ("3 listening local=tcp://127.0.0.1:"));
    zt_connect (client, port);
    zt_fast_event (server, ZLINK_STREAM_CONNECTED);
    ZT_UNTIL (told ("3 connected local=tcp://127.0.0.1:"));
    int second = zt_client (port);
    ZT_UNTIL (told ("2 turned away local=tcp://127.0.0.1:") && told (" reason=limit"));
    close (second);

    CHECK_OK (zlink_bind (web, "ws://127.0.0.1:*"));
    char endpoint[256];
    size_t size = sizeof endpoint;
    CHECK_OK (zlink_getsockopt (web, ZLINK_LAST_ENDPOINT, endpoint, &size));
    int stranger = zt_client (atoi (strrchr (endpoint, ':') + 1));
    CHECK_EQ (send (stranger, "nonsense\r\n\r\n", 12, MSG_NOSIGNAL), 12);
    ZT_UNTIL (told ("2 handshake failed local=ws://127.0.0.1:"));
    close (stranger);

    snprintf (endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", port);
    CHECK_FAIL (zlink_bind (web, endpoint), EADDRINUSE);
    ZT_UNTIL (told ("1 binding failed local=tcp://127.0.0.1:"));
    CHECK (!told ("\n4 "));
    zt_close (client);
    ZT_UNTIL (told ("3 disconnected") && told (" reason=peer_closed"));
    end ();
    zt_close (web);
    zt_close (server);
    zt_term (ctx);
    CHECK (!got.several_threads);
}

/* What is more than a second's lines is counted, and told. */
static void too_many_lines (void)
{
    void *ctx = zt_ctx (), *server = zt_fast_socket (ctx), *other = zt_fast_socket (ctx);
    int port = zt_bind (server);
    long failures = 0;
    char at[64];
    snprintf (at, sizeof at, "tcp://127.0.0.1:%d", port);
    begin (ZLINK_LOG_ERROR);
    for (long left = 0; left == 0 && failures < 100 * FLOOD;) {
        for (int i = 0; i < FLOOD; i++, failures++)
            CHECK_FAIL (zlink_bind (other, at), EADDRINUSE);
        ZT_UNTIL ((pthread_mutex_lock (&got.mutex),
                   left = got.left_out,
                   pthread_mutex_unlock (&got.mutex),
                   got.lines + left == failures));
    }
    CHECK (got.left_out > 0);
    end ();
    zt_close (other);
    zt_close (server);
    zt_term (ctx);
}

static void the_function_calls_zlink (void)
{
    void *ctx = zt_ctx (), *server = zt_fast_socket (ctx), *client = zt_fast_socket (ctx);
    begin (ZLINK_LOG_DEBUG);
    got.ask = server;
    zt_connect (client, zt_bind (server));
    zt_fast_event (server, ZLINK_STREAM_CONNECTED);
    ZT_UNTIL (told ("3 connected"));
    end ();
    CHECK (got.asked > 0);
    long lines = got.lines;
    zt_close (client);
    zt_fast_event (server, ZLINK_STREAM_DISCONNECTED);
    CHECK_EQ (got.lines, lines); /* it is off */
    zt_close (server);
    zt_term (ctx);
}

/* Reads a line of a descriptor, without its end. */
static void next_line (int fd, char *line, size_t cap)
{
    size_t size = 0;
    while (read (fd, line + size, 1) == 1 && line[size] != '\n')
        CHECK (++size < cap);
    CHECK_EQ (line[size], '\n');
    line[size] = '\0';
}

static void to_a_descriptor (void)
{
    enum
    {
        most = 100000
    };
    static const char text[] = "one of the application's own";
    int ends[2];
    char line[512], wanted[64];
    CHECK_OK (pipe2 (ends, O_NONBLOCK | O_CLOEXEC));
    CHECK_OK (fcntl (ends[0], F_SETFL, 0));
    void *to = (void *) (intptr_t) ends[1], *ctx = zt_ctx (), *server = zt_fast_socket (ctx);
    CHECK_OK (zlink_set_log (zlink_log_to_fd, ZLINK_LOG_INFO, to));
    const int port = zt_bind (server);
    next_line (ends[0], line, sizeof line);
    snprintf (wanted, sizeof wanted, "info listening local=tcp://127.0.0.1:%d", port);
    CHECK_STR (line, wanted);
    end ();

    int sent = 0, full;
    do {
        errno = 0;
        zlink_log_to_fd (ZLINK_LOG_ERROR, text, to);
        CHECK_EQ (errno, 0);
        struct pollfd room = {.fd = ends[1], .events = POLLOUT};
        full = poll (&room, 1, 0) == 0;
    } while (++sent < most && !full);
    for (int i = 0; i < 200; i++)
        zlink_log_to_fd (ZLINK_LOG_WARNING, text, to); /* until nothing fits */
    int got = 0, room = 1 << 20;
    CHECK (fcntl (ends[1], F_SETPIPE_SZ, room) >= room);
    zlink_log_to_fd (ZLINK_LOG_DEBUG, text, to);
    long left_out = 0;
    do {
        next_line (ends[0], line, sizeof line);
        if (sscanf (line, "error too many lines, some are left out lines=%ld", &left_out) != 1)
            got++;
    } while (strncmp (line, "debug ", 6) != 0);
    CHECK_STR (line + 6, text);
    CHECK (left_out > 0);
    CHECK_EQ (got + left_out, sent + 200 + 1);
    close (ends[0]);
    close (ends[1]);
    zt_close (server);
    zt_term (ctx);
}

/* A pipe whose reader has gone takes no line, and that is no SIGPIPE of the process; one of the host's own stays. */
static void the_reader_has_gone (void)
{
    int ends[2], others[2];
    char line[512];
    sigset_t pipe, before, waiting;
    CHECK (signal (SIGPIPE, SIG_DFL) != SIG_ERR);
    CHECK_OK (pipe2 (ends, O_CLOEXEC));
    CHECK_OK (pipe2 (others, O_CLOEXEC));
    close (ends[0]);
    errno = 0;
    zlink_log_to_fd (ZLINK_LOG_ERROR, "to nobody", (void *) (intptr_t) ends[1]);
    CHECK_EQ (errno, 0);
    sigemptyset (&pipe);
    sigaddset (&pipe, SIGPIPE);
    CHECK_EQ (pthread_sigmask (SIG_BLOCK, &pipe, &before), 0);
    CHECK (!sigismember (&before, SIGPIPE));
    CHECK_EQ (raise (SIGPIPE), 0);
    zlink_log_to_fd (ZLINK_LOG_ERROR, "to nobody", (void *) (intptr_t) ends[1]);
    CHECK_OK (sigpending (&waiting));
    CHECK (sigismember (&waiting, SIGPIPE));
    CHECK_EQ (sigtimedwait (&pipe, NULL, &(struct timespec) {0, 0}), SIGPIPE);
    CHECK_EQ (pthread_sigmask (SIG_SETMASK, &before, NULL), 0);
    zlink_log_to_fd (ZLINK_LOG_INFO, "to somebody", (void *) (intptr_t) others[1]);
    next_line (others[0], line, sizeof line);
    CHECK_STR (line, "error too many lines, some are left out lines=2");
    next_line (others[0], line, sizeof line);
    CHECK_STR (line, "info to somebody");
    close (ends[1]);
    close (others[0]);
    close (others[1]);
}

/* Takes what a socket has, and counts the lines, and those that were left out. Returns whether the last one has no end. */
static bool take_lines (int fd, long *lines, long *left_out)
{
    char line[8192];
    size_t used = 0;
    for (char c; recv (fd, &c, 1, MSG_DONTWAIT) == 1;) {
        CHECK (used < sizeof line - 1);
        line[used++] = c;
        if (c != '\n')
            continue;
        long more;
        line[used] = '\0';
        used = 0;
        if (sscanf (line, "error too many lines, some are left out lines=%ld\n", &more) == 1)
            *left_out += more;
        else if (strcmp (line, "\n") != 0) { /* which ends a part */
            CHECK (strncmp (line, "info ", 5) == 0 && (strcmp (line + 5, "short\n") == 0 || strspn (line + 5, "x") == strlen (line) - 6));
            ++*lines;
        }
    }
    return used > 0;
}

/* What a socket takes of a line before it is full stays a line of its own. */
static void a_part_of_a_line (void)
{
    static char text[4001];
    int ends[2], one = 1;
    long sent = 0, lines = 0, left_out = 0;
    bool torn = false;
    memset (text, 'x', sizeof text - 1);
    CHECK_OK (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    CHECK_OK (setsockopt (ends[1], SOL_SOCKET, SO_SNDBUF, &one, sizeof one));
    CHECK_OK (fcntl (ends[1], F_SETFL, O_NONBLOCK));
    void *to = (void *) (intptr_t) ends[1];
    for (int before = 0; before < 50 && !torn; before++) { /* it depends on the room that short ones leave */
        for (int i = 0; i < before; i++, sent++)
            zlink_log_to_fd (ZLINK_LOG_INFO, "short", to);
        zlink_log_to_fd (ZLINK_LOG_INFO, text, to);
        sent++;
        torn = take_lines (ends[0], &lines, &left_out);
    }
    CHECK (torn);
    for (int i = 0; i < 2; i++, sent++) {
        zlink_log_to_fd (ZLINK_LOG_INFO, "short", to);
        CHECK (!take_lines (ends[0], &lines, &left_out));
    }
    CHECK (left_out > 0);
    CHECK_EQ (lines + left_out, sent);
    close (ends[0]);
    close (ends[1]);
}

static size_t threads (void)
{
    size_t count = 0;
    DIR *tasks = opendir ("/proc/self/task");
    CHECK (tasks != NULL);
    while (readdir (tasks))
        count++;
    closedir (tasks);
    return count;
}

/* However often the function is replaced, it has one thread. */
static void replaced_often (void)
{
    enum
    {
        times = 100
    };
    begin (ZLINK_LOG_INFO);
    const size_t before = threads ();
    for (int i = 0; i < times; i++)
        begin (ZLINK_LOG_INFO);
    CHECK (threads () < before + times / 2);
    end ();
}

static void levels (void)
{
    CHECK_FAIL (zlink_set_log (take, -1, &got), EINVAL);
    CHECK_FAIL (zlink_set_log (take, 5, &got), EINVAL);
    CHECK_OK (zlink_set_log (NULL, ZLINK_LOG_DEBUG, NULL));
    CHECK_OK (zlink_set_log (take, ZLINK_LOG_NONE, NULL));
}

static const zt_case_t cases[] = {
  ZT_CASE (connections_handshakes_limits_errors),
  ZT_CASE (too_many_lines),
  ZT_CASE (the_function_calls_zlink),
  ZT_CASE (to_a_descriptor),
  ZT_CASE (the_reader_has_gone),
  ZT_CASE (a_part_of_a_line),
  ZT_CASE (replaced_often),
  ZT_CASE (levels),
};

ZT_MAIN (cases)
