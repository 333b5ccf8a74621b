/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Messages with a header (ZLINK_STREAM_FRAMING_HEADERS). Such a message is KIND_CONTENT, and its
 * content is the first part of a headed: the body is where it was, in a slab or in another
 * content, or it is copied behind the headed, as the header is that was not received. So what
 * ends, copies and shows messages knows nothing of headers.
 */
#include <stdlib.h>
#include <string.h>

#include "msg.h"
#include "path.h"

typedef struct headed
{
    content c; /* ffn: drop_headed; hint: the headed itself */
    const uint8_t *header;
    size_t header_size;
    zl_slab *slab;       /* holds the body, and counts this reference; NULL: it does not */
    content *body;       /* the same */
    zl_account *account; /* that the copied bytes are charged to, or NULL */
    int64_t charged;
    uint8_t bytes[];
} headed;

static void drop_headed (void *data, void *hint)
{
    headed *h = hint;
    (void) data;
    if (h->slab)
        zl_owner_release ((char *) h->slab + 1);
    if (h->body)
        zl_owner_release (h->body);
    if (h->account)
        zl_credit (h->account, h->charged);
}

/* The headed that the message is, also if its header was taken away, or NULL. */
static headed *headed_of (const message *m)
{
    if (m->kind != KIND_CONTENT || m->u.content->ffn != drop_headed)
        return NULL;
    return m->u.content->hint;
}

/* Returns a headed with room for so many bytes, or NULL. */
static headed *new_headed (size_t room)
{
    headed *h = room > SIZE_MAX - sizeof *h ? NULL : malloc (sizeof *h + room);
    if (!h)
        return NULL;
    atomic_init (&h->c.refs, 1);
    h->c.ffn = drop_headed;
    h->c.hint = h;
    h->slab = NULL;
    h->body = NULL;
    h->account = NULL;
    h->charged = 0;
    return h;
}

/* Puts a copy of the header at the start of the bytes of h. */
static void copy_header (headed *h, const void *header, size_t size)
{
    memcpy (h->bytes, header, size);
    h->header = h->bytes;
    h->header_size = size;
}

/* Puts a copy of the body behind that. */
static void copy_body (headed *h, const void *body, size_t size)
{
    h->c.data = h->bytes + h->header_size;
    h->c.size = size;
    if (size > 0)
        memcpy (h->c.data, body, size);
}

bool zl_fill_headed (message *m, const origin *from, const zl_content *what, zl_slab *slab,
                     size_t view_min)
{
    const size_t all = what->header_size + what->size;
    const bool view = all >= view_min && may_view (slab);
    headed *h = new_headed (view ? 0 : all);
    if (!h)
        return false;
    if (view) {
        atomic_fetch_add (&slab->refs, 1);
        h->slab = slab;
        h->header = what->header;
        h->header_size = what->header_size;
        h->c.data = (void *) what->data;
        h->c.size = what->size;
    } else {
        copy_header (h, what->header, what->header_size);
        copy_body (h, what->data, what->size);
        zl_account *account = atomic_load_explicit (&slab->account, memory_order_relaxed);
        if (all >= view_min && account) {
            h->account = account;
            h->charged = (int64_t) all;
            atomic_fetch_add (&account->kept, h->charged);
        }
    }
    begin_message (m, from);
    m->kind = KIND_CONTENT;
    m->event = EVENT_HEADER;
    m->u.content = &h->c;
    return true;
}

bool zl_shares_body (const message *m)
{
    const headed *h = headed_of (m);
    if (!h || !h->body)
        return h && (m->flags & FLAG_SHARED);
    return atomic_load (&h->body->refs) > 1 || (!h->body->ffn && h->body->data != h->body + 1);
}

const void *zlink_msg_header (const zlink_msg_t *msg, size_t *size)
{
    const message *m = valid_message (msg);
    if (size)
        *size = 0;
    if (!m) {
        zl_fail (EFAULT);
        return NULL;
    }
    if (m->event != EVENT_HEADER)
        return NULL;
    const headed *h = headed_of (m);
    if (size)
        *size = h->header_size;
    return h->header;
}

/* EINVAL or EMSGSIZE, and why. */
static int refused (int error, const char *why)
{
    const int rc = zl_fail (error);
    zl_set_detail ((const unsigned char *) why, strlen (why));
    return rc;
}

/* Moves the body of m into h, which has the header. */
static void take_over (headed *h, message *m)
{
    headed *old = headed_of (m);
    h->c.data = message_data (m);
    h->c.size = message_size (m);
    if (m->kind == KIND_SLAB)
        h->slab = m->u.view.slab;
    else if (!old || (!old->slab && !old->body)) /* the old one has the bytes itself */
        h->body = m->u.content;
    else {
        h->slab = old->slab;
        h->body = old->body;
        if (h->slab)
            atomic_fetch_add (&h->slab->refs, 1);
        else
            atomic_fetch_add (&h->body->refs, 1);
        zl_owner_release (m->u.content);
    }
}

int zlink_msg_set_header (zlink_msg_t *msg, const void *header, size_t size)
{
    if (!valid_message (msg) || (!header && size > 0))
        return zl_fail (EFAULT);
    message *m = as_message (msg);
    if (is_text (m))
        return refused (EINVAL, "a message of text has no header");
    if (m->event != 0 && m->event != EVENT_HEADER)
        return refused (EINVAL, "an event has no header");
    if (size > ZL_HEADER_MOST)
        return refused (EMSGSIZE, "a header has at most 65535 bytes");
    if (size == 0) {
        m->event = 0;
        return 0;
    }
    const bool copies = m->kind == KIND_INLINE;
    headed *h = new_headed (size + (copies ? m->u.short_.size : 0));
    if (!h)
        return zl_fail (ENOMEM);
    copy_header (h, header, size);
    if (copies)
        copy_body (h, m->u.short_.bytes, m->u.short_.size);
    else
        take_over (h, m);
    m->kind = KIND_CONTENT;
    m->event = EVENT_HEADER;
    m->u.content = &h->c;
    return 0;
}
