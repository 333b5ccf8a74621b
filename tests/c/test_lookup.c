/* SPDX-License-Identifier: MPL-2.0 */
/* The look-up of a name that nobody answers: it holds up no end; and a name with
 * several addresses. The program
 * makes a folder its root whose resolv.conf names a server of this test that is
 * silent; who may not do that does it in a user namespace. No mount is needed. */
#include "ztest.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* The exit code of a test that cannot run here, and has said why. */
#define SKIPPED 77

#define NAME_SERVER "127.53.53.53"
#define ENDPOINT "tcp://nobody.example:1"
/* A look-up goes on for 10 s. */
#define SOON_MS 50000

static int name_server;

/* zt_fd_count () where there is no /proc. */
static size_t open_fds (void)
{
    size_t count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl (fd, F_GETFD) != -1;
    return count;
}

/* A socket whose look-up has begun. */
static void *start_look_up (void *ctx)
{
    void *s = zt_socket (ctx);
    struct pollfd asked = {name_server, POLLIN, 0};
    char query[512];

    while (recv (name_server, query, sizeof query, MSG_DONTWAIT) > 0) {
    }
    CHECK_OK (zlink_connect (s, ENDPOINT));
    CHECK_EQ (poll (&asked, 1, SOON_MS), 1);
    return s;
}

static void close_ends_a_look_up (void)
{
    void *ctx = zt_ctx (), *s = start_look_up (ctx);
    size_t fds = open_fds ();
    zt_close (s);
    zt_term (ctx);
    ZT_UNTIL (open_fds () < fds); /* that of the query, too */
}

static void disconnect_ends_a_look_up (void)
{
    void *ctx = zt_ctx (), *s = start_look_up (ctx);
    void *monitor = zlink_socket_monitor_open (s, ZLINK_EVENT_CLOSED);
    zlink_monitor_event_t event;

    CHECK (monitor != NULL);
    CHECK_OK (zlink_disconnect (s, ENDPOINT));
    CHECK_FAIL (zlink_disconnect (s, ENDPOINT), ENOENT);
    zt_expect_silence (s, 100);
    zt_close (s);
    CHECK_OK (zlink_monitor_recv (monitor, &event, 0));
    CHECK_EQ (event.event, ZLINK_EVENT_MONITOR_STOPPED);
    zt_close (monitor);
    zt_term (ctx);
}

/* Other connections of the shard do not wait for it either. */
static void a_look_up_delays_nobody (void)
{
    void *ctx = zt_ctx (), *s = start_look_up (ctx);
    zlink_routing_id_t id;
    int fd = zt_client (zt_bind (s));
    zt_expect_connect (s, &id);
    zt_write_frame (fd, "meanwhile", 9);
    zt_expect (s, &id, "meanwhile", 9);
    close (fd);
    zt_close (s);
    zt_term (ctx);
}

/* Answers a query: the name's address is 127.0.0.1. */
static void answer_query (void)
{
    static const uint8_t header[] = {0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0};
    static const uint8_t address[] = {0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4,
                                      127, 0, 0, 1};
    uint8_t packet[1024];
    struct sockaddr_in peer;
    socklen_t peer_size = sizeof peer;
    ssize_t size = recvfrom (name_server, packet, 512, 0,
                             (struct sockaddr *) &peer, &peer_size);
    CHECK (size > 12);
    size_t end = 12 + strlen ((char *) packet + 12) + 1 + 4; /* the question's */
    memcpy (packet + 2, header, sizeof header);
    memcpy (packet + end, address, sizeof address);
    CHECK (sendto (name_server, packet, end + sizeof address, 0,
                   (struct sockaddr *) &peer, peer_size)
           > 0);
}

static void a_late_answer_is_dialled (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    int port, listener = zt_listen (&port);
    char endpoint[64];
    zlink_routing_id_t id;

    snprintf (endpoint, sizeof endpoint, "tcp://somebody.example:%d", port);
    CHECK_OK (zlink_connect (s, endpoint));
    zt_expect_silence (s, 100);
    answer_query ();
    zt_expect_connect (s, &id);
    int fd = zt_accept (listener);
    zt_write_frame (fd, "hello", 5);
    zt_expect (s, &id, "hello", 5);
    CHECK_OK (zlink_disconnect (s, endpoint));
    zt_expect_eof (fd);
    close (fd);
    close (listener);
    zt_close (s);
    zt_term (ctx);
}

/* A listener on an address of this machine, with the port of another one if port
 * is not 0. */
