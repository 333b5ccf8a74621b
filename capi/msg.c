/* SPDX-License-Identifier: MPL-2.0 */
/*
 * zlink_msg_*: a message is the caller's 64 bytes. They hold a short content themselves. A
 * longer content lies in a counted block, or, if it was received and is long, in the slab
 * that it was read into.
 */
#include <stdlib.h>
#include <string.h>

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

static void card_release (zl_card *card)
{
    int32_t refs = atomic_load (&card->refs);
    ZL_CHECK (refs > 0, "a card is released no more often than it is retained");
    while (refs != 1 && !(refs & ZL_CARD_OVER))
        if (atomic_compare_exchange_weak (&card->refs, &refs, refs - 1))
            return;
    ZL_GO (release_card) (card);
}

void zl_free_given (uintptr_t ffn, uintptr_t data, uintptr_t hint)
{
    ((zlink_free_fn *) ffn) ((void *) data, (void *) hint);
}

void *zlink_msg_peer_data (const zlink_msg_t *msg)
{
    const message *m = valid_message (msg);
    if (!m) {
        zl_fail (EFAULT);
        return NULL;
    }
    if (m->peer_kind != PEER_CARD || !m->peer.card->has_data)
        return NULL;
    const zl_card *card = m->peer.card; /* Card.data: behind the texts */
    zl_peer_data *given = (zl_peer_data *) ((char *) card + ((sizeof *card + card->size + 7) & ~(size_t) 7));
    return (void *) (uintptr_t) atomic_load_explicit (&given->data, memory_order_acquire);
}

void zl_msg_release (message *m)
{
    if (m->peer_kind == PEER_TEXT)
        free (m->peer.text);
    else if (m->peer_kind == PEER_CARD)
        card_release (m->peer.card);
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
        && !(copy.peer.text = zl_peer_text (from->peer.text, zl_peer_port (from))))
        return zl_fail (ENOMEM);
    if (copy.peer_kind == PEER_CARD)
        atomic_fetch_add (&copy.peer.card->refs, 1);
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
        return atomic_load (&c->refs) > 1 || (!c->ffn && c->data != c + 1) || zl_shares_body (m);
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

int zl_msg_close_code (const message *m)
{
    return (uint16_t) end_of (m);
}

/* EINVAL, and why. */
static int refused (const char *why)
{
    const int rc = zl_fail (EINVAL);
    zl_set_detail ((const unsigned char *) why, strlen (why));
    return rc;
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
            return m->event >= EVENT_HEADER ? 0 : m->event;
        case ZLINK_STREAM_TEXT:
            return (int) is_text (m);
        case ZLINK_STREAM_CLOSE_CODE:
            return zl_msg_close_code (m);
        case ZLINK_STREAM_REASON:
            return (int) (end_of (m) >> ZL_DOWN_CAUSE);
        default:
            return refused ("a message has no property of this number");
    }
}

int zlink_msg_set (zlink_msg_t *msg, int property, int optval)
{
    if (!valid_message (msg))
        return zl_fail (EFAULT);
    message *m = as_message (msg);
    if (property != ZLINK_STREAM_TEXT)
        return refused ("of a message only ZLINK_STREAM_TEXT can be set");
    if (optval != 0 && optval != 1)
        return refused ("ZLINK_STREAM_TEXT is 0 or 1");
    if (m->event == EVENT_HEADER)
        return optval ? refused ("a message with a header is no text") : 0;
    if (m->event != 0 && !is_text (m))
        return refused ("an event is no text");
    m->event = optval ? EVENT_TEXT : 0;
    return 0;
}

/* ---------------------------------------------------------- send and receive */

/* Turns m into the message of a frame. false: no memory, which can only happen to frames
 * outside slabs. */
static bool from_frame (message *m, const zl_frame *f)
{
    const origin from = origin_of (f->session, 0, f->text);
    if ((!f->slab || f->size < VIEW_MIN || !may_view (f->slab))
        && copy_message (m, &from, f->data, f->size)) {
        if (ZL_UNLIKELY (f->slab && f->size >= VIEW_MIN))
            zl_msg_charge (m, f->slab);
        retain_card (&from, 1);
        return true;
    }
    if (!f->slab)
        return false;
    atomic_fetch_add (&f->slab->refs, 1);
    view_message (m, &from, f->data, f->size, f->slab);
    retain_card (&from, 1);
    return true;
}

/* The same for Go; more means that a body follows an id. */
int zl_fill_frame (zlink_msg_t *msg, zl_run *r, zl_content what, zl_slab *slab, bool more)
{
    zl_frame f = {.data = what.data, .size = what.size, .session = session_of (r), .slab = slab};
    f.text = slab && r->text == ZL_RUN_TEXT;
    if (what.header_size > 0) {
        const origin from = origin_of (f.session, 0, 0);
        if (!zl_fill_headed (as_message (msg), &from, &what, slab, VIEW_MIN))
            return ENOMEM;
        retain_card (&from, 1);
        return 0;
    }
    if (!from_frame (as_message (msg), &f))
        return ENOMEM;
    if (more)
        as_message (msg)->flags = FLAG_MORE;
    return 0;
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
    if (ZL_UNLIKELY (!k || (size >= ZL_OWNED_MIN) | m->event))
        return zl_msg_send_by_rules (msg, socket, flags);
    if (zlink_send (socket, message_data (m), size, flags) < 0)
        return -1;
    end_sent (m, false);
    return clamped (size);
}
