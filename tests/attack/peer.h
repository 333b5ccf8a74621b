/* SPDX-License-Identifier: MPL-2.0 */
/* Plain connections to the server, each from an address of its own. */
#ifndef ATTACK_PEER_H
#define ATTACK_PEER_H

#include <stdbool.h>
#include <stdint.h>

/* Networks of 127.0.0.0/8, the second byte of an address; a network has 250 times 250
 * addresses, and what is more goes on in the next one. */
enum network
{
    NETWORK_GOOD = 1,
    NETWORK_NEW = 2,
    NETWORK_ONE = 8, /* a single address */
    NETWORK_ATTACK = 16
};

/* A descriptor that does not block and is connecting to a port of 127.0.0.1 from
 * address number n of a network. rcvbuf: its receive buffer, 0: the system's. -1 with
 * errno. */
int peer_connect (int port, enum network network, uint32_t n, int rcvbuf);

/* Closes with a reset, which leaves nothing in the system. */
void peer_reset (int fd);

#endif
