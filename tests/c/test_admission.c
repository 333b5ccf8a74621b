/* SPDX-License-Identifier: MPL-2.0 */
/* Who may connect: most connections, lists of addresses, and a process without
 * descriptors. */
#include "ztest.h"
#include "zmonitor.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#define PAUSE_MS 100 /* between two tries to accept without descriptors */
#define CROWD 40     /* more than are reset at once */

static void set_text (void *s, int option, const char *text)
{
    CHECK_OK (zlink_setsockopt (s, option, text, strlen (text)));
}

/* The peer with this address is reset. */
static void expect_refused (int port, uint32_t from)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl (INADDR_LOOPBACK)}};
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = {htonl (from)}};
    int fd = socket (AF_INET, SOCK_STREAM, 0);
    char byte;

    to.sin_port = htons ((uint16_t) port);
    CHECK (fd >= 0);
    CHECK_OK (bind (fd, (struct sockaddr *) &own, sizeof own));
    if (connect (fd, (struct sockaddr *) &to, sizeof to) == 0)
        CHECK_FAIL (recv (fd, &byte, 1, 0), ECONNRESET);
    else
        CHECK_EQ (errno, ECONNRESET);
    close (fd);
}

static void most_connections (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx);
    void *monitor = zt_monitor (server, ZLINK_EVENT_ACCEPT_FAILED);
    zlink_routing_id_t id;
    zlink_monitor_event_t e;

    zt_set_int (server, ZLINK_STREAM_MAX_CONNECTIONS, 2);
    int port = zt_bind (server), first = zt_client (port);
    zt_expect_connect (server, &id);
    int second = zt_client (port);
    zt_expect_connect (server, &id);
    expect_refused (port, INADDR_LOOPBACK);
    e = zt_event_value (monitor, ZLINK_EVENT_ACCEPT_FAILED, ECONNREFUSED);
    CHECK_STR (e.local_addr, zt_endpoint (port));
    CHECK_EQ (zlink_monitor_reason (monitor), ZLINK_STREAM_REASON_LIMIT);
    close (first);
    CHECK_OK (zlink_setsockopt (server, ZLINK_STREAM_MAX_CONNECTIONS, &(int) {3}, sizeof (int)));
    int third = zt_client (port);
    close (second);
    close (third);
    zt_close (server);
    zt_monitor_end (monitor);
    zt_term (ctx);
}

static void lists (void)
{
    static const struct
    {
        const char *list, *sentence;
    } wrong[] = {
      {"127.0.0.1 localhost", "socket option STREAM_DENY does not take the list: \"localhost\" is not an IP "
                              "address, or a block of them such as 192.0.2.0/24"},
      {"127.0.0.1/8", "socket option STREAM_DENY does not take the list: \"127.0.0.1/8\" has bits behind its "
                      "prefix: the block is 127.0.0.0/8"},
      {"::/129", "socket option STREAM_DENY does not take the list: \"::/129\" has a prefix of \"129\" bits; "
                 "0 to 128 are possible"},
    };
    void *ctx = zt_ctx (), *server = zt_socket (ctx);
    zlink_routing_id_t id;
    char got[64];
    size_t size = sizeof got;

    set_text (server, ZLINK_STREAM_DENY, "127.0.0.2, 10.0.0.0/8");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK_FAIL (zlink_setsockopt (server, ZLINK_STREAM_DENY, wrong[i].list, strlen (wrong[i].list)), EINVAL);
        CHECK_STR (zlink_error_detail (), wrong[i].sentence);
    }
    CHECK_OK (zlink_getsockopt (server, ZLINK_STREAM_DENY, got, &size));
    CHECK_STR (got, "127.0.0.2, 10.0.0.0/8");

    int port = zt_bind (server), stays = zt_client (port);
    zt_expect_connect (server, &id);
    expect_refused (port, INADDR_LOOPBACK + 1);
    set_text (server, ZLINK_STREAM_DENY, "");
    set_text (server, ZLINK_STREAM_ALLOW, "127.0.0.2/32");
    expect_refused (port, INADDR_LOOPBACK);
    zt_write_frame (stays, "still here", 10);
    zt_expect (server, &id, "still here", 10);
    close (stays);
    zt_expect_disconnect (server, &id);

    zlink_stream_stats_t stats = {.size = sizeof stats};
    CHECK_OK (zlink_stream_stats (server, &stats));
    CHECK_EQ (stats.ended_by[ZLINK_STREAM_REASON_LIMIT], 2);
    CHECK_EQ (stats.turned_away, 2);
    zt_close (server);
    zt_term (ctx);
}

