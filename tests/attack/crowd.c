/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A process of attackers: one thread, one epoll. It is ended by a signal.
 * usage: attack_crowd --kind NAME --port PORT --tally-fd FD [--most N] [--total N] [--number N]
 */
#include "crowd.h"
#include "settings.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 512
#define CONNECTING_MAX 256 /* at a time */
#define AGAIN_NS 1000000000u /* after a cut; a drip's pause; how long CONDUCT_LEAVE stays */
#define LOOK_NS 50000000u /* at who waits for a time */
#define RCVBUF 4096 /* what they do not read is to wait at the server */

enum state
{
    NOBODY,
    CONNECTING,
    SPEAKING, /* has first bytes left */
    LISTENING, /* for the answer to them */
    FLOODING,
    STAYING
};

struct attacker
{
    int fd;
    enum state state;
    size_t at;      /* bytes of the first ones, or of the block, that went */
    uint64_t due_ns; /* its next act; of nobody: when it comes again */
};

static const struct crowd *crowd;
static const struct kind *kind;
static struct attacker *all;
static int poller;
static uint32_t connecting;
static uint64_t begun; /* connections */
static uint8_t first[FIRST_MAX], block[BLOCK_MAX];
static size_t first_size, block_size;

static void want (struct attacker *a, uint32_t events)
{
    struct epoll_event e = {events | EPOLLRDHUP, {.u32 = (uint32_t) (a - all)}};
    epoll_ctl (poller, EPOLL_CTL_MOD, a->fd, &e);
}

enum end
{
    END_CUT, /* by the server */
    END_RESET,
    END_FIN
};

static void gone (struct attacker *a, enum end end)
{
    bool cut = end == END_CUT;
    if (a->state == CONNECTING)
        connecting--;
    else
        atomic_fetch_sub (&crowd->tally->open, 1);
    if (cut)
        atomic_fetch_add (a->state == CONNECTING ? &crowd->tally->refused : &crowd->tally->cut, 1);
    if (end == END_FIN)
        close (a->fd);
    else
        peer_reset (a->fd);
    a->fd = -1;
    a->state = NOBODY;
    a->due_ns = now_ns () + (cut && crowd->total == 0 && kind->conduct != CONDUCT_LEAVE ? AGAIN_NS : 0);
}

/* Connections of one kind end in four ways in turn. */
static void vanish (struct attacker *a)
{
    uint32_t way = (uint32_t) (begun + (uint64_t) (a - all)) % 4;
    if (way & 1)
        (void) !send (a->fd, "\0\0", 2, MSG_NOSIGNAL);
    gone (a, way & 2 ? END_FIN : END_RESET);
}

/* put sends from bytes; false when there is nothing more to do now. */
static bool put (struct attacker *a, const uint8_t *bytes, size_t size)
{
    ssize_t n = send (a->fd, bytes + a->at, size - a->at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
            gone (a, END_CUT);
        return false;
    }
    atomic_fetch_add (&crowd->tally->bytes, (uint64_t) n);
    a->at += (size_t) n;
    return a->at == size;
}

static void after_first (struct attacker *a)
{
    a->at = 0;
    if (kind->waits) {
        a->state = LISTENING;
        want (a, EPOLLIN);
    } else if (kind->conduct == CONDUCT_FLOOD) {
        a->state = FLOODING;
        want (a, EPOLLOUT);
    } else {
        a->state = STAYING;
        a->due_ns = now_ns () + AGAIN_NS;
        want (a, 0);
    }
}

static void speak (struct attacker *a)
{
    if (first_size == 0 || kind->conduct == CONDUCT_DRIP || put (a, first, first_size))
        after_first (a);
}

static void is_up (struct attacker *a)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt (a->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        gone (a, END_CUT);
        return;
    }
    connecting--;
    a->state = SPEAKING;
    atomic_fetch_add (&crowd->tally->opened, 1);
    atomic_fetch_add (&crowd->tally->open, 1);
    if (kind->conduct == CONDUCT_VANISH)
        vanish (a);
    else
        speak (a);
}

static void hear (struct attacker *a)
{
    uint8_t answer[2048];
    if (recv (a->fd, answer, sizeof answer, MSG_DONTWAIT) <= 0) {
        gone (a, END_CUT);
        return;
    }
    a->state = FLOODING;
    want (a, EPOLLOUT);
}

static void act (struct attacker *a, uint32_t events)
{
    if (a->state == NOBODY)
        return;
    if (a->state == CONNECTING)
        is_up (a);
    else if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
        gone (a, END_CUT);
    else if (a->state == SPEAKING)
        speak (a);
    else if (a->state == LISTENING)
        hear (a);
    else if (a->state == FLOODING && put (a, block, block_size))
        a->at = 0;
}

