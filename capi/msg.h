/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The content of a zlink_msg_t. msg.c ends, copies and shows messages; fast.c fills and
 * sends many of them.
 */
#ifndef ZLINK_MSG_H
#define ZLINK_MSG_H

#include <string.h>

#include "internal.h"
#include "types.h"
#include "zlink.h"

/* Kinds of a message. Any other value means that there is no message: EFAULT. */
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

    ZONE_AT = 4, /* offset of a link-local address's zone in peer.ip */

    INLINE_MAX = 39,
    /* In the mode COMPAT a received body of at least this size stays in its slab. A shorter one
     * is copied, so that a message kept for long pins little more than itself. In the mode FAST
     * every body above INLINE_MAX stays, within a limit (fast.c). */
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

/* Returns the message, or NULL if the memory holds none or this is a forked child. */
static inline const message *valid_message (const zlink_msg_t *msg)
{
    const message *m = (const message *) msg;
    return m && m->kind >= KIND_INLINE && m->kind <= KIND_SLAB
               && ZL_LIKELY (!zl_forked)
             ? m
             : NULL;
}

/* Makes m an empty message. Nobody reads the fields that it does not set. */
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

/* Counts the copied content of m, which came with slab, for the account of its socket. */
void zl_msg_charge (message *m, zl_slab *slab);

/* Releases what m refers to. m is not a message afterwards. */
void zl_msg_release (message *m);

/* ------------------------------------------------------ received messages */

/* What all messages of a session have in common. */
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

/* Makes m a message of that origin; its content is still to be set. Every field is stored
 * where it belongs: a copy of a message built elsewhere would wait for the stores of its
 * parts. */
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

/* The same with a body that stays in the slab. The caller counts the reference. */
static inline void view_message (
  message *m, const origin *from, uint8_t *data, size_t size, zl_slab *slab)
{
    begin_message (m, from);
    m->kind = KIND_SLAB;
    m->u.view.data = data;
    m->u.view.size = size;
    m->u.view.slab = slab;
}

/* The same with a copy of the body. false with errno: no memory, and m is unchanged. */
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

/* The owner that a long message passes on when it is sent without a copy. */
static inline void *owner_of (const message *m)
{
    return m->kind == KIND_SLAB ? (char *) m->u.view.slab + 1
                                : (void *) m->u.content;
}

/* Ends a message that was sent. owned: its reference went with the bytes. */
static inline void end_sent (message *m, bool owned)
{
    if (owned)
        m->kind = KIND_INLINE;
    zl_msg_release (m);
    init_message (m);
}

/* zlink_msg_recv and zlink_msg_send of a valid message in the mode FAST. handle names the
 * socket k. */
int zl_msg_recv_fast (zlink_msg_t *msg, void *handle, zl_queues *k, int flags);
int zl_msg_send_fast (zlink_msg_t *msg, void *handle, zl_queues *k, int flags);

/* Go calls these with a piece of a run, to turn msg into its message or its frame. false:
 * msg is not a message, or the frame needs memory and there is none. */
bool zl_fill_message (zlink_msg_t *msg, zl_run *r, void *body, size_t size);
bool zl_fill_frame (zlink_msg_t *msg, zl_run *r, void *data, size_t size, zl_slab *slab, bool more);

/* The calls for messages by the full rules, which are in Go (rules.c). */
int zl_msg_recv_by_rules (zlink_msg_t *msg, void *handle, int flags);
int zl_recv_batch_by_rules (void *handle, zlink_msg_t *msgs, size_t n, int flags);
int zl_msg_send_by_rules (zlink_msg_t *msg, void *handle, int flags);
int zl_send_batch_by_rules (void *handle, zlink_msg_t *msgs, size_t n, int flags);

#endif
