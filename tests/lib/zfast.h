/* SPDX-License-Identifier: MPL-2.0 */
/* The mode FAST in tests. Include it after ztest.h. */
#ifndef ZFAST_H_INCLUDED
#define ZFAST_H_INCLUDED

static inline void *zt_fast_socket (void *ctx)
{
    void *s = zt_socket (ctx);
    zt_set_int (s, ZLINK_STREAM_MODE, ZLINK_STREAM_MODE_FAST);
    return s;
}

/* A message for a peer. */
static inline void
zt_fast_init (zlink_msg_t *msg, uint32_t peer, const void *body, size_t size)
{
    CHECK_OK (zlink_msg_init_size (msg, size));
    if (size > 0)
        memcpy (zlink_msg_data (msg), body, size);
    CHECK_OK (zlink_msg_set_routing_id (msg, peer));
}

/* Sends; -1 with errno when it is refused. */
static inline int zt_fast_try (
  void *s, uint32_t peer, const void *body, size_t size, int flags)
{
    zlink_msg_t msg;
    zt_fast_init (&msg, peer, body, size);
    int rc = zlink_msg_send (&msg, s, flags);
    int err = errno;
    CHECK_OK (zlink_msg_close (&msg));
    errno = err;
    return rc;
}

static inline void
zt_fast_send (void *s, uint32_t peer, const void *body, size_t size)
{
    CHECK_EQ (zt_fast_try (s, peer, body, size, 0), size);
}

/* Receives a message that is not ZLINK_STREAM_WRITABLE, which may come at any time once a send
 * got EAGAIN, unless event is that. Returns its size. */
static inline int zt_fast_recv (void *s, zlink_msg_t *msg, int event)
{
    int size;
    do
        size = zlink_msg_recv (msg, s, 0);
    while (size == 0 && event != ZLINK_STREAM_WRITABLE
           && zlink_msg_get (msg, ZLINK_STREAM_EVENT) == ZLINK_STREAM_WRITABLE);
    return size;
}

/* The next message is this event; returns its peer. */
static inline uint32_t zt_fast_event (void *s, int event)
{
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    CHECK_EQ (zt_fast_recv (s, &msg, event), 0);
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_STREAM_EVENT), event);
    CHECK_EQ (zlink_msg_size (&msg), 0);
    uint32_t peer = zlink_msg_routing_id (&msg);
    CHECK (peer != 0);
    CHECK_OK (zlink_msg_close (&msg));
    return peer;
}

/* This received message is data, exactly this, from this peer. */
static inline void zt_fast_is (
  zlink_msg_t *msg, uint32_t peer, const void *body, size_t size)
{
    CHECK_EQ (zlink_msg_get (msg, ZLINK_STREAM_EVENT), ZLINK_STREAM_DATA);
    CHECK_EQ (zlink_msg_routing_id (msg), peer);
    CHECK_EQ (zlink_msg_size (msg), size);
    CHECK_MEM (zlink_msg_data (msg), body, size);
}

/* The next message is data, exactly this, from this peer. */
static inline void
zt_fast_expect (void *s, uint32_t peer, const void *body, size_t size)
{
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    CHECK_EQ (zt_fast_recv (s, &msg, ZLINK_STREAM_DATA), size);
    zt_fast_is (&msg, peer, body, size);
    CHECK_OK (zlink_msg_close (&msg));
}

/* Nothing waits, and nothing comes within ms. */
static inline void zt_fast_silence (void *s, int ms)
{
    zlink_pollitem_t item = {s, 0, ZLINK_POLLIN, 0};
    CHECK_EQ (zlink_poll (&item, 1, ms), 0);
}

/* A message for a peer, filled from the seed. */
static inline void
zt_fast_fill (zlink_msg_t *msg, uint32_t peer, uint32_t seed, size_t size)
{
    CHECK_OK (zlink_msg_init_size (msg, size));
    zt_fill (zlink_msg_data (msg), size, seed);
    CHECK_OK (zlink_msg_set_routing_id (msg, peer));
}

/* Such a message is as it was made, or was sent here. */
static inline void
zt_fast_filled (zlink_msg_t *msg, uint32_t peer, uint32_t seed, size_t size)
{
    CHECK_EQ (zlink_msg_routing_id (msg), peer);
    CHECK_EQ (zlink_msg_size (msg), size);
    CHECK (zt_filled (zlink_msg_data (msg), size, seed));
}

/* A plain client reads such a message. */
static inline void zt_fast_read (int fd, uint32_t seed, size_t size)
{
    uint8_t *body = malloc (size + 1);
    CHECK (body != NULL);
    CHECK_EQ (zt_read_frame (fd, body, size), size);
    CHECK (zt_filled (body, size, seed));
    free (body);
}

static inline void zt_fast_init_all (zlink_msg_t *msgs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        CHECK_OK (zlink_msg_init (&msgs[i]));
}

static inline void zt_fast_close_all (zlink_msg_t *msgs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        CHECK_OK (zlink_msg_close (&msgs[i]));
}

/* A context with one server and one plain client. */
typedef struct zt_fast_t
{
    void *ctx;
    void *s;
    int port;
    int fd;
    uint32_t peer;
} zt_fast_t;

/* Binds the socket of f, and connects the client. */
static inline void zt_fast_begin (zt_fast_t *f)
{
    f->port = zt_bind (f->s);
    f->fd = zt_client (f->port);
    f->peer = zt_fast_event (f->s, ZLINK_STREAM_CONNECTED);
}

static inline zt_fast_t zt_fast_open (void)
{
    zt_fast_t f;
    f.ctx = zt_ctx ();
    f.s = zt_fast_socket (f.ctx);
    zt_fast_begin (&f);
    return f;
}

/* As zt_fast_open, with high-water marks and small kernel buffers. The marks are the only
 * bounds. */
static inline zt_fast_t zt_fast_open_small (int hwm)
{
    enum
    {
        buffer_bytes = 65536
    };
    zt_fast_t f;
    f.ctx = zt_ctx ();
    f.s = zt_fast_socket (f.ctx);
    zt_unbounded (f.s);
    zt_set_int (f.s, ZLINK_SNDHWM, hwm);
    zt_set_int (f.s, ZLINK_RCVHWM, hwm);
    zt_set_int (f.s, ZLINK_SNDBUF, buffer_bytes);
    zt_set_int (f.s, ZLINK_RCVBUF, buffer_bytes);
    f.port = zt_bind (f.s);
    f.fd = zt_small_client (f.port);
    f.peer = zt_fast_event (f.s, ZLINK_STREAM_CONNECTED);
    return f;
}

static inline void zt_fast_close (zt_fast_t *f)
{
    close (f->fd);
    zt_close (f->s);
    zt_term (f->ctx);
}

#endif
