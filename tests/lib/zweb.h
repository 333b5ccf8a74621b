/* SPDX-License-Identifier: MPL-2.0 */
/* A server for the clients of peer.js. Include it after ztls.h. */
#ifndef ZWEB_H_INCLUDED
#define ZWEB_H_INCLUDED

/* MAXMSGSIZE of it. */
#define ZWEB_MAX_BYTES 2000000

typedef struct zweb_t
{
    void *ctx, *s, *monitor;
    char ws[64], wss[64]; /* its endpoints, with the path /peer */
    pthread_t thread;
} zweb_t;

/* A server that echoes what it gets, and closes the peers that say "bye". */
zweb_t zweb_open (void);
void zweb_close (zweb_t *w);

/* The next connection's events: it came up, and ended for this reason. */
void zweb_expect_peer (zweb_t *w, uint64_t reason);
/* The next connection's handshake failed, in whatever way. */
void zweb_expect_failed (zweb_t *w);

#endif