static int listen_at (const char *address, int port, int backlog)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons ((uint16_t) port)};
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK (fd >= 0);
    CHECK_EQ (inet_pton (AF_INET, address, &at.sin_addr), 1);
    CHECK_OK (bind (fd, (struct sockaddr *) &at, sizeof at));
    CHECK_OK (listen (fd, backlog));
    return fd;
}

/* A connection that is under way to an address of this machine. */
static int call_at (const char *address, int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons ((uint16_t) port)};
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK (fd >= 0);
    CHECK_EQ (inet_pton (AF_INET, address, &at.sin_addr), 1);
    CHECK (connect (fd, (struct sockaddr *) &at, sizeof at) == 0
           || errno == EINPROGRESS);
    return fd;
}

/* Connects to the name of 127.0.0.2, .3 and .1, of which only the last one
 * serves; its events show the addresses that were tried. */
static void reach_the_third (int port)
{
    static const char *const texts[] = {"127.0.0.2", "127.0.0.3", "127.0.0.1"};
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    void *monitor = zlink_socket_monitor_open (s, ZLINK_EVENT_ALL);
    zlink_monitor_event_t event;
    zlink_routing_id_t id;
    char endpoint[64];

    CHECK (monitor != NULL);
    zt_set_int (s, ZLINK_RECONNECT_IVL, -1); /* all of it in one try */
    snprintf (endpoint, sizeof endpoint, "tcp://three.example:%d", port);
    CHECK_OK (zlink_connect (s, endpoint));
    zt_expect_connect (s, &id);
    for (int at = 0;;) {
        CHECK_OK (zlink_monitor_recv (monitor, &event, 0));
        if (event.event == ZLINK_EVENT_CONNECTED) {
            CHECK (strstr (event.remote_addr, texts[2]) != NULL);
            break;
        }
        if (event.event == ZLINK_EVENT_CONNECT_DELAYED) {
            CHECK (at < 3 && strstr (event.remote_addr, texts[at]) != NULL);
            at++;
        }
    }
    zt_close (s);
    zt_close (monitor);
    zt_term (ctx);
}

static void addresses_that_refuse_are_passed_by (void)
{
    int port, listener = zt_listen (&port);
    reach_the_third (port);
    close (listener);
}

/* The kernel drops what comes for a listener whose queue is full. */
static void addresses_that_are_silent_are_passed_by (void)
{
    enum
    {
        callers = 4
    };
    int port, listener = zt_listen (&port), calls[2][callers], full[2];
    static const char *const silent[] = {"127.0.0.2", "127.0.0.3"};
    for (int i = 0; i < 2; i++) {
        full[i] = listen_at (silent[i], port, 0);
        for (int j = 0; j < callers; j++)
            calls[i][j] = call_at (silent[i], port);
    }
    reach_the_third (port);
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < callers; j++)
            close (calls[i][j]);
        close (full[i]);
    }
    close (listener);
}

/* The try that CONNECT_TIMEOUT ends is that of all addresses. */
static void a_time_out_ends_all_attempts (void)
{
    enum
    {
        callers = 4
    };
    int port, listener = zt_listen (&port), calls[callers];
    close (listener);
    int full = listen_at ("127.0.0.2", port, 0);
    for (int j = 0; j < callers; j++)
        calls[j] = call_at ("127.0.0.2", port);
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    void *monitor = zlink_socket_monitor_open (s, ZLINK_EVENT_CLOSED | ZLINK_EVENT_CONNECT_RETRIED);
    zlink_monitor_event_t event;
    char endpoint[64];
    CHECK (monitor != NULL);
    zt_set_int (s, ZLINK_CONNECT_TIMEOUT, 600);
    zt_set_int (s, ZLINK_RECONNECT_IVL, 100000);
    size_t fds = open_fds ();
    snprintf (endpoint, sizeof endpoint, "tcp://three.example:%d", port);
    CHECK_OK (zlink_connect (s, endpoint));
    do
        CHECK_OK (zlink_monitor_recv (monitor, &event, 0));
    while (event.event != ZLINK_EVENT_CONNECT_RETRIED);
    ZT_UNTIL (open_fds () <= fds + 2); /* what the look-up of names keeps */
    zt_close (s);
    zt_close (monitor);
    zt_term (ctx);
    for (int j = 0; j < callers; j++)
        close (calls[j]);
    close (full);
}

static const zt_case_t cases[] = {
  ZT_CASE (a_late_answer_is_dialled),
  ZT_CASE (addresses_that_refuse_are_passed_by),
  ZT_CASE (addresses_that_are_silent_are_passed_by),
  ZT_CASE (a_time_out_ends_all_attempts),
  ZT_CASE (close_ends_a_look_up),
  ZT_CASE (disconnect_ends_a_look_up),
  ZT_CASE (a_look_up_delays_nobody),
};

