/* SPDX-License-Identifier: MPL-2.0 */
/* The plain TCP side of the harness. */
#include "ztest.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

#define SMALL_BUFFER_BYTES 65536

static struct sockaddr_in loopback (int port)
{
    struct sockaddr_in address;
    memset (&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons ((uint16_t) port);
    address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    return address;
}

int zt_listen (int *port)
{
    struct sockaddr_in address = loopback (0);
    socklen_t size = sizeof address;
    int fd = socket (AF_INET, SOCK_STREAM, 0);
    CHECK (fd >= 0);
    CHECK_OK (bind (fd, (struct sockaddr *) &address, sizeof address));
    CHECK_OK (listen (fd, 128));
    CHECK_OK (getsockname (fd, (struct sockaddr *) &address, &size));
    *port = ntohs (address.sin_port);
    return fd;
}

int zt_accept (int listener)
{
    int fd = accept (listener, NULL, NULL);
    CHECK (fd >= 0);
    return fd;
}

static int dial (int fd, int port)
{
    struct sockaddr_in address = loopback (port);
    int on = 1;
    CHECK_OK (setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
    return connect (fd, (struct sockaddr *) &address, sizeof address);
}

int zt_try_client (int port)
{
    int fd = socket (AF_INET, SOCK_STREAM, 0);
    CHECK (fd >= 0);
    if (dial (fd, port) == 0)
        return fd;
    int err = errno;
    close (fd);
    errno = err;
    return -1;
}

int zt_client (int port)
{
    int fd = zt_try_client (port);
    CHECK (fd >= 0);
    return fd;
}

int zt_small_client (int port)
{
    int size = SMALL_BUFFER_BYTES;
    int fd = socket (AF_INET, SOCK_STREAM, 0);
    CHECK (fd >= 0);
    CHECK_OK (setsockopt (fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size));
    CHECK_OK (setsockopt (fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
    CHECK_OK (dial (fd, port));
    return fd;
}

void zt_write (int fd, const void *buf, size_t size)
{
    const uint8_t *bytes = buf;
    while (size > 0) {
        ssize_t n = send (fd, bytes, size, MSG_NOSIGNAL);
        if (n == -1 && errno == EINTR)
            continue;
        CHECK (n > 0);
        bytes += n;
        size -= (size_t) n;
    }
}

void zt_write_frame (int fd, const void *body, size_t size)
{
    uint8_t *frame = malloc (4 + size);
    CHECK (frame != NULL);
    zt_put32 (frame, (uint32_t) size);
    if (size > 0)
        memcpy (frame + 4, body, size);
    zt_write (fd, frame, 4 + size);
    free (frame);
}

void zt_read (int fd, void *buf, size_t size)
{
    uint8_t *bytes = buf;
    while (size > 0) {
        ssize_t n = recv (fd, bytes, size, 0);
        if (n == -1 && errno == EINTR)
            continue;
        if (n == 0)
            errno = 0;
        CHECK (n > 0);
        bytes += n;
        size -= (size_t) n;
    }
}

size_t zt_read_frame (int fd, void *body, size_t cap)
{
    uint8_t header[4];
    zt_read (fd, header, sizeof header);
    uint32_t size = zt_get32 (header);
    CHECK (size <= cap);
    zt_read (fd, body, size);
    return size;
}

void zt_expect_eof (int fd)
{
    uint8_t byte;
    ssize_t n = recv (fd, &byte, 1, 0);
    CHECK (n == 0 || (n == -1 && errno == ECONNRESET));
}

void zt_reset (int fd)
{
    struct linger linger = {1, 0};
    CHECK_OK (setsockopt (fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
    CHECK_OK (close (fd));
}

bool zt_has_ipv6 (void)
{
    struct sockaddr_in6 address;
    int fd = socket (AF_INET6, SOCK_STREAM, 0);

    memset (&address, 0, sizeof address);
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    bool has = fd >= 0
               && bind (fd, (struct sockaddr *) &address, sizeof address) == 0;
    if (fd >= 0)
        close (fd);
    if (!has)
        zt_skip ("IPv6, there is no ::1 here");
    return has;
}

size_t zt_unread_bytes (int port)
{
    char line[512];
    size_t unread = 0;
    unsigned local_port, state, sent, received;
    FILE *file = fopen ("/proc/self/net/tcp", "r");
    CHECK (file != NULL);
    while (fgets (line, sizeof line, file)) {
        if (sscanf (line, " %*u: %*x:%x %*x:%*x %x %x:%x", &local_port, &state,
                    &sent, &received)
            != 4)
            continue;
        if (local_port == (unsigned) port && state != TCP_LISTEN)
            unread += received;
    }
    fclose (file);
    return unread;
}
