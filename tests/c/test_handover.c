/* SPDX-License-Identifier: MPL-2.0 */
/* One process takes the listeners of another one over, or those that systemd has passed. */
#include "ztest.h"
#include "zfast.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define CHILD_LIMIT_S 60
#define PATIENCE_MS 30000

static char path[64];

static void new_path (void)
{
    static int n;
    snprintf (path, sizeof path, "@zlink-handover-%d-%d", (int) getpid (), n++);
}

/* Echoes until a client says "end". */
static void serve (void *s)
{
    zlink_msg_t msg;
    bool on = true;
    CHECK_OK (zlink_msg_init (&msg));
    while (on) {
        CHECK (zlink_msg_recv (&msg, s, 0) >= 0);
        if (zlink_msg_get (&msg, ZLINK_STREAM_EVENT) != 0)
            continue;
        on = zlink_msg_size (&msg) != 3 || memcmp (zlink_msg_data (&msg), "end", 3) != 0;
        zt_fast_send (s, zlink_msg_routing_id (&msg), zlink_msg_data (&msg), zlink_msg_size (&msg));
    }
    CHECK_OK (zlink_msg_close (&msg));
    zt_close (s);
}

/* The process that takes over. */
static int run_next (const char *at)
{
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    alarm (CHILD_LIMIT_S);
    ZT_UNTIL (zlink_stream_takeover (s, at, -1, PATIENCE_MS) == 0 || errno != ECONNREFUSED);
    serve (s);
    zt_term (ctx);
    return EXIT_SUCCESS;
}

/* The process that systemd starts. */
static int run_activated (const char *endpoint)
{
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    alarm (CHILD_LIMIT_S);
    CHECK_OK (zlink_setsockopt (s, ZLINK_STREAM_LISTEN_NAME, "chat", 4));
    CHECK_OK (zlink_bind (s, endpoint));
    serve (s);
    zt_term (ctx);
    return EXIT_SUCCESS;
}

static pid_t start (const char *as, const char *what)
{
    pid_t child = fork ();
    if (child == 0) {
        execl ("/proc/self/exe", "test_handover", as, what, (char *) NULL);
        _exit (127);
    }
    CHECK (child > 0);
    return child;
}

static void expect_success (pid_t child)
{
    int status = -1;
    CHECK_EQ (waitpid (child, &status, 0), child);
    CHECK_EQ (status, 0);
}

static void expect_echo (int fd, const char *text)
{
    char body[16];
    size_t size = strlen (text);
    zt_write_frame (fd, text, size);
    CHECK_EQ (zt_read_frame (fd, body, sizeof body), size);
    CHECK_MEM (body, text, size);
}

/* The old process drains as soon as the other one serves; who connects then reaches that. */
static void to_another_process (void)
{
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    int port = zt_bind (s);
    new_path ();
    pid_t next = start ("--next", path);
    CHECK_OK (zlink_stream_handover (s, path, -1, PATIENCE_MS));
    CHECK_OK (zlink_stream_drain (s, 0, 0));
    for (int i = 0; i < 20; i++) {
        int fd = zt_client (port);
        expect_echo (fd, "hello");
        close (fd);
    }
    int fd = zt_client (port);
    expect_echo (fd, "end");
    close (fd);
    zt_close (s);
    zt_term (ctx);
    expect_success (next);
}

/* A process that dies, or is of another user, changes nothing. */
static void serves_on (void)
{
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    int port = zt_bind (s), ends[2];
    new_path ();

    CHECK_OK (socketpair (AF_UNIX, SOCK_STREAM, 0, ends));
    pid_t dead = fork ();
    if (dead == 0) {
        raise (SIGKILL);
        _exit (0);
    }
    close (ends[1]);
    CHECK_EQ (waitpid (dead, NULL, 0), dead);
    CHECK_FAIL (zlink_stream_handover (s, NULL, ends[0], PATIENCE_MS), ECONNRESET);
    CHECK (strstr (zlink_error_detail (), "ended before") != NULL);
    close (ends[0]);

    if (geteuid () == 0) {
        pid_t stranger = fork ();
        if (stranger == 0) {
            execl ("/proc/self/exe", "test_handover", "--stranger", path, (char *) NULL);
            _exit (127);
        }
        CHECK_FAIL (zlink_stream_handover (s, path, -1, PATIENCE_MS), EACCES);
        CHECK (strstr (zlink_error_detail (), "of user 65534") != NULL);
        expect_success (stranger);
    }
    int fd = zt_client (port);
    zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    close (fd);
    zt_close (s);
    zt_term (ctx);
}