/* Waits until one client gets in: the last turn that resets clients is over then. */
static void expect_recovery (void *server, int port)
{
    zlink_routing_id_t id;
    for (;;) {
        int probe = zt_client (port);
        struct pollfd reset = {.fd = probe, .events = POLLIN};
        while (!(zt_get_int (server, ZLINK_EVENTS) & ZLINK_POLLIN) && poll (&reset, 1, 10) == 0)
            ;
        if (zt_get_int (server, ZLINK_EVENTS) & ZLINK_POLLIN) {
            zt_expect_connect (server, &id);
            close (probe);
            zt_expect_disconnect (server, &id);
            return;
        }
        close (probe);
    }
}

/* Without descriptors each try to accept resets some, then there is a pause: no spinning.
 * With descriptors again everybody gets in, on every io thread. */
static void no_descriptors (void)
{
    void *ctx = zt_ctx ();
    CHECK_OK (zlink_ctx_set (ctx, ZLINK_IO_THREADS, 4));
    void *server = zt_socket (ctx), *monitor = zt_monitor (server, ZLINK_EVENT_ACCEPT_FAILED);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl (INADDR_LOOPBACK)}};
    static zt_full_t full;
    zlink_monitor_event_t e;
    zlink_routing_id_t id;
    uint64_t all_threads = 15;
    int fds[CROWD];
    char byte;

    CHECK_OK (zlink_setsockopt (server, ZLINK_AFFINITY, &all_threads, sizeof all_threads));
    int port = zt_bind (server);
    to.sin_port = htons ((uint16_t) port);
    for (int i = 0; i < CROWD; i++)
        CHECK ((fds[i] = socket (AF_INET, SOCK_STREAM, 0)) >= 0);
    zt_fill_descriptors (&full);
    double start = zt_now_ms ();
    for (int i = 0; i < CROWD; i++)
        if (connect (fds[i], (struct sockaddr *) &to, sizeof to))
            CHECK_EQ (errno, ECONNRESET);
    for (int i = 0; i < CROWD; i++)
        CHECK (recv (fds[i], &byte, 1, 0) < 0);
    double passed = zt_now_ms () - start;
    zt_free_descriptors (&full);

    int tries = 0;
    while (zlink_monitor_recv (monitor, &e, ZLINK_DONTWAIT) == 0) {
        CHECK_EQ (e.value, EMFILE);
        tries++;
    }
    CHECK (tries >= 1 && tries <= passed / PAUSE_MS + 2);
    expect_recovery (server, port);
    for (int i = 0; i < CROWD; i++) {
        close (fds[i]);
        fds[i] = zt_client (port);
    }
    for (int i = 0; i < CROWD; i++) {
        zt_expect_connect (server, &id);
        zt_send (server, &id, "here", 4);
    }
    for (int i = 0; i < CROWD; i++) {
        char body[8];
        CHECK_EQ (zt_read_frame (fds[i], body, sizeof body), 4);
        close (fds[i]);
    }
    zt_close (server);
    zt_monitor_end (monitor);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (most_connections),
  ZT_CASE (lists),
  ZT_CASE (no_descriptors),
};

ZT_MAIN (cases)
