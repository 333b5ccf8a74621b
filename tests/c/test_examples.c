/* SPDX-License-Identifier: MPL-2.0 */
/* The examples of one message to many, with plain clients; those of the bindings, too. */
#include <poll.h>

#include "ztest.h"
#include "zchild.h"

enum
{
    PLAYERS = 1000,
    TICKS = 40,
    STATE_BYTES = 4 + 4 + 1024 * 4
};

/* Starts a server, that of this variable or the one in C, and returns its port. */
static zt_child_t start (const char *variable, const char *in_c, int *port)
{
    char endpoint[128];
    size_t size = 0;
    const char *program = getenv (variable) ? getenv (variable) : in_c;
    zt_child_t server = zt_spawn (ZT_ARGV (program, "tcp://127.0.0.1:*"));
    do
        zt_read (server.fd, endpoint + size, 1);
    while (endpoint[size++] != '\n');
    endpoint[size - 1] = '\0';
    *port = atoi (strrchr (endpoint, ':') + 1);
    return server;
}

static void say (int fd, const char *text)
{
    zt_write_frame (fd, text, strlen (text));
}

static void hears (int fd, const char *text)
{
    char body[1024];
    CHECK_EQ (zt_read_frame (fd, body, sizeof body), strlen (text));
    CHECK_MEM (body, text, strlen (text));
}

/* Two clients have joined a room: one hears the other. */
static void meet (int from, int to, const char *room)
{
    char text[2][64], body[64];
    snprintf (text[0], sizeof text[0], "%s hello?", room);
    snprintf (text[1], sizeof text[1], "%s hello!", room);
    struct pollfd heard = {to, POLLIN, 0};
    do
        say (from, text[0]);
    while (poll (&heard, 1, 20) == 0);
    say (from, text[1]);
    size_t size;
    do
        size = (size_t) zt_read_frame (to, body, sizeof body);
    while (size != strlen (text[1]) || memcmp (body, text[1], size) != 0);
}

static void chat_rooms (void)
{
    int port;
    zt_child_t server = start ("CHAT_ROOMS", CHAT_ROOMS, &port);
    int ann = zt_client (port), bob = zt_client (port), eve = zt_client (port);
    /* What one sends is served in order: who hears of it knows that the rest was served. */
    say (ann, "+garden");
    say (bob, "+garden");
    say (bob, "+kitchen");
    meet (bob, ann, "garden");
    say (ann, "garden hello, bob");
    hears (bob, "garden hello, bob");
    say (eve, "+kitchen");
    say (eve, "kitchen tea?");
    hears (bob, "kitchen tea?");
    say (bob, "-garden");
    say (bob, "kitchen yes");
    hears (eve, "kitchen yes");
    say (ann, "garden bob?");
    say (ann, "+kitchen");
    say (ann, "kitchen bob!");
    hears (bob, "kitchen bob!");
    hears (eve, "kitchen bob!");
    close (ann);
    close (bob);
    close (eve);
    zt_kill (&server);
}

static uint32_t tick_of (int fd)
{
    static char state[STATE_BYTES];
    uint32_t tick;
    CHECK_EQ (zt_read_frame (fd, state, sizeof state), STATE_BYTES);
    memcpy (&tick, state, sizeof tick);
    return tick;
}

static void game_tick (void)
{
    static int fds[PLAYERS];
    static uint32_t last[PLAYERS];
    int port;
    uint32_t tick = 0;
    zt_child_t server = start ("GAME_TICK", GAME_TICK, &port);
    int slow = zt_small_client (port);
    for (int i = 0; i < PLAYERS; i++) {
        fds[i] = zt_client (port);
        zt_write_frame (fds[i], "\1\2", 2);
    }
    uint32_t first = tick_of (fds[PLAYERS - 1]);
    while (tick < first + TICKS) /* all go on, each with newer states only */
        for (int i = 0; i < PLAYERS; i++) {
            tick = tick_of (fds[i]);
            CHECK (tick > last[i]);
            last[i] = tick;
        }
    uint32_t seen = 0, states = 0;
    while (seen + 1 < tick) { /* the slow one comes to the newest soon */
        uint32_t now = tick_of (slow);
        CHECK (now > seen);
        seen = now;
        states++;
    }
    CHECK (states < tick);
    for (int i = 0; i < PLAYERS; i++)
        close (fds[i]);
    close (slow);
    zt_kill (&server);
}

static const zt_case_t cases[] = {
  ZT_CASE (chat_rooms),
  ZT_CASE (game_tick),
};

ZT_MAIN (cases)
