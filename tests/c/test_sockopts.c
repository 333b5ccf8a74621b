/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Options that act on the kernel, read back from the descriptors that the
 * events of a monitor name.
 */
#include "ztest.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

/* A listening socket, a dialling one, and the descriptors of both. */
typedef struct link_t
{
    void *ctx;
    void *server, *client;
    void *at_server, *at_client;
    int listening, accepted, dialled; /* -1: not there yet */
    zlink_routing_id_t server_peer, client_peer;
} link_t;

static void open_link (link_t *l)
{
    l->ctx = zt_ctx ();
    l->server = zt_socket (l->ctx);
    l->client = zt_socket (l->ctx);
    l->at_server = zlink_socket_monitor_open (
      l->server, ZLINK_EVENT_LISTENING | ZLINK_EVENT_ACCEPTED);
    l->at_client =
      zlink_socket_monitor_open (l->client, ZLINK_EVENT_CONNECTED);
    CHECK (l->at_server && l->at_client);
    l->listening = l->accepted = l->dialled = -1;
}

static int next_descriptor (void *monitor, uint64_t event)
{
    zlink_monitor_event_t e;
    CHECK_OK (zlink_monitor_recv (monitor, &e, 0));
    CHECK_EQ (e.event, event);
    return (int) e.value;
}

static void set_both (link_t *l, int option, int value)
{
    zt_set_int (l->server, option, value);
    zt_set_int (l->client, option, value);
}

static void bind_link (link_t *l, const char *endpoint)
{
    CHECK_OK (zlink_bind (l->server, endpoint));
    l->listening = next_descriptor (l->at_server, ZLINK_EVENT_LISTENING);
}

static void connect_link (link_t *l, const char *endpoint)
{
    CHECK_OK (zlink_connect (l->client, endpoint));
    zt_expect_connect (l->server, &l->server_peer);
    zt_expect_connect (l->client, &l->client_peer);
    l->accepted = next_descriptor (l->at_server, ZLINK_EVENT_ACCEPTED);
    l->dialled = next_descriptor (l->at_client, ZLINK_EVENT_CONNECTED);
}

static const char *last_endpoint (void *s)
{
    static char text[256];
    size_t size = sizeof text;
    CHECK_OK (zlink_getsockopt (s, ZLINK_LAST_ENDPOINT, text, &size));
    return text;
}

/* Binds to a wildcard port and connects to it. */
static void join (link_t *l, const char *endpoint)
{
    bind_link (l, endpoint);
    connect_link (l, last_endpoint (l->server));
}

static void close_link (link_t *l)
{
    zt_close (l->at_server);
    zt_close (l->at_client);
    zt_close (l->client);
    zt_close (l->server);
    zt_term (l->ctx);
}

static int kernel (int fd, int level, int name)
{
    int value = -12345;
    socklen_t size = sizeof value;
    CHECK_OK (getsockopt (fd, level, name, &value, &size));
    return value;
}

typedef struct values_t
{
    int listening, accepted, dialled;
} values_t;

/* What descriptors have that no option was set for. */
static values_t systems_own (int level, int name)
{
    int port, listening = zt_listen (&port);
    int dialled = zt_client (port), accepted = zt_accept (listening);
    values_t v = {kernel (listening, level, name),
                  kernel (accepted, level, name),
                  kernel (dialled, level, name)};
    close (listening);
    close (accepted);
    close (dialled);
    return v;
}

#define SYSTEM INT32_MIN

