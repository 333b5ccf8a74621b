/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A process of clients of million.c, which are no zlink: sockets and one epoll. Each connection says
 * hello, and then something every KEEP_ALIVE_S; one in a hundred sends a ping each second. A client whose
 * server closes connects again.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "scale.h"

enum
{
    WINDOW = 2048,      /* connections that all processes open at a time */
    SOURCES = 16 << 16, /* the source addresses begin with 127.16 */
    ROOM = 200,         /* for the bytes of a message that is not whole, or an answer of HTTP */
    EVENTS = 512,
    ROUND_MS = 10,
    SELDOM_NS = 1000000, /* events with less between them on average */
    GATHER_NS = 4000000  /* are gathered for so long */
};

/* Small, because there are many and each is met when it is cold. */
typedef struct
{
    int fd; /* -1: none */
    uint8_t phase;
    uint8_t kept;   /* bytes in its part of rests */
    uint8_t awaits; /* a ping is on its way */
    uint8_t casts;  /* the number of the last publish */
} conn_t;

/* Phases. */
enum
{
    AWAY,
    CONNECTING,
    UPGRADING,
    UP
};

static client_t *self;
static conn_t *conns;
static uint8_t (*rests)[ROOM]; /* memory where something was kept, which is seldom */
static int count, epoll, opening, next_new, first_number, actives;

static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

static void add (_Atomic int64_t *counter, int64_t n)
{
    atomic_store_explicit (counter, atomic_load_explicit (counter, memory_order_relaxed) + n, memory_order_relaxed);
}

/* ------------------------------------------------------------------- frames */

static bool put (conn_t *c, const void *data, size_t size)
{
    return send (c->fd, data, size, MSG_NOSIGNAL) == (ssize_t) size;
}

/* Sends a frame of WebSocket, with the mask 0. */
static bool put_web (conn_t *c, uint8_t opcode, const void *data, size_t size)
{
    uint8_t frame[2 + 4 + 125] = {0x80 | opcode, (uint8_t) (0x80 | size)};
    memcpy (frame + 6, data, size);
    return put (c, frame, 6 + size);
}

/* Sends a message; false: the connection is over, as the kernel always has room for so little. */
static bool say (conn_t *c, const void *body, size_t size)
{
    uint8_t frame[4 + 64] = {0, 0, 0, (uint8_t) size};
    memcpy (frame + 4, body, size);
    return shared->web ? put_web (c, 2, frame, 4 + size) : put (c, frame, 4 + size);
}

static void took (conn_t *c, const uint8_t *body, size_t size)
{
    if (size == PUBLISH_BYTES && body[0] == CAST) {
        add (&self->twice, body[NUMBER_AT] <= c->casts);
        c->casts = body[NUMBER_AT];
        add (&self->read, 1);
    } else if (size == PING_BYTES && body[0] == PING) {
        int64_t sent;
        memcpy (&sent, body + 8, sizeof sent);
        _Atomic uint32_t *times = &self->times[bucket_of ((uint64_t) (now_ns () - sent) / 1000)];
        atomic_store_explicit (times, *times + 1, memory_order_relaxed);
        add (&self->pongs, 1);
        c->awaits = 0;
    } else {
        errno = EPROTO;
        die ("a message that nobody has sent");
    }
}

/* Takes whole frames of the wire at p; returns how many bytes they are. */
static size_t take_plain (conn_t *c, const uint8_t *p, size_t size)
{
    size_t at = 0;
    while (size - at >= 4 && size - at >= 4u + p[at + 3]) {
        took (c, p + at + 4, p[at + 3]);
        at += 4u + p[at + 3];
    }
    return at;
}

/* The same of WebSocket; -1: the server closes. A server's frames here are short, and hold whole messages. */
static ssize_t take_web (conn_t *c, const uint8_t *p, size_t size)
{
    size_t at = 0;
    while (size - at >= 2) {
        size_t header = p[at + 1] == 126 ? 4 : 2;
        if (size - at < header)
            break;
        size_t length = header == 4 ? (size_t) p[at + 2] << 8 | p[at + 3] : p[at + 1];
        if (size - at < header + length)
            break;
        const uint8_t *body = p + at + header;
        switch (p[at] & 15) {
            case 2:
                take_plain (c, body, length);
                break;
            case 9:
                put_web (c, 10, body, length);
                break;
            case 8:
                put_web (c, 8, body, length < 2 ? length : 2);
                return -1;
        }
        at += header + length;
    }
    return (ssize_t) at;
}

/* -------------------------------------------------------------- connections */

static void watch (conn_t *c, int how, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.u32 = (uint32_t) (c - conns)};
    if (epoll_ctl (epoll, how, c->fd, &e) < 0)
        die ("epoll_ctl");
}

/* Begins a connection from the address that its number has. */
static void begin (conn_t *c)
{
    int on = 1, number = first_number + (int) (c - conns);
    uint32_t addresses = (uint32_t) (shared->connections + PER_ADDRESS - 1) / PER_ADDRESS;
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl ((127u << 24) + SOURCES + 1 + (uint32_t) number % addresses)};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons ((uint16_t) atomic_load (&shared->port)),
                             .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    c->fd = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die ("socket");
    setsockopt (c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt (c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind (c->fd, (struct sockaddr *) &from, sizeof from) < 0)
        die ("bind");
    if (connect (c->fd, (struct sockaddr *) &to, sizeof to) < 0 && errno != EINPROGRESS)
        die ("connect");
    c->phase = CONNECTING;
    c->kept = 0;
    opening++;
    watch (c, EPOLL_CTL_ADD, EPOLLOUT | EPOLLET);
}

