/* SPDX-License-Identifier: MPL-2.0 */
/* What the attackers of one kind do. */
#ifndef ATTACK_CROWD_H
#define ATTACK_CROWD_H

#include "peer.h"
#include "tally.h"

#include <stddef.h>
#include <stdint.h>

enum conduct
{
    CONDUCT_SAY,    /* sends its first bytes, and nothing more */
    CONDUCT_FLOOD,  /* then its block, again and again, as fast as it is taken */
    CONDUCT_DRIP,   /* a byte of its first ones a second, and then zeros */
    CONDUCT_VANISH, /* leaves at once, in a different way each time */
    CONDUCT_LEAVE   /* leaves after a second, by a reset */
};

struct kind
{
    const char *name;
    enum conduct conduct;
    enum network network;
    bool waits;             /* for an answer to its first bytes, which it reads */
    long opens_each_s;      /* 0: as fast as the server takes them */
    size_t (*first) (uint8_t *bytes); /* NULL: none */
    size_t (*block) (uint8_t *bytes);
};

#define FIRST_MAX 2048
#define BLOCK_MAX (64u << 10)

/* NULL: none of that name. */
const struct kind *kind_of (const char *name);

/* The attackers that a process makes. */
struct crowd
{
    int port;
    uint32_t most;  /* at a time */
    uint64_t total; /* ever; 0: no end, who is cut comes again a second later */
    uint32_t number; /* of the first one: it decides its address */
    struct tally *tally;
};

/* It does not return. */
void crowd_run (const struct crowd *crowd, const struct kind *kind);

/* Clients over TLS 1.3 that change their keys, ask the server to change its own, and
 * read nothing; a thread each. */
void crowd_change_keys (const struct crowd *crowd);

#endif
