/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The content of a zlink_msg_t. msg.c ends, copies and shows messages; fast.c fills and
 * sends many of them.
 */
#ifndef ZLINK_MSG_H
#define ZLINK_MSG_H

#include <string.h>

#include "copy.h"
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
    EVENT_HEADER = 6, /* as event: no event, but a message with a header (msgheader.c) */
    EVENT_TEXT = 7    /* the same: text of WebSocket */
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
    PEER_CARD = ZL_IP_CARD, /* peer.card, with a reference */
    PEER_TEXT = 7,          /* peer.text: the address and the port, each with a NUL; owned */
    PEER_OWNS = 1,          /* the bit that says that the message owns one of these two */

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
    uint8_t flags : 2;
    uint8_t event : 3; /* of the mode FAST; EVENT_TEXT and EVENT_HEADER in both */
    uint8_t peer_kind : 3;
    uint16_t port; /* the peer's */
    uint32_t routing_id;
    union
    {
        uint8_t ip[16];
        char *text;
        zl_card *card;
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

/* 1 if the message is text, else 0, without a branch: the highest event adds the bit. */
static inline uint32_t is_text (const message *m)
{
    return (m->event + 1u) >> 3;
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

/* Whether m refers to anything that is to be released. */
static inline bool refers (const message *m)
{
    return m->kind != KIND_INLINE || (m->peer_kind & PEER_OWNS);
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

/* Returns the code that a disconnect event carries, or 0. */
int zl_msg_close_code (const message *m);

/* Returns an address and a port as PEER_TEXT has them, or NULL. The caller must free it. */
char *zl_peer_text (const char *address, const char *port);

/* The port of PEER_TEXT. */
char *zl_peer_port (const message *m);

/* ------------------------------------------------------ received messages */

/* What all messages of a run have in common. */
typedef struct origin
{
    uint32_t routing_id; /* 0 in the mode COMPAT */
    uint16_t port;
    uint8_t ip_kind;
    uint8_t event; /* EVENT_TEXT, or 0 */
    uint8_t ip[16];
} origin;

/* text: not 0 if the messages are text. */
static inline origin origin_of (const zl_session *s, uint32_t routing_id, uint32_t text)
{
    origin o;
    o.event = text ? EVENT_TEXT : 0;
    o.routing_id = routing_id;
    o.port = s->port;
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
    if (refers (m))
        zl_msg_release (m);
    m->flags = 0;
    m->event = from->event & 7;
    m->peer_kind = from->ip_kind & 7;
    m->port = from->port;
    m->routing_id = from->routing_id;
    memcpy (m->peer.ip, from->ip, sizeof m->peer.ip);
}

/* Counts the references of so many new messages to the card of their peer, if it has one. The
 * session still has its own. */
static inline void retain_card (const origin *from, size_t messages)
{
    zl_card *card;
    if (ZL_LIKELY (from->ip_kind != PEER_CARD))
        return;
    memcpy (&card, from->ip, sizeof card);
    atomic_fetch_add (&card->refs, (int32_t) messages);
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
        copy_bytes (m->u.short_.bytes, data, size);
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

/* What Go has for a message: a body, or a frame, and in front of it a header, if it has one. */
typedef struct zl_content
{
    const void *header;
    size_t header_size; /* 0: it has none */
    void *data;
    size_t size;
} zl_content;

/* Go calls these with a piece of a run, to turn msg into its message or its frame. They return
 * 0, or EFAULT: msg is not a message, or ENOMEM. */
int zl_fill_message (zlink_msg_t *msg, zl_run *r, zl_content what);
int zl_fill_frame (zlink_msg_t *msg, zl_run *r, zl_content what, zl_slab *slab, bool more);

/* Makes m a message with a header of a run in that slab. From so many bytes on, it stays there.
 * false: no memory, and m is unchanged. */
bool zl_fill_headed (message *m, const origin *from, const zl_content *what, zl_slab *slab,
                     size_t view_min);

/* Whether the body of a message with a header is shared with another message. */
bool zl_shares_body (const message *m);

/* The calls for messages by the full rules, which are in Go (rules.c). */
int zl_msg_recv_by_rules (zlink_msg_t *msg, void *handle, int flags);
int zl_recv_batch_by_rules (void *handle, zlink_msg_t *msgs, size_t n, int flags);
int zl_msg_send_by_rules (zlink_msg_t *msg, void *handle, int flags);
int zl_send_any_by_rules (zlink_msg_t *msg, int flags);
int zl_send_batch_by_rules (void *handle, zlink_msg_t *msgs, size_t n, int flags);

#endif
