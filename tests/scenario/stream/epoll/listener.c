/* SPDX-License-Identifier: MPL-2.0 */
#include "listener.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

static void set_option (int fd, int level, int option, long value)
{
    int number = (int) value;
    setsockopt (fd, level, option, &number, sizeof number);
}

int listener_open (struct listener *listener, int type_flags)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons ((uint16_t) listener->port),
                                  .sin_addr.s_addr = htonl (INADDR_ANY)};
    socklen_t len = sizeof address;
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC | type_flags, 0);
    if (fd < 0)
        return -1;
    set_option (fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_option (fd, SOL_SOCKET, SO_REUSEPORT, 1);
    set_option (fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (listener->sndbuf > 0)
        set_option (fd, SOL_SOCKET, SO_SNDBUF, listener->sndbuf);
    if (listener->rcvbuf > 0)
        set_option (fd, SOL_SOCKET, SO_RCVBUF, listener->rcvbuf);
    if (bind (fd, (struct sockaddr *) &address, len) != 0
        || listen (fd, (int) listener->backlog) != 0
        || getsockname (fd, (struct sockaddr *) &address, &len) != 0) {
        close (fd);
        return -1;
    }
    listener->port = ntohs (address.sin_port);
    return fd;
}
