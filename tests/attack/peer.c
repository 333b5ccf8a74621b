/* SPDX-License-Identifier: MPL-2.0 */
#include "peer.h"
#include "tally.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOSTS 250u /* in the last byte, and in the third */

struct tally *tally_of (int fd)
{
    void *at = mmap (NULL, sizeof (struct tally), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED)
        return at;
    perror ("the shared memory");
    exit (1);
}

static struct sockaddr_in address (uint32_t host, int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons ((uint16_t) port)};
    a.sin_addr.s_addr = htonl (host);
    return a;
}

static uint32_t source (enum network network, uint32_t n)
{
    uint32_t second = (uint32_t) network + n / (HOSTS * HOSTS);
    return 127u << 24 | second << 16 | (n / HOSTS % HOSTS) << 8 | (n % HOSTS + 1);
}

int peer_connect (int port, enum network network, uint32_t n, int rcvbuf)
{
    struct sockaddr_in from = address (source (network, n), 0), to = address (INADDR_LOOPBACK, port);
    int one = 1;
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    /* The port is chosen by connect, so that many connections can have the same one. */
    setsockopt (fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (rcvbuf > 0)
        setsockopt (fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf);
    if (bind (fd, (struct sockaddr *) &from, sizeof from) == 0
        && (connect (fd, (struct sockaddr *) &to, sizeof to) == 0 || errno == EINPROGRESS))
        return fd;
    int error = errno;
    close (fd);
    errno = error;
    return -1;
}

void peer_reset (int fd)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt (fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close (fd);
}