/* Ends a connection, and begins it once more. */
static void over (conn_t *c, bool reset)
{
    if (c->phase == UP) {
        add (&self->up, -1);
        add (&self->ended, 1);
        add (&self->lost, c->awaits);
        add (&self->cut, reset);
    } else {
        opening--;
        add (&self->broken, 1);
    }
    close (c->fd);
    c->awaits = 0;
    c->phase = AWAY;
    c->fd = -1;
    begin (c);
    add (&self->back, 1);
}

static void greet (conn_t *c)
{
    const uint8_t hello = HELLO;
    const int on = 1;
    opening--;
    c->phase = UP;
    add (&self->up, 1);
    if (!say (c, &hello, HELLO_BYTES))
        over (c, true);
    else /* what comes is acknowledged at once, and not by a timer later */
        setsockopt (c->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

static void connected (conn_t *c)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt (c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        over (c, true);
        return;
    }
    watch (c, EPOLL_CTL_MOD, EPOLLIN | EPOLLRDHUP | EPOLLET);
    if (!shared->web)
        greet (c);
    else if (put (c, request, sizeof request - 1))
        c->phase = UPGRADING;
    else
        over (c, true);
}

/* Looks for the end of the answer of HTTP; returns how many bytes it is, or 0. */
static size_t upgraded (const uint8_t *p, size_t size)
{
    const uint8_t *end = memmem (p, size, "\r\n\r\n", 4);
    if (!end)
        return 0;
    if (memcmp (p, "HTTP/1.1 101", 12) != 0) {
        errno = EPROTO;
        die ("the server took no WebSocket");
    }
    return (size_t) (end - p) + 4;
}

/* Reads once; true: there may be more. */
static bool read_once (conn_t *c)
{
    uint8_t buf[4096];
    if (c->kept > 0)
        memcpy (buf, rests[c - conns], c->kept);
    ssize_t n = recv (c->fd, buf + c->kept, sizeof buf - c->kept, 0);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0) {
        over (c, n < 0);
        return false;
    }
    size_t size = c->kept + (size_t) n, at = 0;
    if (c->phase == UPGRADING && (at = upgraded (buf, size)) > 0)
        greet (c);
    if (c->phase == UP) {
        ssize_t taken = shared->web ? take_web (c, buf + at, size - at) : (ssize_t) take_plain (c, buf + at, size - at);
        if (taken < 0) {
            over (c, false);
            return false;
        }
        at += (size_t) taken;
    }
    if (size - at > ROOM) {
        errno = EMSGSIZE;
        die ("more than a message is not whole");
    }
    c->kept = (uint8_t) (size - at);
    if (c->kept > 0)
        memcpy (rests[c - conns], buf + at, c->kept);
    return size == sizeof buf;
}

static void readable (conn_t *c, bool ends)
{
    while (read_once (c) || ends) /* the end, too, is read */
        if (c->phase != UP && c->phase != UPGRADING)
            return;
}

/* -------------------------------------------------------------------- rounds */

static void ping (conn_t *c)
{
    uint8_t body[PING_BYTES] = {PING};
    int64_t now = now_ns ();
    memcpy (body + 8, &now, sizeof now);
    if (c->phase != UP || c->awaits)
        return;
    if (!say (c, body, sizeof body)) {
        over (c, errno != EPIPE);
        return;
    }
    c->awaits = 1;
    add (&self->pings, 1);
}

/* Does what is due between two times: spread evenly, each connection has its turn in period_s. */
static void each_due (double from, double to, double period_s, int of, int step, void (*act) (conn_t *))
{
    int64_t first = (int64_t) (from / period_s * of), last = (int64_t) (to / period_s * of);
    for (int64_t n = first; n < last && of > 0; n++)
        act (&conns[n % of * step]);
}

static void stay (conn_t *c)
{
    const uint8_t hello = HELLO;
    if (c->phase == UP && !say (c, &hello, HELLO_BYTES))
        over (c, errno != EPIPE);
}

/* As a network card does with interrupts: where many events come, gathers them for a while, so that not each packet wakes
 * this process up. */
static void gather (int events, int64_t *before)
{
    static int64_t between = SELDOM_NS; /* from one event to the next, of late */
    const struct timespec pause = {0, GATHER_NS};
    int64_t now = now_ns ();
    if (events == 0)
        return;
    between += ((now - *before) / events - between) / 4;
    *before = now;
    if (between < SELDOM_NS && events < EVENTS)
        nanosleep (&pause, NULL);
}

static void open_more (void)
{
    while (next_new < count && opening <= WINDOW / shared->clients && atomic_load (&shared->connect))
        begin (&conns[next_new++]);
}

int run_client (int index)
{
    struct epoll_event events[EVENTS];
    int64_t last = now_ns ();
    self = &shared->client[index];
    count = share_of (shared->connections, index, shared->clients);
    for (int i = 0; i < index; i++)
        first_number += share_of (shared->connections, i, shared->clients);
    actives = count / 100 > 0 ? count / 100 : 1;
    descriptors (count + 100);
    conns = calloc ((size_t) count, sizeof *conns);
    rests = calloc ((size_t) count, sizeof *rests);
    epoll = epoll_create1 (EPOLL_CLOEXEC);
    if (!conns || !rests || epoll < 0)
        die ("no memory for clients");
    for (double before = now_s ();;) {
        open_more ();
        int n = epoll_wait (epoll, events, EVENTS, ROUND_MS);
        for (int i = 0; i < n; i++) {
            conn_t *c = &conns[events[i].data.u32];
            if (c->phase == CONNECTING)
                connected (c);
            else if (c->phase != AWAY)
                readable (c, events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
        }
        gather (n, &last);
        double now = now_s ();
        each_due (before, now, KEEP_ALIVE_S, count, 1, stay);
        if (atomic_load (&shared->active))
            each_due (before, now, 1, actives, count / actives, ping);
        before = now;
    }
}
