/* SPDX-License-Identifier: MPL-2.0 */
/* Ten thousand connections come and go, in every way, while one stays. */
#include "ztest.h"

#define CYCLES (10000 / ZT_SCALE)
#define WARM_UP_CYCLES (CYCLES / 5)
/* An io thread that starts during the test has some of its own. */
#define SPARE_DESCRIPTORS 16
#define SPARE_KB 16384
#define BODY_BYTES 200

/* What the server has seen. */
static atomic_int connects, disconnects;
static atomic_bool stop_steady;

/* As zt_echo, and counts the events. */
static void *serve (void *s)
{
    zlink_routing_id_t id;
    uint8_t body[BODY_BYTES];
    int size;

    while ((size = zlink_recv (s, id.data, sizeof id.data, 0)) != -1) {
        id.size = (uint8_t) size;
        size = zlink_recv (s, body, sizeof body, 0);
        if (size == -1)
            break;
        if (size == 1) {
            CHECK (body[0] <= 1);
            atomic_fetch_add (body[0] ? &connects : &disconnects, 1);
            continue;
        }
        CHECK_EQ (size, BODY_BYTES);
        CHECK (zt_try_send (s, &id, body, (size_t) size, 0)
               || errno == EHOSTUNREACH);
    }
    CHECK_EQ (errno, ETERM);
    zt_close (s);
    return NULL;
}

/* Keeps a window of messages on its way and checks each echo, in order. */
static void *steady_client (void *arg)
{
    enum
    {
        window = 8
    };
    uint8_t body[BODY_BYTES];
    uint32_t sent = 0, received = 0;
    int fd = zt_client (*(int *) arg);

    while (!atomic_load (&stop_steady) || received < sent) {
        while (sent - received < window && !atomic_load (&stop_steady)) {
            zt_fill (body, sizeof body, sent++);
            zt_write_frame (fd, body, sizeof body);
        }
        if (received == sent)
            break;
        CHECK_EQ (zt_read_frame (fd, body, sizeof body), sizeof body);
        CHECK (zt_filled (body, sizeof body, received++));
        zt_pause_ms (1);
    }
    printf ("%u echoes of the steady client\n", received);
    CHECK (received > 0);
    close (fd);
    return NULL;
}

static void exchange (int fd, uint32_t seed)
{
    uint8_t body[BODY_BYTES];
    zt_fill (body, sizeof body, seed);
    zt_write_frame (fd, body, sizeof body);
    CHECK_EQ (zt_read_frame (fd, body, sizeof body), sizeof body);
    CHECK (zt_filled (body, sizeof body, seed));
}

enum ending
{
    CLOSE_AFTER_ECHO,
    RESET_AFTER_ECHO,
    CLOSE_INSIDE_A_FRAME,
    RESET_INSIDE_A_FRAME,
    CLOSE_AT_ONCE,
    RESET_BEFORE_ECHO,
    ENDINGS
};

static void cycle (int port, uint32_t i)
{
    static const uint8_t whole[4 + BODY_BYTES] = {0, 0, 0, BODY_BYTES};
    int fd = zt_client (port);
    enum ending ending = i % ENDINGS;

    if (ending < CLOSE_AT_ONCE)
        exchange (fd, i);
    if (ending == CLOSE_INSIDE_A_FRAME || ending == RESET_INSIDE_A_FRAME)
        zt_write (fd, whole, 1 + i % (sizeof whole - 1));
    if (ending == RESET_BEFORE_ECHO)
        zt_write (fd, whole, sizeof whole);
    if (ending == RESET_AFTER_ECHO || ending == RESET_INSIDE_A_FRAME
        || ending == RESET_BEFORE_ECHO)
        zt_reset (fd);
    else
        close (fd);
}

/* Runs cycles, and waits until only the steady client is left. Those that end
 * before the server has accepted them may go unnoticed. */
static void churn (int port, uint32_t first, uint32_t end)
{
    int noticed = atomic_load (&connects);
    for (uint32_t i = first; i < end; i++) {
        cycle (port, i);
        noticed += i % ENDINGS < CLOSE_AT_ONCE;
    }
    ZT_UNTIL (atomic_load (&connects) >= noticed
              && atomic_load (&connects) == atomic_load (&disconnects) + 1);
}

static void connections_come_and_go (void)
{
    void *ctx = zt_ctx ();
    void *server = zt_socket (ctx);
    int port = zt_bind (server);
    pthread_t serving = zt_thread (serve, server);
    pthread_t steady = zt_thread (steady_client, &port);

    if (ZT_SCALE > 1)
        printf ("scaled down to %d connections\n", CYCLES);
    ZT_UNTIL (atomic_load (&connects) == 1);
    size_t fds = zt_fd_count ();
    churn (port, 0, WARM_UP_CYCLES);
    size_t rss_kb = zt_rss_kb ();
    churn (port, WARM_UP_CYCLES, CYCLES);

    ZT_UNTIL (zt_fd_count () <= fds + SPARE_DESCRIPTORS);
    printf ("resident: %zu kB after the warm-up, %zu kB now\n", rss_kb,
            zt_rss_kb ());
    CHECK_RANGE (zt_rss_kb (), 0, rss_kb + SPARE_KB);
    atomic_store (&stop_steady, true);
    zt_join (steady);
    ZT_UNTIL (atomic_load (&connects) == atomic_load (&disconnects));
    CHECK_RANGE (atomic_load (&connects), 1, CYCLES + 1);
    zt_term (ctx);
    zt_join (serving);
}

static const zt_case_t cases[] = {
  ZT_CASE (connections_come_and_go),
};

ZT_MAIN (cases)