static const struct
{
    const char *text;
    int option, set, level, name;
    int expected; /* SYSTEM: as on a descriptor without it */
} table[] = {
#define KERNEL(option, set, level, name, expected)                 \
    {#option " " #set, ZLINK_##option, set, level, name, expected}
  /* The kernel doubles the buffers. */
  KERNEL (SNDBUF, 20000, SOL_SOCKET, SO_SNDBUF, 40000),
  KERNEL (SNDBUF, 0, SOL_SOCKET, SO_SNDBUF, SYSTEM),
  KERNEL (SNDBUF, -1, SOL_SOCKET, SO_SNDBUF, SYSTEM),
  KERNEL (RCVBUF, 30000, SOL_SOCKET, SO_RCVBUF, 60000),
  KERNEL (RCVBUF, 0, SOL_SOCKET, SO_RCVBUF, SYSTEM),
  KERNEL (RCVBUF, -1, SOL_SOCKET, SO_RCVBUF, SYSTEM),
  KERNEL (TCP_KEEPALIVE, 1, SOL_SOCKET, SO_KEEPALIVE, 1),
  KERNEL (TCP_KEEPALIVE, 0, SOL_SOCKET, SO_KEEPALIVE, 0),
  KERNEL (TCP_KEEPALIVE, -1, SOL_SOCKET, SO_KEEPALIVE, SYSTEM),
  KERNEL (TCP_KEEPALIVE_CNT, 3, IPPROTO_TCP, TCP_KEEPCNT, 3),
  KERNEL (TCP_KEEPALIVE_CNT, 0, IPPROTO_TCP, TCP_KEEPCNT, SYSTEM),
  KERNEL (TCP_KEEPALIVE_CNT, -1, IPPROTO_TCP, TCP_KEEPCNT, SYSTEM),
  KERNEL (TCP_KEEPALIVE_IDLE, 40, IPPROTO_TCP, TCP_KEEPIDLE, 40),
  KERNEL (TCP_KEEPALIVE_IDLE, 0, IPPROTO_TCP, TCP_KEEPIDLE, SYSTEM),
  KERNEL (TCP_KEEPALIVE_IDLE, -1, IPPROTO_TCP, TCP_KEEPIDLE, SYSTEM),
  KERNEL (TCP_KEEPALIVE_INTVL, 5, IPPROTO_TCP, TCP_KEEPINTVL, 5),
  KERNEL (TCP_KEEPALIVE_INTVL, 0, IPPROTO_TCP, TCP_KEEPINTVL, SYSTEM),
  KERNEL (TCP_KEEPALIVE_INTVL, -1, IPPROTO_TCP, TCP_KEEPINTVL, SYSTEM),
  KERNEL (TOS, 0x20, IPPROTO_IP, IP_TOS, 0x20),
  KERNEL (TOS, 0, IPPROTO_IP, IP_TOS, SYSTEM),
  KERNEL (TCP_MAXRT, 1500, IPPROTO_TCP, TCP_USER_TIMEOUT, 1500),
  KERNEL (TCP_MAXRT, 0, IPPROTO_TCP, TCP_USER_TIMEOUT, SYSTEM),
#undef KERNEL
};

static void options_reach_the_kernel (void)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int level = table[i].level, name = table[i].name;
        int set = table[i].expected;
        values_t expected = {set, set, set};
        link_t l;

        printf ("%s\n", table[i].text);
        open_link (&l);
        set_both (&l, table[i].option, table[i].set);
        join (&l, "tcp://127.0.0.1:*");
        if (set == SYSTEM)
            expected = systems_own (level, name);
        CHECK_EQ (kernel (l.listening, level, name), expected.listening);
        CHECK_EQ (kernel (l.accepted, level, name), expected.accepted);
        CHECK_EQ (kernel (l.dialled, level, name), expected.dialled);
        close_link (&l);
    }
}

static void always_set (void)
{
    link_t l;
    open_link (&l);
    join (&l, "tcp://127.0.0.1:*");
    const int fds[] = {l.listening, l.accepted, l.dialled};
    for (int i = 0; i < 3; i++) {
        CHECK_EQ (kernel (fds[i], IPPROTO_TCP, TCP_NODELAY), 1);
        CHECK (fcntl (fds[i], F_GETFL) & O_NONBLOCK);
    }
    close_link (&l);
}

/* No program that the host starts gets a descriptor of the library. */
static void nothing_is_inherited (void)
{
    static bool before[1024];
    int mine = 0;
    link_t l;

    for (int fd = 0; fd < 1024; fd++)
        before[fd] = fcntl (fd, F_GETFD) != -1;
    open_link (&l);
    zt_get_int (l.server, ZLINK_FD);
    join (&l, "tcp://127.0.0.1:*");
    for (int fd = 0; fd < 1024; fd++) {
        int flags = fcntl (fd, F_GETFD);
        if (flags == -1 || before[fd])
            continue;
        mine++;
        CHECK (flags & FD_CLOEXEC);
    }
    CHECK (mine >= 5); /* three, ZLINK_FD, and the io thread's */
    close_link (&l);
}

