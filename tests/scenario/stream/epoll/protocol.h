/* SPDX-License-Identifier: MPL-2.0 */
/* What a bare echo server does besides sending back what it reads. */
#ifndef STREAM_PROTOCOL_H
#define STREAM_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BUFFER_ROOM 16 /* bytes in front of those that were read */

/* What lies behind those that were read: TLS may give out the rest of a record that
 * began before, and adds to each record. */
#define BUFFER_SLACK(size) (32 * 1024 + (size) / 256)

/* Of bytes that were read and then of those to be sent: at and len. */
struct buffer
{
    struct buffer *next; /* in a pool */
    uint8_t *at;
    size_t len;
    uint8_t bytes[];
};

enum opened
{
    OPENED,
    OPENS_LATER, /* when more has come */
    OPENS_NEVER
};

/* Where a handshake reads and writes; -1 with EAGAIN: nothing has come. */
struct channel
{
    ssize_t (*read) (void *of, void *bytes, size_t size, bool peek);
    bool (*write) (void *of, const void *bytes, size_t len);
    void *of;
};

/* A connection's state is zero when it is accepted. */
struct protocol
{
    size_t state_size;
    /* The handshake; called until it has failed or is done. */
    enum opened (*open) (void *state, const struct channel *channel);
    /* Turns what was read into what is to be sent, in the same buffer; it may begin
     * BUFFER_ROOM before. False: the peer breaks the protocol. */
    bool (*answer) (void *state, struct buffer *buffer);
    void (*close) (void *state); /* NULL: there is nothing to free */
    void (*leave) (void);        /* the same, of a thread that ends */
};

extern const struct protocol ws_protocol;

/* TLS below another protocol, or below none (NULL). buffer_size is that of the
 * reads. NULL: the reason was printed. */
const struct protocol *tls_protocol (const struct protocol *above,
                                     const char *certificate,
                                     const char *key,
                                     size_t buffer_size);

#endif
