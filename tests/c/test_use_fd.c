/* SPDX-License-Identifier: MPL-2.0 */
/* USE_FD: a listening descriptor that the application, or the process that
 * started it, has opened. */
#include "ztest.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define CHILD_LIMIT_S 30

static void expect_last_endpoint (void *s, const char *expected)
{
    char text[256];
    size_t size = sizeof text;
    CHECK_OK (zlink_getsockopt (s, ZLINK_LAST_ENDPOINT, text, &size));
    CHECK_STR (text, expected);
    CHECK_EQ (size, strlen (expected) + 1);
}

static bool is_open (int fd)
{
    return fcntl (fd, F_GETFD) != -1;
}

/* A client reaches the socket through the port. */
static int expect_service (void *s, int port)
{
    zlink_routing_id_t id;
    int fd = zt_client (port);
    zt_expect_connect (s, &id);
    zt_write_frame (fd, "hello", 5);
    zt_expect (s, &id, "hello", 5);
    return fd;
}

static void used_once (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    int port, listener = zt_listen (&port);

    zt_set_int (s, ZLINK_USE_FD, listener);
    /* Neither a connect nor a bind that fails takes it. */
    zt_connect (s, zt_free_port ());
    CHECK_FAIL (zlink_bind (s, "tcp://127.0.0.1"), EINVAL);
    CHECK_EQ (zt_get_int (s, ZLINK_USE_FD), listener);
    CHECK_OK (zlink_bind (s, "tcp://127.0.0.1:*"));
    CHECK_EQ (zt_get_int (s, ZLINK_USE_FD), -1);
    expect_last_endpoint (s, zt_endpoint (port));
    close (expect_service (s, port));
    CHECK (zt_bind (s) != port);
    zt_close (s);
    zt_term (ctx);
    CHECK (!is_open (listener));
}

static int listening_unix_socket (void)
{
    struct sockaddr_un address = {AF_UNIX, ""};
    int fd = socket (AF_UNIX, SOCK_STREAM, 0);
    snprintf (address.sun_path + 1, 32, "zlink-%d", (int) getpid ());
    CHECK_OK (bind (fd, (struct sockaddr *) &address, sizeof address));
    CHECK_OK (listen (fd, 1));
    return fd;
}

static void unusable_descriptors (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    int port, listener = zt_listen (&port), ends[2];
    char name[32];

    CHECK_OK (pipe (ends));
    int closed = fcntl (listener, F_DUPFD, 500);
    close (closed);
    const struct
    {
        int fd, err;
        const char *why;
    } table[] = {
      {closed, EBADF, "is not open"},
      {ends[0], EINVAL, "is not a socket"},
      {socket (AF_INET, SOCK_STREAM, 0), EINVAL, "does not listen"},
      {zt_client (port), EINVAL, "does not listen"},
      {socket (AF_INET, SOCK_DGRAM, 0), EINVAL, "does not listen"},
      {listening_unix_socket (), EINVAL, "does not listen on tcp"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        zt_set_int (s, ZLINK_USE_FD, table[i].fd);
        CHECK_FAIL (zlink_bind (s, "tcp://127.0.0.1:*"), table[i].err);
        snprintf (name, sizeof name, "descriptor %d ", table[i].fd);
        printf ("%s\n", zlink_error_detail ());
        CHECK (strstr (zlink_error_detail (), name) != NULL);
        CHECK (strstr (zlink_error_detail (), table[i].why) != NULL);
        /* It stays the caller's, and the option as it was set. */
        CHECK_EQ (zt_get_int (s, ZLINK_USE_FD), table[i].fd);
        CHECK_EQ (is_open (table[i].fd), table[i].fd != closed);
        close (table[i].fd);
    }
    close (ends[1]);
    zt_set_int (s, ZLINK_USE_FD, -1);
    CHECK (zt_bind (s) != port);
    close (listener);
    zt_close (s);
    zt_term (ctx);
}

/* The port is free after unbind, though the descriptor came without
 * SO_REUSEADDR and a connection lives on. */
static void unbind (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx), *next = zt_socket (ctx);
    int port, listener = zt_listen (&port);

    zt_set_int (s, ZLINK_USE_FD, listener);
    CHECK_OK (zlink_bind (s, "tcp://127.0.0.1:*"));
    int fd = expect_service (s, port);
    CHECK_OK (zlink_unbind (s, zt_endpoint (port)));
    CHECK_FAIL (zlink_unbind (s, zt_endpoint (port)), ENOENT);
    ZT_UNTIL (zlink_bind (next, zt_endpoint (port)) == 0);
    close (expect_service (next, port));
    zt_write_frame (fd, "still here", 10);
    zlink_routing_id_t id;
    char body[16];
    CHECK_EQ (zt_recv (s, &id, body, sizeof body), 10);
    close (fd);
    zt_close (s);
    zt_close (next);
    zt_term (ctx);
}