/* IPv6, and IPv4 connections to a descriptor of both. */
static void tos_of_ipv6 (void)
{
    link_t l;
    char endpoint[64];
    int port;

    if (!zt_has_ipv6 ())
        return;
    open_link (&l);
    set_both (&l, ZLINK_IPV6, 1);
    set_both (&l, ZLINK_TOS, 0x20);
    join (&l, "tcp://[::]:*");
    CHECK_EQ (kernel (l.listening, IPPROTO_IPV6, IPV6_TCLASS), 0x20);
    CHECK_EQ (kernel (l.accepted, IPPROTO_IPV6, IPV6_TCLASS), 0x20);
    CHECK_EQ (kernel (l.dialled, IPPROTO_IPV6, IPV6_TCLASS), 0x20);
    CHECK_EQ (kernel (l.listening, IPPROTO_IPV6, IPV6_V6ONLY), 0);

    CHECK_EQ (sscanf (last_endpoint (l.server), "tcp://[::]:%d", &port), 1);
    snprintf (endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", port);
    connect_link (&l, endpoint);
    CHECK_EQ (kernel (l.dialled, SOL_SOCKET, SO_DOMAIN), AF_INET);
    CHECK_EQ (kernel (l.accepted, SOL_SOCKET, SO_DOMAIN), AF_INET6);
    CHECK_EQ (kernel (l.accepted, IPPROTO_IP, IP_TOS), 0x20);
    close_link (&l);
}

/* Send-Q of a listening socket is its backlog: as set, or the system's most. */
static int backlog_of (int port)
{
    char command[128], line[256];
    int backlog = -1;

    snprintf (command, sizeof command, "ss -Hltn sport = :%d", port);
    FILE *ss = popen (command, "r");
    CHECK (ss && fgets (line, sizeof line, ss));
    CHECK_EQ (sscanf (line, "LISTEN %*d %d", &backlog), 1);
    pclose (ss);
    return backlog;
}

static void backlog (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    int most = 0;
    FILE *file = fopen ("/proc/sys/net/core/somaxconn", "r");

    CHECK (file && fscanf (file, "%d", &most) == 1);
    fclose (file);
    if (system ("ss -V >/dev/null 2>&1") != 0) {
        zt_skip ("no ss here (iproute2)");
    } else {
        CHECK_EQ (backlog_of (zt_bind (s)), most < 65536 ? most : 65536);
        zt_set_int (s, ZLINK_BACKLOG, 7);
        CHECK_EQ (backlog_of (zt_bind (s)), 7);
        zt_set_int (s, ZLINK_BACKLOG, INT32_MAX);
        CHECK_EQ (backlog_of (zt_bind (s)), most);
    }
    zt_close (s);
    zt_term (ctx);
}

static void set_device (void *s, const char *name)
{
    CHECK_OK (
      zlink_setsockopt (s, ZLINK_BINDTODEVICE, name, strlen (name)));
}

static void check_device (int fd)
{
    char name[16] = "";
    socklen_t size = sizeof name;
    CHECK_OK (getsockopt (fd, SOL_SOCKET, SO_BINDTODEVICE, name, &size));
    CHECK_STR (name, "lo");
}

static void bindtodevice (void)
{
    link_t l;
    open_link (&l);
    set_device (l.server, "lo");
    set_device (l.client, "lo");
    join (&l, "tcp://127.0.0.1:*");
    check_device (l.listening);
    check_device (l.accepted);
    check_device (l.dialled);

    /* The kernel would cut the second name to one that may exist. */
    static const char *const missing[] = {"no-such-dev0", "sixteen-bytes-0x"};
    for (int i = 0; i < 2; i++) {
        set_device (l.server, missing[i]);
        CHECK_FAIL (zlink_bind (l.server, "tcp://127.0.0.1:*"), ENODEV);
        CHECK (strstr (zlink_error_detail (), missing[i]) != NULL);
        CHECK_FAIL (zlink_connect (l.server, "tcp://127.0.0.1:9"), ENODEV);
        CHECK (strstr (zlink_error_detail (), missing[i]) != NULL);
    }
    set_device (l.server, "");
    zt_bind (l.server);
    close_link (&l);
}

/* A value that only the kernel refuses is an error of bind and connect. */
static void refused_by_the_kernel (void)
{
    static const struct
    {
        int option, value;
        const char *name;
    } refused[] = {
      {ZLINK_TCP_KEEPALIVE_CNT, 128, "TCP_KEEPALIVE_CNT 128"},
      {ZLINK_TCP_KEEPALIVE_IDLE, 32768, "TCP_KEEPALIVE_IDLE 32768"},
      {ZLINK_TCP_KEEPALIVE_INTVL, 32768, "TCP_KEEPALIVE_INTVL 32768"},
    };
    void *ctx = zt_ctx ();
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        void *s = zt_socket (ctx);
        zt_set_int (s, refused[i].option, refused[i].value);
        CHECK_FAIL (zlink_bind (s, "tcp://127.0.0.1:*"), EINVAL);
        CHECK (strstr (zlink_error_detail (), refused[i].name) != NULL);
        CHECK_FAIL (zlink_connect (s, "tcp://127.0.0.1:9"), EINVAL);
        CHECK (strstr (zlink_error_detail (), refused[i].name) != NULL);
        zt_close (s);
    }
    zt_term (ctx);
}

