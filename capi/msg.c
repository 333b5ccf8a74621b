/* SPDX-License-Identifier: MPL-2.0 */
/*
 * zlink_msg_*: a message is the caller's 64 bytes. They hold a short content themselves. A
 * longer content lies in a counted block, or, if it was received and is long, in the slab
 * that it was read into.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

#include "msg.h"
#include "path.h"

/* ------------------------------------------------------------- the content */

static void content_release (content *c)
{
    int32_t had = atomic_fetch_sub (&c->refs, 1);
    ZL_CHECK (had > 0, "a content is released no more often than it is retained");
    if (had != 1)
        return;
    if (c->ffn)
        c->ffn (c->data, c->hint);
    free (c);
}

void zl_owner_release (void *owner)
{
    if ((uintptr_t) owner & 1)
        zl_slab_release ((zl_slab *) ((uintptr_t) owner & ~(uintptr_t) 1), 1);
    else
        content_release (owner);
}

int zl_msg_allocate (message *m, size_t size)
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

/* Frees the charge of a copy, whose content is in front of the data. */
static void credit_copy (void *data, void *account)
{
    zl_credit (account, (int64_t) ((content *) data - 1)->size);
}

void zl_msg_charge (message *m, zl_slab *slab)
{
    content *c = m->u.content;
    zl_account *account = atomic_load_explicit (&slab->account, memory_order_relaxed);
    if (!account)
        return;
    c->ffn = credit_copy;
    c->hint = account;
    atomic_fetch_add (&account->kept, (int64_t) c->size);
}

/* The slab of a message that the application has. */
static void slab_release (zl_slab *slab)
{
#ifdef ZLINK_NO_HOT
    ZL_GO (release_slab) (slab);
#else
    zl_slab_release (slab, 1);
#endif
}

void zl_msg_release (message *m)
{
    if (m->peer_kind == PEER_TEXT)
        free (m->peer.text);
    if (m->kind == KIND_CONTENT)
        content_release (m->u.content);
    else if (m->kind == KIND_SLAB)
        slab_release (m->u.view.slab);
    m->kind = 0;
    m->peer_kind = PEER_NONE;
}

/* --------------------------------------------------------------- life cycle */

int zlink_msg_init (zlink_msg_t *msg)
{
    if (!msg || ZL_UNLIKELY (zl_forked))
        return zl_fail (EFAULT);
    init_message (as_message (msg));
    return 0;
}

int zlink_msg_init_size (zlink_msg_t *msg, size_t size)
{
    if (!msg || ZL_UNLIKELY (zl_forked))
        return zl_fail (EFAULT);
    init_message (as_message (msg));
    return zl_msg_allocate (as_message (msg), size);
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
    init_message (as_message (msg));
    as_message (msg)->kind = KIND_CONTENT;
    as_message (msg)->u.content = c;
    return 0;
}

int zlink_msg_close (zlink_msg_t *msg)
{
    if (!valid_message (msg))
        return zl_fail (EFAULT);
    zl_msg_release (as_message (msg));
    return 0;
}

int zlink_msg_move (zlink_msg_t *dst, zlink_msg_t *src)
{
    if (!valid_message (dst) || !valid_message (src))
        return zl_fail (EFAULT);
    if (dst == src)
        return 0;
    zl_msg_release (as_message (dst));
    memcpy (dst, src, sizeof *dst);
    init_message (as_message (src));
    return 0;
}

int zlink_msg_copy (zlink_msg_t *dst, zlink_msg_t *src)
{
    if (!valid_message (dst) || !valid_message (src))
        return zl_fail (EFAULT);
    if (dst == src)
        return 0;
    message *from = as_message (src), copy = *from;
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
    zl_msg_release (as_message (dst));
    *as_message (dst) = copy;
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
    if (!valid_message (msg)) {
        zl_fail (EFAULT);
        return NULL;
    }
    return message_data (as_message (msg));
}

size_t zlink_msg_size (const zlink_msg_t *msg)
{
    const message *m = valid_message (msg);
    if (!m) {
        zl_fail (EFAULT);
        return 0;
    }
    return message_size (m);
}

int zlink_msg_more (const zlink_msg_t *msg)
{
    return zlink_msg_get (msg, ZLINK_MORE);
}

/* Data without a free function belongs to somebody else. It is shared, even by one message. */
static bool shared (const message *m)
{
    if (m->kind == KIND_CONTENT) {
        content *c = m->u.content;
        return atomic_load (&c->refs) > 1 || (!c->ffn && c->data != c + 1);
    }
    return m->kind == KIND_SLAB && (m->flags & FLAG_SHARED);
}

/* Returns Down.Msgs of a disconnect event (fast.c), or 0. */
static uint32_t end_of (const message *m)
{
    uint32_t end;
    if (m->event != ZL_RUN_DISCONNECTED)
        return 0;
    if (m->kind == KIND_CONTENT)
        return (uint32_t) (uintptr_t) m->u.content->hint;
    memcpy (&end, m->u.short_.bytes, sizeof end);
    return end;
}

/* Returns the code that a disconnect event carries, or 0. */
static int close_code (const message *m)
{
    return (uint16_t) end_of (m);
}

