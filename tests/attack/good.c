/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Good clients: each sends a message every so often, at its pace and not at the
 * server's, and compares every byte of every echo. Beside them new ones come, which
 * connect, have one message echoed and leave. What they count is in shared memory;
 * told to stop, they send nothing more, and end once every echo has come.
 */
#include "peer.h"
#include "settings.h"
#include "tally.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME (MESSAGE_LENGTH_SIZE + GOOD_SIZE)
#define NEW_MAX 1024        /* new ones that wait at a time */
#define NEW_PATIENCE_NS 20000000000u
#define LAST_ECHOES_NS 60000000000u
#define EVENTS 256

struct client
{
    int fd; /* -1: none */
    bool is_new;
    enum phase part;   /* of a new one: when it came */
    uint64_t since_ns; /* the same */
    uint64_t sent, checked;
    size_t have;
    uint8_t frame[FRAME];
};

static struct
{
    long port, clients, pace_ms, new_each_s, tally_fd;
} given = {0, 1000, 200, 0, -1};

static struct tally *tally;
static struct message_format format;
static struct client *clients; /* the good ones, then NEW_MAX new ones */
static size_t count;
static int poller;

static void fail (const char *what)
{
    fprintf (stderr, "attack_good: %s: %s\n", what, strerror (errno));
    exit (1);
}

static void leave (struct client *c)
{
    if (c->is_new)
        peer_reset (c->fd);
    else
        close (c->fd);
    c->fd = -1;
}

static void lose (struct client *c)
{
    atomic_fetch_add (c->is_new ? &tally->new_failed : &tally->lost, 1);
    leave (c);
}

static void send_one (struct client *c)
{
    struct message m = {(uint32_t) (c - clients), (enum phase) atomic_load (&tally->part), c->sent, now_ns ()};
    uint8_t frame[FRAME];
    memcpy (frame, format.length, MESSAGE_LENGTH_SIZE);
    message_write (&format, frame + MESSAGE_LENGTH_SIZE, &m);
    if (send (c->fd, frame, FRAME, MSG_NOSIGNAL) != FRAME) {
        lose (c);
        return;
    }
    c->sent++;
    if (!c->is_new)
        atomic_fetch_add (&tally->sent, 1);
}

static void check (struct client *c)
{
    struct message m;
    if (memcmp (c->frame, format.length, MESSAGE_LENGTH_SIZE) != 0
        || !message_read (&format, c->frame + MESSAGE_LENGTH_SIZE, &m)
        || m.connection != (uint32_t) (c - clients) || m.sequence != c->checked) {
        atomic_fetch_add (&tally->wrong, 1);
        lose (c);
        return;
    }
    uint64_t now = now_ns ();
    c->checked++;
    if (c->is_new) {
        histogram_record (&tally->fresh[c->part], now - c->since_ns);
        atomic_fetch_add (&tally->new_served, 1);
        leave (c);
        return;
    }
    histogram_record (&tally->echo[m.phase], message_age_ns (&m, now));
    atomic_fetch_add (&tally->checked, 1);
}

static void take (struct client *c)
{
    while (c->fd >= 0) {
        ssize_t n = recv (c->fd, c->frame + c->have, FRAME - c->have, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            lose (c);
            return;
        }
        c->have += (size_t) n;
        if (c->have == FRAME) {
            c->have = 0;
            check (c);
        }
    }
}

static void dial (struct client *c, enum network network, uint32_t n)
{
    *c = (struct client) {.fd = peer_connect ((int) given.port, network, n, 0), .is_new = network == NETWORK_NEW};
    c->part = (enum phase) atomic_load (&tally->part);
    c->since_ns = now_ns ();
    struct epoll_event e = {EPOLLOUT | EPOLLIN, {.u32 = (uint32_t) (c - clients)}};
    if (c->fd < 0 || epoll_ctl (poller, EPOLL_CTL_ADD, c->fd, &e))
        fail ("connect");
}