/* An option set after a bind or connect applies to later ones. */
static void set_later (void)
{
    link_t l;
    int first_listening, first_accepted, first_dialled;

    open_link (&l);
    bind_link (&l, "tcp://127.0.0.1:*");
    set_both (&l, ZLINK_TCP_KEEPALIVE, 1);
    set_both (&l, ZLINK_SNDBUF, 20000);
    zt_set_int (l.client, ZLINK_TCP_KEEPALIVE, 0);
    connect_link (&l, last_endpoint (l.server));
    first_listening = l.listening;
    first_accepted = l.accepted;
    first_dialled = l.dialled;
    zt_set_int (l.client, ZLINK_TCP_KEEPALIVE, 1);
    CHECK_EQ (kernel (first_listening, SOL_SOCKET, SO_KEEPALIVE), 0);
    CHECK_EQ (kernel (first_accepted, SOL_SOCKET, SO_KEEPALIVE), 0);
    CHECK (kernel (first_accepted, SOL_SOCKET, SO_SNDBUF) != 40000);
    CHECK_EQ (kernel (first_dialled, SOL_SOCKET, SO_SNDBUF), 40000);

    join (&l, "tcp://127.0.0.1:*");
    CHECK_EQ (kernel (l.listening, SOL_SOCKET, SO_KEEPALIVE), 1);
    CHECK_EQ (kernel (l.accepted, SOL_SOCKET, SO_KEEPALIVE), 1);
    CHECK_EQ (kernel (l.accepted, SOL_SOCKET, SO_SNDBUF), 40000);
    CHECK_EQ (kernel (l.dialled, SOL_SOCKET, SO_KEEPALIVE), 1);
    CHECK_EQ (kernel (first_listening, SOL_SOCKET, SO_KEEPALIVE), 0);
    CHECK_EQ (kernel (first_accepted, SOL_SOCKET, SO_KEEPALIVE), 0);
    CHECK_EQ (kernel (first_dialled, SOL_SOCKET, SO_KEEPALIVE), 0);
    close_link (&l);
}

/* A connection that is dialled again has the options of its connect. */
static void redialled (void)
{
    link_t l;
    static const uint8_t close_peer = 0;

    open_link (&l);
    zt_set_int (l.client, ZLINK_RECONNECT_IVL, 10);
    zt_set_int (l.client, ZLINK_TCP_KEEPALIVE_CNT, 4);
    join (&l, "tcp://127.0.0.1:*");
    zt_set_int (l.client, ZLINK_TCP_KEEPALIVE_CNT, 5);
    zt_send (l.server, &l.server_peer, &close_peer, 1);
    l.dialled = next_descriptor (l.at_client, ZLINK_EVENT_CONNECTED);
    CHECK_EQ (kernel (l.dialled, IPPROTO_TCP, TCP_KEEPCNT), 4);
    close_link (&l);
}

static const zt_case_t cases[] = {
  ZT_CASE (options_reach_the_kernel),
  ZT_CASE (always_set),
  ZT_CASE (nothing_is_inherited),
  ZT_CASE (tos_of_ipv6),
  ZT_CASE (backlog),
  ZT_CASE (bindtodevice),
  ZT_CASE (refused_by_the_kernel),
  ZT_CASE (set_later),
  ZT_CASE (redialled),
};

ZT_MAIN (cases)