static int kernel (int fd, int level, int name)
{
    int value = -12345;
    socklen_t size = sizeof value;
    CHECK_OK (getsockopt (fd, level, name, &value, &size));
    return value;
}

/* The program that is started with a descriptor: echoes one message, then one
 * more, and ends. */
static int run_child (int listener, int port)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    void *monitor = zlink_socket_monitor_open (
      s, ZLINK_EVENT_LISTENING | ZLINK_EVENT_ACCEPTED);
    zlink_monitor_event_t e;
    zlink_routing_id_t id;
    char body[16];

    alarm (CHILD_LIMIT_S);
    CHECK (!(fcntl (listener, F_GETFD) & FD_CLOEXEC));
    zt_set_int (s, ZLINK_USE_FD, listener);
    zt_set_int (s, ZLINK_TCP_KEEPALIVE, 1);
    CHECK_OK (zlink_bind (s, "tcp://127.0.0.1:*"));
    expect_last_endpoint (s, zt_endpoint (port));
    CHECK_OK (zlink_monitor_recv (monitor, &e, 0));
    CHECK_EQ (e.event, ZLINK_EVENT_LISTENING);
    CHECK_EQ (e.value, listener);
    CHECK_STR (e.local_addr, zt_endpoint (port));
    CHECK (fcntl (listener, F_GETFD) & FD_CLOEXEC);
    CHECK (fcntl (listener, F_GETFL) & O_NONBLOCK);

    zt_expect_connect (s, &id);
    CHECK_OK (zlink_monitor_recv (monitor, &e, 0));
    CHECK_EQ (e.event, ZLINK_EVENT_ACCEPTED);
    CHECK_EQ (kernel ((int) e.value, IPPROTO_TCP, TCP_NODELAY), 1);
    CHECK_EQ (kernel ((int) e.value, SOL_SOCKET, SO_KEEPALIVE), 1);
    size_t size = zt_recv (s, &id, body, sizeof body);
    zt_send (s, &id, body, size);
    CHECK_OK (zlink_unbind (s, zt_endpoint (port)));
    ZT_UNTIL (!is_open (listener));
    size = zt_recv (s, &id, body, sizeof body);
    zt_send (s, &id, body, size);
    zt_close (monitor);
    zt_close (s);
    zt_term (ctx);
    return EXIT_SUCCESS;
}

static pid_t start_child (int listener, int port)
{
    char fd_text[16], port_text[16];
    snprintf (fd_text, sizeof fd_text, "%d", listener);
    snprintf (port_text, sizeof port_text, "%d", port);
    pid_t child = fork ();
    if (child == 0) {
        execl ("/proc/self/exe", "test_use_fd", "--child", fd_text, port_text,
               (char *) NULL);
        _exit (127);
    }
    CHECK (child > 0);
    return child;
}

static bool acceptable (int listener)
{
    struct pollfd item = {listener, POLLIN, 0};
    return poll (&item, 1, 10) == 1 && item.revents == POLLIN;
}

/* The parent still listens when the program it started has unbound and ended,
 * so that it can start the next one. */
static void handed_over_by_a_parent (void)
{
    int port, listener = zt_listen (&port), status = -1;
    char body[16];

    for (int round = 0; round < 2; round++) {
        pid_t child = start_child (listener, port);
        int fd = zt_client (port);
        zt_write_frame (fd, "to a child", 10);
        CHECK_EQ (zt_read_frame (fd, body, sizeof body), 10);
        zt_write_frame (fd, "once more", 9);
        CHECK_EQ (zt_read_frame (fd, body, sizeof body), 9);
        zt_expect_eof (fd);
        close (fd);
        CHECK_EQ (waitpid (child, &status, 0), child);
        CHECK_EQ (status, 0);
    }
    int fd = zt_client (port);
    ZT_UNTIL (acceptable (listener));
    close (zt_accept (listener));
    close (fd);
    close (listener);
}

static const zt_case_t cases[] = {
  ZT_CASE (used_once),
  ZT_CASE (unusable_descriptors),
  ZT_CASE (unbind),
  ZT_CASE (handed_over_by_a_parent),
};

int main (int argc, char **argv)
{
    if (argc == 4 && strcmp (argv[1], "--child") == 0)
        return run_child (atoi (argv[2]), atoi (argv[3]));
    return zt_main (argc, argv, cases, sizeof cases / sizeof *cases);
}