/* is_up: the connection is established, and from now on there is only to read. */
static void is_up (struct client *c)
{
    struct epoll_event e = {EPOLLIN, {.u32 = (uint32_t) (c - clients)}};
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt (c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    epoll_ctl (poller, EPOLL_CTL_MOD, c->fd, &e);
    if (error)
        lose (c);
    else if (c->is_new)
        send_one (c);
    else
        atomic_fetch_add (&tally->connected, 1);
}

static void look (int wait_ms)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait (poller, events, EVENTS, wait_ms);
    for (int i = 0; i < n; i++) {
        struct client *c = &clients[events[i].data.u32];
        if (c->fd >= 0 && events[i].events & EPOLLOUT)
            is_up (c);
        if (c->fd >= 0 && events[i].events & ~(uint32_t) EPOLLOUT)
            take (c);
    }
}

static void connect_all (void)
{
    for (size_t i = 0; i < count; i++) {
        dial (&clients[i], NETWORK_GOOD, (uint32_t) i);
        while (i >= atomic_load (&tally->connected) + 64) /* at a time */
            look (10);
    }
    while (atomic_load (&tally->connected) < count)
        look (10);
}

/* One in order of its turn. */
static void beat (uint64_t turn)
{
    struct client *c = &clients[turn % count];
    if (c->fd >= 0)
        send_one (c);
}

/* A new one, in a place that is free; places of those that have waited too long are. */
static void come (void)
{
    static uint32_t number;
    struct client *c = &clients[count + number % NEW_MAX];
    if (c->fd >= 0 && now_ns () - c->since_ns < NEW_PATIENCE_NS)
        return;
    if (c->fd >= 0)
        lose (c);
    dial (c, NETWORK_NEW, number++);
    atomic_fetch_add (&tally->new_tried, 1);
}

static void run (void)
{
    uint64_t begin = now_ns (), turn = 0, came = 0;
    uint64_t between = (uint64_t) given.pace_ms * 1000000u / count;
    uint64_t between_new = given.new_each_s ? 1000000000u / (uint64_t) given.new_each_s : UINT64_MAX;
    while (!atomic_load (&tally->stop)) {
        uint64_t now = now_ns ();
        /* Who could not run for long sends what is due, but not all at once. */
        for (int burst = 0; burst < 64 && begin + turn * between <= now; burst++)
            beat (turn++);
        if (given.new_each_s && begin + came * between_new <= now) {
            came = (now - begin) / between_new + 1;
            come ();
        }
        look (1);
    }
}

static bool all_came (void)
{
    for (size_t i = 0; i < count; i++)
        if (clients[i].fd >= 0 && clients[i].sent != clients[i].checked)
            return false;
    return true;
}

int main (int argc, char **argv)
{
    const struct setting table[] = {
      {"PORT", SETTING_INTEGER, true, &given.port, 1, 65535, "the server's, on 127.0.0.1"},
      {"CLIENTS", SETTING_INTEGER, true, &given.clients, 1, 15000, "good clients"},
      {"PACE_MS", SETTING_INTEGER, true, &given.pace_ms, 1, 60000, "each sends a message so often"},
      {"NEW_EACH_S", SETTING_INTEGER, true, &given.new_each_s, 0, 1000, "new clients a second"},
      {"TALLY_FD", SETTING_INTEGER, true, &given.tally_fd, 0, 65535, "descriptor of the shared memory"},
    };
    if (settings_read (table, sizeof table / sizeof table[0], argc, argv) != SETTINGS_OK)
        return 2;
    signal (SIGPIPE, SIG_IGN);
    tally = tally_of ((int) given.tally_fd);
    count = (size_t) given.clients;
    clients = calloc (count + NEW_MAX, sizeof *clients);
    poller = epoll_create1 (EPOLL_CLOEXEC);
    if (clients == NULL || poller < 0 || message_format_init (&format, GOOD_SIZE))
        fail ("memory");
    for (size_t i = 0; i < count + NEW_MAX; i++)
        clients[i].fd = -1;
    connect_all ();
    run ();
    for (uint64_t end = now_ns () + LAST_ECHOES_NS; !all_came () && now_ns () < end;)
        look (10);
    return 0;
}