/* Hears that it is not trusted. */
static int run_stranger (const char *at)
{
    /* Only now, as another user may not be able to load the library. Leaks can be looked for. */
    if (setuid (65534) != 0 || prctl (PR_SET_DUMPABLE, 1) != 0)
        return EXIT_FAILURE;
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    alarm (CHILD_LIMIT_S);
    ZT_UNTIL (zlink_stream_takeover (s, at, -1, PATIENCE_MS) == -1 && errno != ECONNREFUSED);
    CHECK_EQ (errno, ECONNRESET);
    CHECK (strstr (zlink_error_detail (), "of user 65534") != NULL);
    zt_close (s);
    zt_term (ctx);
    return EXIT_SUCCESS;
}

static void arguments (void)
{
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    int port = zt_bind (s);
    CHECK_FAIL (zlink_stream_handover (NULL, "@x", -1, 0), ENOTSOCK);
    CHECK_FAIL (zlink_stream_takeover (NULL, "@x", -1, 0), ENOTSOCK);
    CHECK_FAIL (zlink_stream_handover (s, NULL, -1, 0), EINVAL);
    CHECK_FAIL (zlink_stream_takeover (s, NULL, -1, 0), EINVAL);
    CHECK_FAIL (zlink_stream_handover (s, "@x", 0, 0), EINVAL);
    CHECK_FAIL (zlink_stream_takeover (s, "@x", -2, 0), EINVAL);
    CHECK_FAIL (zlink_stream_takeover (s, "@x", -1, -2), EINVAL);
    CHECK_FAIL (zlink_stream_takeover (s, "/nowhere/at/all", -1, 0), ENOENT);
    new_path ();
    CHECK_FAIL (zlink_stream_takeover (s, path, -1, 0), ECONNREFUSED);
    CHECK_FAIL (zlink_stream_handover (s, path, -1, 0), ETIMEDOUT);
    close (zt_client (port));
    zt_close (s);
    zt_term (ctx);
}

/* Both calls object to the same paths and descriptors, before they wait for anybody. */
static void refused_alike (void)
{
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    zt_bind (s);
    char longest[109];
    memset (longest, 'x', sizeof longest);
    longest[108] = 0;
    const char *paths[] = {"", "@", longest};
    for (int i = 0; i < 3; i++) {
        CHECK_FAIL (zlink_stream_handover (s, paths[i], -1, -1), i < 2 ? EINVAL : ENAMETOOLONG);
        CHECK_FAIL (zlink_stream_takeover (s, paths[i], -1, -1), i < 2 ? EINVAL : ENAMETOOLONG);
    }
    int port, listener = zt_listen (&port), tcp = zt_client (port), local = socket (AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un nameless = {AF_UNIX, ""};
    int datagrams[2], packets[2];
    CHECK (bind (local, (struct sockaddr *) &nameless, sizeof nameless.sun_family) == 0 && listen (local, 1) == 0);
    CHECK (socketpair (AF_UNIX, SOCK_DGRAM, 0, datagrams) == 0);
    CHECK (socketpair (AF_UNIX, SOCK_SEQPACKET, 0, packets) == 0);
    int fds[] = {listener, tcp, local, datagrams[0], packets[0], datagrams[1], packets[1]};
    for (int i = 0; i < 7; i++) {
        CHECK_FAIL (zlink_stream_handover (s, NULL, fds[i], -1), EINVAL);
        CHECK_FAIL (zlink_stream_takeover (s, NULL, fds[i], -1), EINVAL);
    }
    for (int i = 0; i < 7; i++)
        close (fds[i]);
    zt_close (s);
    zt_term (ctx);
}

/* As systemd does it: descriptor 3, and three variables. */
static void socket_activation (void)
{
    int port, listener = zt_listen (&port);
    pid_t child = fork ();
    if (child == 0) {
        char pid[16];
        snprintf (pid, sizeof pid, "%d", (int) getpid ());
        setenv ("LISTEN_PID", pid, 1);
        setenv ("LISTEN_FDS", "1", 1);
        setenv ("LISTEN_FDNAMES", "chat", 1);
        if (listener == 3 || dup2 (listener, 3) == 3)
            execl ("/proc/self/exe", "test_handover", "--activated", zt_endpoint (port), (char *) NULL);
        _exit (127);
    }
    close (listener);
    int fd = zt_client (port);
    expect_echo (fd, "end");
    close (fd);
    expect_success (child);
}

static const zt_case_t cases[] = {
  ZT_CASE (to_another_process),
  ZT_CASE (serves_on),
  ZT_CASE (arguments),
  ZT_CASE (refused_alike),
  ZT_CASE (socket_activation),
};

int main (int argc, char **argv)
{
    if (argc == 3 && strcmp (argv[1], "--next") == 0)
        return run_next (argv[2]);
    if (argc == 3 && strcmp (argv[1], "--stranger") == 0)
        return run_stranger (argv[2]);
    if (argc == 3 && strcmp (argv[1], "--activated") == 0)
        return run_activated (argv[2]);
    return zt_main (argc, argv, cases, sizeof cases / sizeof *cases);
}