int zlink_msg_get (const zlink_msg_t *msg, int property)
{
    const message *m = valid_message (msg);
    if (!m)
        return zl_fail (EFAULT);
    switch (property) {
        case ZLINK_MORE:
            return (m->flags & FLAG_MORE) != 0;
        case ZLINK_SHARED:
            return shared (m);
        case ZLINK_STREAM_EVENT:
            return m->event;
        case ZLINK_STREAM_CLOSE_CODE:
            return close_code (m);
        case ZLINK_STREAM_REASON:
            return (int) (end_of (m) >> ZL_DOWN_CAUSE);
        default:
            return zl_fail (EINVAL);
    }
}

int zlink_msg_set (zlink_msg_t *msg, int property, int optval)
{
    (void) property;
    (void) optval;
    return zl_fail (valid_message (msg) ? EINVAL : EFAULT);
}

/* Returns the peer's address in the form that can be dialled, with the zone of a link-local
 * one, or NULL. The caller must free it. */
static char *address_text (const message *m)
{
    char text[INET6_ADDRSTRLEN + sizeof "%4294967295"];
    uint8_t ip[sizeof m->peer.ip];
    uint32_t zone = 0;
    memcpy (ip, m->peer.ip, sizeof ip);
    if (m->peer_kind == PEER_IP6 && ip[0] == 0xFE && (ip[1] & 0xC0) == 0x80) {
        memcpy (&zone, ip + ZONE_AT, sizeof zone);
        memset (ip + ZONE_AT, 0, sizeof zone);
    }
    inet_ntop (m->peer_kind == PEER_IP4 ? AF_INET : AF_INET6, ip, text,
               INET6_ADDRSTRLEN);
    if (zone != 0) {
        size_t end = strlen (text);
        snprintf (text + end, sizeof text - end, "%%%u", zone);
    }
    return strdup (text);
}

const char *zlink_msg_gets (const zlink_msg_t *msg, const char *property)
{
    message *m = (message *) valid_message (msg);
    if (!m) {
        zl_fail (EFAULT);
        return NULL;
    }
    if (property && strcmp (property, "Close-Reason") == 0 && close_code (m) != 0)
        return m->kind == KIND_CONTENT ? m->u.content->data : "";
    if (!property || strcmp (property, "Peer-Address") != 0
        || m->peer_kind == PEER_NONE) {
        zl_fail (EINVAL);
        return NULL;
    }
    if (m->peer_kind != PEER_TEXT) {
        char *owned = address_text (m);
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

/* Turns m into the message of a frame. false: no memory, which can only happen to frames
 * outside slabs. */
static bool from_frame (message *m, const zl_frame *f)
{
    const origin from = origin_of (f->session, 0);
    if ((!f->slab || f->size < VIEW_MIN || !may_view (f->slab))
        && copy_message (m, &from, f->data, f->size)) {
        if (ZL_UNLIKELY (f->slab && f->size >= VIEW_MIN))
            zl_msg_charge (m, f->slab);
        return true;
    }
    if (!f->slab)
        return false;
    atomic_fetch_add (&f->slab->refs, 1);
    view_message (m, &from, f->data, f->size, f->slab);
    return true;
}

/* The same for Go; more means that a body follows an id. */
bool zl_fill_frame (zlink_msg_t *msg, zl_run *r, void *data, size_t size, zl_slab *slab, bool more)
{
    zl_frame f = {.data = data, .size = size, .session = session_of (r), .slab = slab};
    if (!from_frame (as_message (msg), &f))
        return false;
    if (more)
        as_message (msg)->flags = FLAG_MORE;
    return true;
}

int zlink_msg_recv (zlink_msg_t *msg, void *socket, int flags)
{
    zl_frame f;
    if (!valid_message (msg))
        return zl_fail (EFAULT);
    zl_queues *k = lookup_socket (socket);
    if (ZL_UNLIKELY (!k))
        return zl_msg_recv_by_rules (msg, socket, flags);
    if (receives_fast (k))
        return zl_msg_recv_fast (msg, socket, k, flags);
    if (!zl_next_frame (socket, k, flags, &f))
        return -1;
    if (!from_frame (as_message (msg), &f)) { /* a long id: the next call gets it */
        k->rx_phase = ZL_PHASE_ID;
        k->rx_more = 0;
        return zl_fail (ENOMEM);
    }
    if (k->rx_more)
        as_message (msg)->flags = FLAG_MORE;
    if (f.done)
        zl_finish_run (socket, k, f.done);
    return clamped (f.size);
}

int zlink_msg_send (zlink_msg_t *msg, void *socket, int flags)
{
    if (!valid_message (msg))
        return zl_fail (EFAULT);
    zl_queues *k = lookup_socket (socket);
    if (sends_fast (k))
        return zl_msg_send_fast (msg, socket, k, flags);
    message *m = as_message (msg);
    size_t size = message_size (m);
    if (ZL_UNLIKELY (!k || size >= ZL_OWNED_MIN))
        return zl_msg_send_by_rules (msg, socket, flags);
    if (zlink_send (socket, message_data (m), size, flags) < 0)
        return -1;
    end_sent (m, false);
    return clamped (size);
}
