/* SPDX-License-Identifier: MPL-2.0 */
/* A folder with a path for an ipc server, and plain sockets of that kind. */
#ifndef ZIPC_H_INCLUDED
#define ZIPC_H_INCLUDED

#include "ztest.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static char folder[64], path[96], endpoint[128];

/* A new folder, and in it the path of the case's server. */
static inline void make_folder (void)
{
    strcpy (folder, "/tmp/zlink-ipc-XXXXXX");
    CHECK (mkdtemp (folder) != NULL);
    snprintf (path, sizeof path, "%s/server", folder);
    snprintf (endpoint, sizeof endpoint, "ipc://%s", path);
}

/* The folder is empty again. */
static inline void remove_folder (void)
{
    CHECK_OK (rmdir (folder));
}

static inline bool exists (const char *name)
{
    struct stat info;
    return lstat (name, &info) == 0;
}

/* name: a path, or a name in the abstract space that begins with "@". */
static inline struct sockaddr_un address_of (const char *name, socklen_t *size)
{
    struct sockaddr_un address;
    size_t length = strlen (name);
    memset (&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    CHECK (length <= sizeof address.sun_path);
    memcpy (address.sun_path, name, length);
    *size = (socklen_t) (offsetof (struct sockaddr_un, sun_path) + length);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    else if (length < sizeof address.sun_path)
        ++*size;
    return address;
}

/* A plain client; -1 with errno when nobody listens. */
static inline int client (const char *name)
{
    socklen_t size;
    struct sockaddr_un address = address_of (name, &size);
    int fd = socket (AF_UNIX, SOCK_STREAM, 0);
    CHECK (fd >= 0);
    if (connect (fd, (struct sockaddr *) &address, size) == 0)
        return fd;
    int err = errno;
    close (fd);
    errno = err;
    return -1;
}

/* A plain server's descriptor, which listens. */
static inline int server_of (const char *name)
{
    socklen_t size;
    struct sockaddr_un address = address_of (name, &size);
    int fd = socket (AF_UNIX, SOCK_STREAM, 0);
    CHECK (fd >= 0);
    CHECK_OK (bind (fd, (struct sockaddr *) &address, size));
    CHECK_OK (listen (fd, 8));
    return fd;
}

static inline const char *last_endpoint (void *s)
{
    static char text[256];
    size_t size = sizeof text;
    CHECK_OK (zlink_getsockopt (s, ZLINK_LAST_ENDPOINT, text, &size));
    CHECK_EQ (size, strlen (text) + 1);
    return text;
}

#endif
