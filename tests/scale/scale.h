/* SPDX-License-Identifier: MPL-2.0 */
/* What the processes of million.c share: counters, orders, and histograms of pings. */
#ifndef SCALE_H_INCLUDED
#define SCALE_H_INCLUDED

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum
{
    MOST_PROCESSES = 400,
    PER_ADDRESS = 20,  /* connections that come from one source address */
    PUBLISH_BYTES = 64,
    PING_BYTES = 16,   /* a mark, and the time in ns */
    HELLO_BYTES = 1,
    NUMBER_AT = 1,     /* of a publish: its number */
    BUCKETS = 36 * 16, /* of times in us: 16 for each power of two */
    KEEP_ALIVE_S = 100 /* each client says something so often; PUBLIC ends one after 120 s */
};

/* Kinds of messages: the first byte. */
enum
{
    HELLO = 'h',
    PING = 'p',
    CAST = 'c'
};

typedef struct
{
    _Atomic int pid;
    _Atomic int ready;     /* it listens */
    _Atomic int drained;   /* it has handed over, and nobody is left */
    _Atomic int64_t peers; /* that it has now */
    _Atomic int64_t gone;  /* that it had */
    _Atomic int64_t took;  /* what its publishes returned in all */
    int orders[2];         /* a pipe: 'l', or the number of a publish */
} server_t;

typedef struct
{
    _Atomic int pid;
    _Atomic int64_t up;     /* connections that have said hello */
    _Atomic int64_t read;   /* published messages that came */
    _Atomic int64_t twice;  /* of these, that a connection had already */
    _Atomic int64_t pings;  /* sent */
    _Atomic int64_t pongs;  /* that came back */
    _Atomic int64_t lost;   /* pings whose connection ended meanwhile */
    _Atomic int64_t ended;  /* connections that the server closed */
    _Atomic int64_t cut;    /* of these, by a reset: something of the client met the end */
    _Atomic int64_t broken; /* new connections that were reset, refused or not answered */
    _Atomic int64_t back;   /* connections that came again */
    _Atomic uint32_t times[BUCKETS];
} client_t;

typedef struct
{
    bool web;             /* over WebSocket */
    int connections, servers, clients;
    int drain_ms;         /* the process that is replaced ends its peers over this time */
    _Atomic int port;     /* 0: nobody listens yet */
    _Atomic int connect;  /* clients may begin */
    _Atomic int active;   /* pings are sent */
    _Atomic int leaves;   /* servers from the first one on that are replaced, by those behind the last one */
    server_t server[MOST_PROCESSES];
    client_t client[MOST_PROCESSES];
} shared_t;

extern shared_t *shared;

/* Each runs a process, and returns its exit code. */
int run_server (int index, bool take_over);
int run_client (int index);

/* The machine (machine.c). */

/* Goes to a network namespace of its own, if it may, and has the kernel's settings there as so many connections want them. */
void own_network (long connections);

/* Raises the limit of descriptors to what is wanted, or as far as it goes; returns what a process may have now. */
long descriptors (long wanted);

/* Uses so much memory as connections take, in some processes at once, and gives it back: a virtual machine gets pages from its
 * host when it first writes to them, and that is slow. false: there is not so much, and why has a sentence. */
bool warm_memory (long connections, int processes, char *why, size_t size);

/* A counter of TCP's, as nstat names it without its prefix; -1: there is none. */
int64_t kernel_counter (const char *name);

static inline int64_t now_ns (void)
{
    struct timespec t;
    clock_gettime (CLOCK_MONOTONIC, &t);
    return (int64_t) t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline double now_s (void)
{
    return (double) now_ns () / 1e9;
}

static inline void pause_ms (int ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep (&left, &left) && errno == EINTR)
        ;
}

static inline void die (const char *what)
{
    fprintf (stderr, "million: %s: %s\n", what, strerror (errno));
    _exit (1);
}

/* The part of all connections that process index of so many has. */
static inline int share_of (int all, int index, int of)
{
    return all / of + (index < all % of);
}

/* The bucket of a time. */
static inline int bucket_of (uint64_t us)
{
    if (us < 16)
        return (int) us;
    int power = 63 - __builtin_clzll (us);
    int at = (power - 3) * 16 + (int) (us >> (power - 4) & 15);
    return at < BUCKETS ? at : BUCKETS - 1;
}

/* The upper end of a bucket in us. */
static inline double bucket_end (int at)
{
    if (at < 16)
        return at + 1;
    int power = at / 16 + 3;
    return (double) ((uint64_t) (at % 16 + 17) << (power - 4));
}

#endif