static int open_name_server (void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons (53)};
    int fd = socket (AF_INET, SOCK_DGRAM, 0);
    CHECK (fd >= 0);
    CHECK_EQ (inet_pton (AF_INET, NAME_SERVER, &address.sin_addr), 1);
    if (bind (fd, (struct sockaddr *) &address, sizeof address) == 0)
        return fd;
    close (fd);
    return -1;
}

static bool write_file (const char *path, const char *text)
{
    int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    bool done =
      fd >= 0 && write (fd, text, strlen (text)) == (ssize_t) strlen (text);
    if (fd >= 0)
        close (fd);
    return done;
}

/* A user namespace where this process may do everything, with a network of its
 * own. */
static bool enter_namespace (void)
{
    char uid[32], gid[32];
    struct ifreq lo = {.ifr_name = "lo"};
    snprintf (uid, sizeof uid, "0 %u 1", geteuid ());
    snprintf (gid, sizeof gid, "0 %u 1", getegid ());
    if (unshare (CLONE_NEWUSER | CLONE_NEWNET) != 0
        || !write_file ("/proc/self/setgroups", "deny")
        || !write_file ("/proc/self/uid_map", uid)
        || !write_file ("/proc/self/gid_map", gid))
        return false;
    int fd = socket (AF_INET, SOCK_DGRAM, 0);
    lo.ifr_flags = IFF_UP;
    bool up = fd >= 0 && ioctl (fd, SIOCSIFFLAGS, &lo) == 0;
    close (fd);
    return up;
}

static int skip (const char *what)
{
    printf ("skipped: %s (%s)\n", what, strerror (errno));
    fflush (stdout);
    return SKIPPED;
}

/* In a child: with the name server, and the right to change the root, starts
 * the program again, as Go does not outlive a fork. */
static int become_test (char **argv)
{
    char number[16];
    name_server = open_name_server ();
    if (name_server < 0 || chroot ("/") != 0) {
        if (!enter_namespace ())
            return skip ("no right to change the root, and no user namespace");
        if (name_server >= 0)
            close (name_server);
        if ((name_server = open_name_server ()) < 0)
            return skip ("no name server at " NAME_SERVER);
    }
    snprintf (number, sizeof number, "%d", name_server);
    CHECK_OK (setenv ("NAME_SERVER_FD", number, 1));
    execv ("/proc/self/exe", argv);
    return skip ("no /proc/self/exe to start again");
}

static int run_in (const char *folder, int argc, char **argv)
{
    int root = open ("/", O_PATH | O_DIRECTORY);
    name_server = atoi (getenv ("NAME_SERVER_FD"));
    CHECK (root >= 0);
    if (chroot (folder) != 0)
        return skip ("no right to change the root");
    int code = zt_main (argc, argv, cases, sizeof cases / sizeof *cases);
    /* A sanitizer looks at /proc in the end. */
    CHECK_OK (fchdir (root));
    CHECK_OK (chroot ("."));
    return code;
}

int main (int argc, char **argv)
{
    int status;
    char folder[] = "/tmp/zlink-root-XXXXXX", etc[64], file[80], hosts[80];
    if (getenv ("NAME_SERVER_FD"))
        return run_in (getenv ("NAME_SERVER_ROOT"), argc, argv);
    CHECK (mkdtemp (folder) != NULL);
    snprintf (etc, sizeof etc, "%s/etc", folder);
    snprintf (file, sizeof file, "%s/resolv.conf", etc);
    CHECK_OK (mkdir (etc, 0755));
    /* Who waits for an answer waits for longer than the watchdog. */
    CHECK (write_file (file, "nameserver " NAME_SERVER "\noptions timeout:600 attempts:1\n"));
    snprintf (hosts, sizeof hosts, "%s/hosts", etc);
    CHECK (write_file (hosts, "127.0.0.2 three.example\n127.0.0.3 three.example\n"
                              "127.0.0.1 three.example\n"));
    CHECK_OK (setenv ("NAME_SERVER_ROOT", folder, 1));
    pid_t child = fork ();
    CHECK (child >= 0);
    if (child == 0)
        _exit (become_test (argv));
    CHECK_EQ (waitpid (child, &status, 0), child);
    unlink (file);
    unlink (hosts);
    rmdir (etc);
    rmdir (folder);
    CHECK (WIFEXITED (status));
    return WEXITSTATUS (status);
}
