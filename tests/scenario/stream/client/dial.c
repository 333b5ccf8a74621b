/* SPDX-License-Identifier: MPL-2.0 */
#include "dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int to_port (struct dial *dial, const struct options *options)
{
    struct sockaddr_in *address = (struct sockaddr_in *) &dial->address;
    address->sin_family = AF_INET;
    address->sin_port = htons ((uint16_t) options->port);
    dial->address_len = sizeof *address;
    if (inet_pton (AF_INET, options->host, &address->sin_addr) == 1)
        return 0;
    fprintf (stderr, "--host %s: not an IPv4 address\n", options->host);
    return -1;
}

/* A name that begins with @ is an abstract one: NUL instead of the @, and as
 * long as the address says. */
static int to_path (struct dial *dial, const char *path)
{
    struct sockaddr_un *address = &dial->address.un;
    size_t len = strlen (path);
    if (len == 0 || len >= sizeof address->sun_path) {
        fprintf (stderr, "--path %s: empty or too long\n", path);
        return -1;
    }
    address->sun_family = AF_UNIX;
    memcpy (address->sun_path, path, len);
    size_t size = offsetof (struct sockaddr_un, sun_path) + len;
    if (path[0] == '@')
        address->sun_path[0] = '\0';
    else
        size++; /* the NUL at the end */
    dial->address_len = (socklen_t) size;
    return 0;
}

int dial_init (struct dial *dial, const struct options *options)
{
    *dial = (struct dial) {.sndbuf = (int) options->sndbuf,
                           .rcvbuf = (int) options->rcvbuf,
                           .sources = (uint32_t) options->sources};
    return options->path ? to_path (dial, options->path)
                         : to_port (dial, options);
}

static void set_option (int fd, int level, int option, int value)
{
    if (value > 0)
        setsockopt (fd, level, option, &value, sizeof value);
}

#define HOSTS 250u /* in the last byte of an address, and in the third */

/* Has a descriptor connect from the next one of 127.1.0.1, 127.1.0.2 and so on. The
 * port is chosen by connect, so that many connections can have the same one. */
static int from_source (struct dial *dial, int fd)
{
    uint32_t n = dial->next++ % dial->sources;
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl (127u << 24 | (1 + n / (HOSTS * HOSTS)) << 16
                                  | n / HOSTS % HOSTS << 8 | (n % HOSTS + 1));
    set_option (fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    return bind (fd, (struct sockaddr *) &from, sizeof from);
}

int dial_start (struct dial *dial)
{
    int family = dial->address.any.sa_family;
    int fd = socket (family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (family == AF_INET)
        set_option (fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option (fd, SOL_SOCKET, SO_SNDBUF, dial->sndbuf);
    set_option (fd, SOL_SOCKET, SO_RCVBUF, dial->rcvbuf);
    if ((dial->sources > 0 && from_source (dial, fd) != 0)
        || (connect (fd, &dial->address.any, dial->address_len) != 0
            && errno != EINPROGRESS)) {
        int error = errno;
        close (fd);
        errno = error;
        return -1;
    }
    return fd;
}

int dial_result (int fd)
{
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt (fd, SOL_SOCKET, SO_ERROR, &error, &len);
    return error;
}
