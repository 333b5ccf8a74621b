/* SPDX-License-Identifier: MPL-2.0 */
/*
 * zlink_msg_*: messages live in the caller's 64 bytes. A short one lies in
 * them; a longer one in a counted content block, or, when it was received and
 * is long, in the slab that it was read into.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

#include "hot.h"
#include "zlink.h"
#include "_cgo_export.h"

/* Kinds of a message. Anything else is not a message: EFAULT. */
enum
{
    KIND_INLINE = 0xA1,  /* in the message itself */
    KIND_CONTENT = 0xA2, /* in a counted block */
    KIND_SLAB = 0xA3     /* in a slab that this message holds a reference to */
};

enum
{
    FLAG_SHARED = 1 /* of KIND_SLAB: copied at least once */
};

enum
{
    PEER_NONE = 0,
    PEER_IP4 = 4,
    PEER_IP6 = 6,
    PEER_TEXT = 7, /* peer.text, owned */

    INLINE_MAX = 39,
    /* A received body from this size on stays in its slab. Shorter ones are
     * copied, so that a message kept for long pins little more than itself. */
    VIEW_MIN = 16 << 10,
    /* A body sent from this size on is not copied. */
    OWNED_MIN = 32 << 10
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
    uint8_t more;
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

static message *of (zlink_msg_t *msg)
{
    return (message *) msg;
}

/* The message, or NULL when the memory holds none, or in a forked child. */
static const message *valid (const zlink_msg_t *msg)
{
    const message *m = (const message *) msg;
    return m && m->kind >= KIND_INLINE && m->kind <= KIND_SLAB
               && ZL_LIKELY (!zl_forked)
             ? m
             : NULL;
}

static void init (message *m)
{
    memset (m, 0, sizeof *m);
    m->kind = KIND_INLINE;
}

/* ------------------------------------------------------------- the content */

static void content_release (content *c)
{
    if (atomic_fetch_sub (&c->refs, 1) != 1)
        return;
    if (c->ffn)
        c->ffn (c->data, c->hint);
    free (c);
}

void zl_owner_release (void *owner)
{
    if ((uintptr_t) owner & 1)
        zl_slab_release ((zl_slab *) ((uintptr_t) owner & ~(uintptr_t) 1));
    else
        content_release (owner);
}

static uint8_t *data_of (const message *m)
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

static size_t size_of (const message *m)
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

/* Makes m a message of size bytes behind its header fields. */
static int allocate (message *m, size_t size)
{
    if (size <= INLINE_MAX) {
        m->kind = KIND_INLINE;
        m->u.short_.size = (uint8_t) size;
        return 0;
    }
    content *c =
      size > SIZE_MAX - sizeof *c ? NULL : malloc (sizeof *c + size);
    if (!c)
        return zl_fail (ENOMEM);
    atomic_init (&c->refs, 1);
    c->data = c + 1;
    c->size = size;
    c->ffn = NULL;
    c->hint = NULL;
    m->kind = KIND_CONTENT;
    m->u.content = c;
    return 0;
}

/* Releases what m refers to; m is no message afterwards. */
static void release (message *m)
{
    if (m->peer_kind == PEER_TEXT)
        free (m->peer.text);
    if (m->kind == KIND_CONTENT)
        content_release (m->u.content);
    else if (m->kind == KIND_SLAB)
        zl_slab_release (m->u.view.slab);
    m->kind = 0;
    m->peer_kind = PEER_NONE;
}

/* --------------------------------------------------------------- life cycle */

int zlink_msg_init (zlink_msg_t *msg)
{
    if (!msg || ZL_UNLIKELY (zl_forked))
        return zl_fail (EFAULT);
    init (of (msg));
    return 0;
}

int zlink_msg_init_size (zlink_msg_t *msg, size_t size)
{
    if (!msg || ZL_UNLIKELY (zl_forked))
        return zl_fail (EFAULT);
    init (of (msg));
    return allocate (of (msg), size);
}

int zlink_msg_init_data (
  zlink_msg_t *msg, void *data, size_t size, zlink_free_fn *ffn, void *hint)
{
    if (!msg || (!data && size > 0) || zl_forked)
        return zl_fail (EFAULT);
    content *c = malloc (sizeof *c);
    if (!c)
        return zl_fail (ENOMEM);
    atomic_init (&c->refs, 1);
    c->data = data;
    c->size = size;
    c->ffn = ffn;
    c->hint = hint;
    init (of (msg));
    of (msg)->kind = KIND_CONTENT;
    of (msg)->u.content = c;
    return 0;
}

int zlink_msg_close (zlink_msg_t *msg)
{
    if (!valid (msg))
        return zl_fail (EFAULT);
    release (of (msg));
    return 0;
}

int zlink_msg_move (zlink_msg_t *dst, zlink_msg_t *src)
{
    if (!valid (dst) || !valid (src))
        return zl_fail (EFAULT);
    if (dst == src)
        return 0;
    release (of (dst));
    memcpy (dst, src, sizeof *dst);
    init (of (src));
    return 0;
}

int zlink_msg_copy (zlink_msg_t *dst, zlink_msg_t *src)
{
    if (!valid (dst) || !valid (src))
        return zl_fail (EFAULT);
    if (dst == src)
        return 0;
    message *from = of (src), copy = *from;
    if (copy.peer_kind == PEER_TEXT
        && !(copy.peer.text = strdup (from->peer.text)))
        return zl_fail (ENOMEM);
    if (from->kind == KIND_CONTENT)
        atomic_fetch_add (&from->u.content->refs, 1);
    else if (from->kind == KIND_SLAB) {
        atomic_fetch_add (&from->u.view.slab->refs, 1);
        from->flags |= FLAG_SHARED;
        copy.flags |= FLAG_SHARED;
    }
    release (of (dst));
    *of (dst) = copy;
    return 0;
}

void zlink_msgv_close (zlink_msg_t *parts, size_t count)
{
    if (!parts)
        return;
    for (size_t i = 0; i < count; i++)
        zlink_msg_close (&parts[i]);
    free (parts);
}

/* --------------------------------------------------------------- properties */

void *zlink_msg_data (zlink_msg_t *msg)
{
    if (!valid (msg)) {
        zl_fail (EFAULT);
        return NULL;
    }
    return data_of (of (msg));
}

size_t zlink_msg_size (const zlink_msg_t *msg)
{
    const message *m = valid (msg);
    if (!m) {
        zl_fail (EFAULT);
        return 0;
    }
    return size_of (m);
}

int zlink_msg_more (const zlink_msg_t *msg)
{
    return zlink_msg_get (msg, ZLINK_MORE);
}

static bool shared (const message *m)
{
    if (m->kind == KIND_CONTENT)
        return atomic_load (&m->u.content->refs) > 1;
    return m->kind == KIND_SLAB && (m->flags & FLAG_SHARED);
}

int zlink_msg_get (const zlink_msg_t *msg, int property)
{
    const message *m = valid (msg);
    if (!m)
        return zl_fail (EFAULT);
    switch (property) {
        case ZLINK_MORE:
            return m->more;
        case ZLINK_SHARED:
            return shared (m);
        default:
            return zl_fail (EINVAL);
    }
}

int zlink_msg_set (zlink_msg_t *msg, int property, int optval)
{
    (void) property;
    (void) optval;
    return zl_fail (valid (msg) ? EINVAL : EFAULT);
}

const char *zlink_msg_gets (const zlink_msg_t *msg, const char *property)
{
    char text[INET6_ADDRSTRLEN];
    message *m = (message *) valid (msg);
    if (!m) {
        zl_fail (EFAULT);
        return NULL;
    }
    if (!property || strcmp (property, "Peer-Address") != 0
        || m->peer_kind == PEER_NONE) {
        zl_fail (EINVAL);
        return NULL;
    }
    if (m->peer_kind != PEER_TEXT) {
        inet_ntop (m->peer_kind == PEER_IP4 ? AF_INET : AF_INET6, m->peer.ip,
                   text, sizeof text);
        char *owned = strdup (text);
        if (!owned) {
            zl_fail (ENOMEM);
            return NULL;
        }
        m->peer.text = owned;
        m->peer_kind = PEER_TEXT;
    }
    return m->peer.text;
}

/* ---------------------------------------------------------- send and receive */

/* Fills a new message from a frame; false: no memory, which can only befall
 * frames outside slabs. */
static bool from_frame (message *m, const zl_frame *f)
{
    init (m);
    bool view = f->slab && f->size >= VIEW_MIN;
    if (!view && allocate (m, f->size) != 0) {
        if (!f->slab)
            return false;
        view = true;
    }
    if (view) {
        atomic_fetch_add (&f->slab->refs, 1);
        m->kind = KIND_SLAB;
        m->u.view.data = f->data;
        m->u.view.size = f->size;
        m->u.view.slab = f->slab;
    } else
        memcpy (data_of (m), f->data, f->size);
    memcpy (m->peer.ip, f->session->ip, sizeof m->peer.ip);
    m->peer_kind = (uint8_t) f->session->ip_kind;
    return true;
}

int zlink_msg_recv (zlink_msg_t *msg, void *socket, int flags)
{
    zl_socket *k;
    zl_frame f;
    message received;
    if (!valid (msg))
        return zl_fail (EFAULT);
    if (zl_next_frame (socket, flags, &k, &f) != 0)
        return -1;
    if (!from_frame (&received, &f)) { /* a long id: the next call gets it */
        k->rx_phase = ZL_PHASE_ID;
        k->rx_more = 0;
        return zl_fail (ENOMEM);
    }
    received.more = (uint8_t) k->rx_more;
    release (of (msg));
    *of (msg) = received;
    if (f.done)
        zl_finish_run (socket, k, f.done);
    return f.size > INT_MAX ? INT_MAX : (int) f.size;
}

/* What zlink_msg_send hands over with a long message. */
static void *owner_of (const message *m)
{
    return m->kind == KIND_SLAB ? (char *) m->u.view.slab + 1
                                : (void *) m->u.content;
}

int zlink_msg_send (zlink_msg_t *msg, void *socket, int flags)
{
    if (!valid (msg))
        return zl_fail (EFAULT);
    message *m = of (msg);
    size_t size = size_of (m);
    int result = size > INT_MAX ? INT_MAX : (int) size;
    if (size >= OWNED_MIN && size <= UINT32_MAX) {
        ZL_ENTER (-1);
        int taken = zgo_send_owned ((uintptr_t) socket, data_of (m), size, flags,
                                    owner_of (m));
        if (taken < 0)
            return zl_result (taken);
        if (taken) /* the reference went with the bytes */
            m->kind = KIND_INLINE;
    } else if (zlink_send (socket, data_of (m), size, flags) < 0)
        return -1;
    release (m);
    init (m);
    return result;
}