/* Its time has come. */
static void due (struct attacker *a)
{
    if (kind->conduct == CONDUCT_LEAVE) {
        gone (a, END_RESET);
        return;
    }
    if (kind->conduct != CONDUCT_DRIP)
        return;
    a->due_ns += AGAIN_NS;
    uint8_t byte = a->at < first_size ? first[a->at] : 0;
    if (send (a->fd, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1) {
        a->at++;
        atomic_fetch_add (&crowd->tally->bytes, 1);
    } else if (errno != EAGAIN)
        gone (a, END_CUT);
}

/* begin has one come; false: not now. */
static bool begin (struct attacker *a)
{
    uint32_t n = crowd->number + (crowd->total ? (uint32_t) begun : (uint32_t) (a - all));
    a->fd = peer_connect (crowd->port, kind->network, kind->network == NETWORK_ONE ? 0 : n, RCVBUF);
    if (a->fd < 0) { /* no port or no descriptor just now */
        a->due_ns = now_ns () + AGAIN_NS;
        return false;
    }
    begun++;
    connecting++;
    a->at = 0;
    a->state = CONNECTING;
    struct epoll_event e = {EPOLLOUT | EPOLLRDHUP, {.u32 = (uint32_t) (a - all)}};
    if (epoll_ctl (poller, EPOLL_CTL_ADD, a->fd, &e))
        exit (1);
    return true;
}

/* A round over all: those that may come, and those whose time has come. */
static void walk (uint64_t since)
{
    static uint32_t next;
    static uint64_t looked;
    uint64_t now = now_ns ();
    uint64_t may = kind->opens_each_s ? (now - since) * (uint64_t) kind->opens_each_s / 1000000000u : UINT64_MAX;
    for (uint32_t i = 0; i < crowd->most && (kind->opens_each_s || connecting < CONNECTING_MAX) && begun < may; i++) {
        struct attacker *a = &all[next++ % crowd->most];
        if (crowd->total && begun >= crowd->total)
            break;
        if (a->state == NOBODY && a->due_ns <= now && !begin (a))
            break;
    }
    if (now - looked < LOOK_NS)
        return;
    looked = now;
    for (uint32_t i = 0; i < crowd->most; i++)
        if (all[i].state == STAYING && all[i].due_ns <= now)
            due (&all[i]);
}

void crowd_run (const struct crowd *c, const struct kind *k)
{
    crowd = c;
    kind = k;
    all = calloc (crowd->most, sizeof *all);
    poller = epoll_create1 (EPOLL_CLOEXEC);
    if (all == NULL || poller < 0)
        exit (1);
    first_size = kind->first ? kind->first (first) : 0;
    block_size = kind->block ? kind->block (block) : 0;
    for (uint64_t since = now_ns ();;) {
        struct epoll_event events[EVENTS];
        walk (since);
        int n = epoll_wait (poller, events, EVENTS, 1);
        for (int i = 0; i < n; i++)
            act (&all[events[i].data.u32], events[i].events);
    }
}

static struct
{
    const char *kind;
    long port, tally_fd, most, total, number;
} given = {NULL, 0, -1, 1, 0, 0};

int main (int argc, char **argv)
{
    const struct setting table[] = {
      {"KIND", SETTING_TEXT, true, &given.kind, 0, 0, "what they do"},
      {"PORT", SETTING_INTEGER, true, &given.port, 1, 65535, "the server's, on 127.0.0.1"},
      {"TALLY_FD", SETTING_INTEGER, true, &given.tally_fd, 0, 65535, "descriptor of the shared memory"},
      {"MOST", SETTING_INTEGER, true, &given.most, 1, 19000, "attackers at a time"},
      {"TOTAL", SETTING_INTEGER, true, &given.total, 0, 1 << 30, "connections ever; 0: who is cut comes again"},
      {"NUMBER", SETTING_INTEGER, true, &given.number, 0, 1 << 24, "of the first one, for its address"},
    };
    if (settings_read (table, sizeof table / sizeof table[0], argc, argv) != SETTINGS_OK || given.kind == NULL)
        return 2;
    struct rlimit files;
    getrlimit (RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit (RLIMIT_NOFILE, &files);
    signal (SIGPIPE, SIG_IGN);
    struct crowd c = {(int) given.port, (uint32_t) given.most, (uint64_t) given.total, (uint32_t) given.number,
                      tally_of ((int) given.tally_fd)};
    const struct kind *k = kind_of (given.kind);
    if (k)
        crowd_run (&c, k);
    else if (!strcmp (given.kind, "keys"))
        crowd_change_keys (&c);
    fprintf (stderr, "attack_crowd: no kind %s\n", given.kind);
    return 2;
}
