/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What lies in a zlink_msg_t: for msg.c, which ends, copies and shows messages,
 * and for fast.c, which fills and sends many of them.
 */
#ifndef ZLINK_MSG_H
#define ZLINK_MSG_H

#include <string.h>

#include "internal.h"
#include "types.h"
#include "zlink.h"

/* Kinds of a message. Anything else is not a message: EFAULT. */
enum
{
    KIND_INLINE = 0xA1,  /* in the message itself */
    KIND_CONTENT = 0xA2, /* in a counted block */
    KIND_SLAB = 0xA3     /* in a slab that this message holds a reference to */
};

enum
{
    FLAG_SHARED = 1, /* of KIND_SLAB: copied at least once */
    FLAG_MORE = 2
};

enum
{
    PEER_NONE = ZL_IP_NONE,
    PEER_IP4 = ZL_IP4,
    PEER_IP6 = ZL_IP6,
    PEER_TEXT = 7, /* peer.text, owned */

    ZONE_AT = 4, /* of a link-local address its zone lies in peer.ip */

    INLINE_MAX = 39,
    /* In the mode COMPAT a received body from this size on stays in its slab.
     * Shorter ones are copied, so that a message kept for long pins little more
     * than itself. In FAST all above INLINE_MAX stay, within a bound (fast.c). */
    VIEW_MIN = 16 << 10
};

typedef struct content
{
    _Atomic int32_t refs;
    void *data;
    size_t size;
    zlink_free_fn *ffn;
    void *hint;
} content;

typedef struct message
{
    uint8_t kind;
    uint8_t flags;
    uint8_t event; /* of the mode FAST */
    uint8_t peer_kind;
    uint32_t routing_id;
    union
    {
        uint8_t ip[16];
        char *text;
    } peer;
    union
    {
        struct
        {
            uint8_t bytes[INLINE_MAX];
            uint8_t size;
        } short_;
        content *content;
        struct
        {
            uint8_t *data;
            size_t size;
            zl_slab *slab;
        } view;
    } u;
} message;

_Static_assert (sizeof (message) == sizeof (zlink_msg_t), "message size");

static inline message *as_message (zlink_msg_t *msg)
{
    return (message *) msg;
}

/* The message, or NULL when the memory holds none, or in a forked child. */
static inline const message *valid_message (const zlink_msg_t *msg)
{
    const message *m = (const message *) msg;
    return m && m->kind >= KIND_INLINE && m->kind <= KIND_SLAB
               && ZL_LIKELY (!zl_forked)
             ? m
             : NULL;
}

/* Makes m an empty message. What is not set is not looked at. */
static inline void init_message (message *m)
{
    m->kind = KIND_INLINE;
    m->flags = 0;
    m->event = 0;
    m->peer_kind = PEER_NONE;
    m->routing_id = 0;
    m->u.short_.size = 0;
}

static inline uint8_t *message_data (const message *m)
{
    switch (m->kind) {
        case KIND_INLINE:
            return (uint8_t *) m->u.short_.bytes;
        case KIND_CONTENT:
            return m->u.content->data;
        default:
            return m->u.view.data;
    }
}

static inline size_t message_size (const message *m)
{
    switch (m->kind) {
        case KIND_INLINE:
            return m->u.short_.size;
        case KIND_CONTENT:
            return m->u.content->size;
        default:
            return m->u.view.size;
    }
}

/* Makes m a message of size bytes behind its header fields; -1: no memory. */
int zl_msg_allocate (message *m, size_t size);

/* Releases what m refers to; m is no message afterwards. */
void zl_msg_release (message *m);

/* ------------------------------------------------------ received messages */

/* What all messages of a session have. */
typedef struct origin
{
    uint32_t routing_id; /* 0 in the mode COMPAT */
    uint8_t ip_kind;
    uint8_t ip[16];
} origin;

static inline origin origin_of (const zl_session *s, uint32_t routing_id)
{
    origin o;
    o.routing_id = routing_id;
    o.ip_kind = s->ip_kind;
    memcpy (o.ip, s->ip, sizeof o.ip);
    if (ZL_UNLIKELY (s->zone != 0)) /* of fe80::/64, whose bytes from 2 to 7 are zero */
        memcpy (o.ip + ZONE_AT, &s->zone, sizeof s->zone);
    return o;
}

/* Makes m a message of that origin, whose content is to be set. Every field is
 * stored where it belongs: a copy of a message built elsewhere would wait for
 * the stores of its parts. */
static inline void begin_message (message *m, const origin *from)
{
    if (m->kind != KIND_INLINE || m->peer_kind == PEER_TEXT)
        zl_msg_release (m);
    m->flags = 0;
    m->event = 0;
    m->peer_kind = from->ip_kind;
    m->routing_id = from->routing_id;
    memcpy (m->peer.ip, from->ip, sizeof m->peer.ip);
}

/* The same with a body that stays in the slab; the caller counts it. */
static inline void view_message (
  message *m, const origin *from, uint8_t *data, size_t size, zl_slab *slab)
{
    begin_message (m, from);
    m->kind = KIND_SLAB;
    m->u.view.data = data;
    m->u.view.size = size;
    m->u.view.slab = slab;
}

/* The same with a copy of the body; false with errno: no memory, and m is as it
 * was. */
static inline bool
copy_message (message *m, const origin *from, const uint8_t *data, size_t size)
{
    message body;
    if (size <= INLINE_MAX) {
        begin_message (m, from);
        m->kind = KIND_INLINE;
        m->u.short_.size = (uint8_t) size;
        memcpy (m->u.short_.bytes, data, size);
        return true;
    }
    if (zl_msg_allocate (&body, size) != 0)
        return false;
    memcpy (message_data (&body), data, size);
    begin_message (m, from);
    m->kind = KIND_CONTENT;
    m->u.content = body.u.content;
    return true;
}

/* What a long message hands over when it is sent without a copy. */
static inline void *owner_of (const message *m)
{
    return m->kind == KIND_SLAB ? (char *) m->u.view.slab + 1
                                : (void *) m->u.content;
}

/* Ends a message that was sent; with owned its reference went with the bytes. */
static inline void end_sent (message *m, bool owned)
{
    if (owned)
        m->kind = KIND_INLINE;
    zl_msg_release (m);
    init_message (m);
}

/* zlink_msg_recv and zlink_msg_send of a valid message in the mode FAST; handle
 * names the socket k. */
int zl_msg_recv_fast (zlink_msg_t *msg, void *handle, zl_queues *k, int flags);
int zl_msg_send_fast (zlink_msg_t *msg, void *handle, zl_queues *k, int flags);

/* Called by Go with a piece of a run: makes msg the message, or the frame, of it. false: msg is
 * no message, or of a frame there is no memory for it. */
bool zl_fill_message (zlink_msg_t *msg, zl_run *r, void *body, size_t size);
bool zl_fill_frame (zlink_msg_t *msg, zl_run *r, void *data, size_t size, zl_slab *slab, bool more);

/* The calls for messages by the full rules, which stand in Go (rules.c). */
int zl_msg_recv_by_rules (zlink_msg_t *msg, void *handle, int flags);
int zl_recv_batch_by_rules (void *handle, zlink_msg_t *msgs, size_t n, int flags);
int zl_msg_send_by_rules (zlink_msg_t *msg, void *handle, int flags);
int zl_send_batch_by_rules (void *handle, zlink_msg_t *msgs, size_t n, int flags);

#endif
