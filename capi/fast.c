/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The mode FAST in C: messages that carry their peer, one or many in a call. As in
 * frames.c, only the ordinary case is here, and anything else is one call of Go.
 *
 * A receive belongs to one thread at a time. Any number of threads may send: a send only
 * touches the socket's routing table, and a session's queue under that session's lock.
 */
#include <stdlib.h>

#include "msg.h"
#include "path.h"

/* The reasons of zlink.h are Go's causes. */
#define SAME(name)                                                              \
    _Static_assert (ZLINK_STREAM_REASON_##name == (int) ZL_CAUSE_##name, #name)
SAME (UNKNOWN);
SAME (PEER_CLOSED);
SAME (RESET);
SAME (IDLE);
SAME (NO_PONG);
SAME (HANDSHAKE);
SAME (PROTOCOL);
SAME (TOO_LONG);
SAME (QUEUE_BOUND);
SAME (RATE);
SAME (LIMIT);
SAME (CLOSED_HERE);
SAME (ABORTED_HERE);
SAME (DRAINED);
SAME (FIRST_MESSAGE);
SAME (AGE);
SAME (STALLED);
SAME (CONTEXT);
SAME (NO_MEMORY);
SAME (REFUSED);
SAME (UNDECIDED);
_Static_assert (ZLINK_STREAM_ASKING == ZL_RUN_ASKING, "the event of who asks");

enum
{
    /* Number of messages that a send queues before it gives them to the shard. */
    LOCKED_MAX = 64
};

/* ---------------------------------------------------------------- receive */

/* Puts into the message m of a disconnect why it is one, and what the peer said. Without
 * memory for the peer's words, the message has none. */
static void set_farewell (message *m, zl_session *s, uint32_t msgs)
{
    memcpy (m->u.short_.bytes, &msgs, sizeof msgs);
    if (ZL_LIKELY (!(msgs & ZL_DOWN_REASON)))
        return;
    enum
    {
        room = ZL_CLOSE_REASON_MAX + 1
    };
    content *c = malloc (sizeof *c + room);
    if (!c)
        return;
    atomic_init (&c->refs, 1);
    c->data = c + 1;
    c->size = 0; /* events have no body */
    c->ffn = NULL;
    c->hint = (void *) (uintptr_t) msgs;
    ZL_GO (close_reason) (s, c->data, room);
    m->kind = KIND_CONTENT;
    m->u.content = c;
}

/* Turns m into the message of event r. */
static void fill_event (message *m, zl_run *r)
{
    if (r->run_head.kind == ZL_RUN_DRAINED) { /* of the socket; there is no session */
        static const origin nobody;
        begin_message (m, &nobody);
        m->kind = KIND_INLINE;
        m->event = ZL_RUN_DRAINED;
        m->u.short_.size = 0;
        return;
    }
    zl_session *s = session_of (r);
    const origin from = origin_of (s, load_be32 (s->id4), 0);
    begin_message (m, &from);
    m->kind = KIND_INLINE;
    m->event = r->run_head.kind & 7;
    m->u.short_.size = 0;
    retain_card (&from, 1);
    if (m->event == ZL_RUN_DISCONNECTED)
        set_farewell (m, s, r->run_head.msgs);
}

/* Turns m into a message whose body lies in a slab. true: the body stays in the slab, and
 * the caller must count it. Without memory for a copy it stays there, too. */
static inline bool fill_body (message *m, const origin *from, uint8_t *body,
                              size_t size, zl_slab *slab, bool view)
{
    if (!(view && size > INLINE_MAX)
        && ZL_LIKELY (copy_message (m, from, body, size))) {
        if (ZL_UNLIKELY (!view && size > INLINE_MAX))
            zl_msg_charge (m, slab);
        return false;
    }
    view_message (m, from, body, size, slab);
    return true;
}

int zl_fill_message (zlink_msg_t *msg, zl_run *r, zl_content what)
{
    if (!valid_message (msg))
        return EFAULT;
    if (r->run_head.kind != ZL_RUN_DATA) {
        fill_event (as_message (msg), r);
        return 0;
    }
    zl_session *s = session_of (r);
    const origin from = origin_of (s, load_be32 (s->id4), r->text == ZL_RUN_TEXT);
    if (what.header_size > 0) {
        if (!zl_fill_headed (as_message (msg), &from, &what, r->slab, INLINE_MAX + 1))
            return ENOMEM;
    } else if (fill_body (as_message (msg), &from, what.data, what.size, r->slab, may_view (r->slab)))
        atomic_fetch_add (&r->slab->refs, 1);
    retain_card (&from, 1);
    return 0;
}

/* Stores up to n messages of the run being read, and returns their number. If msgs[0] is
 * not a message, it returns 0 and sets errno. */
static size_t take_messages (void *handle, zl_queues *k, zlink_msg_t *msgs, size_t n)
{
    zl_run *r = k->rx_run;
    zl_session *s = session_of (r);
    if (ZL_UNLIKELY (!valid_message (&msgs[0])))
        return zl_fail (EFAULT), 0;
    if (ZL_UNLIKELY (r->run_head.kind != ZL_RUN_DATA)) {
        fill_event (as_message (&msgs[0]), r);
        end_run (k);
        zl_finish_run (handle, k, r);
        return 1;
    }

    const origin from = origin_of (s, load_be32 (s->id4), r->text);
    bool view = may_view (r->slab);
    size_t i = 0;
    int32_t views = 0;
    uint8_t *pos = k->rx_pos;
    uint64_t left = k->rx_left;
    for (; i < n && left > 0; i++) {
        if (ZL_UNLIKELY (!valid_message (&msgs[i])))
            break;
        size_t size;
        uint8_t *body = next_body (&pos, &left, &size);
        views += fill_body (as_message (&msgs[i]), &from, body, size, r->slab, view);
    }
    k->rx_pos = pos;
    k->rx_left = left;
    if (views > 0) /* one change of the count for all of them */
        atomic_fetch_add (&r->slab->refs, views);
    retain_card (&from, i);
    if (left == 0) {
        end_run (k);
        zl_finish_run (handle, k, r);
    }
    return i;
}

int zl_msg_recv_fast (zlink_msg_t *msg, void *handle, zl_queues *k, int flags)
{
    if (!await_run (handle, k, flags) || take_messages (handle, k, msg, 1) == 0)
        return -1;
    return clamped (message_size (as_message (msg)));
}

int zlink_stream_recv_batch (void *handle, zlink_msg_t *msgs, size_t n, int flags)
{
    if (!msgs)
        return zl_fail (EFAULT);
    if (n == 0)
        return zl_fail (EINVAL);
    if (n > INT_MAX)
        n = INT_MAX;
    zl_queues *k = lookup_socket (handle);
    if (ZL_UNLIKELY (!receives_fast (k)))
        return zl_recv_batch_by_rules (handle, msgs, n, flags);
    if (!await_run (handle, k, flags))
        return -1;
    size_t taken = 0;
    do {
        size_t more = take_messages (handle, k, msgs + taken, n - taken);
        if (more == 0)
            return taken > 0 ? (int) taken : -1;
        taken += more;
        /* A batch ends before the end of a peer that can still be answered. */
    } while (taken < n && (k->rx_run || next_run (k)) && !answerable (k->rx_run));
    return (int) taken;
}

/* ------------------------------------------------------------------- send */

/* Ends messages whose content was copied. Consecutive messages in one slab change the
 * slab's count once. */
static void release_sent (zlink_msg_t *msgs, size_t n)
{
    zl_slab *slab = NULL;
    int32_t refs = 0;
    for (size_t i = 0; i < n; i++) {
        message *m = as_message (&msgs[i]);
        if (m->kind == KIND_SLAB && !(m->peer_kind & PEER_OWNS)) {
            if (m->u.view.slab != slab) {
                if (refs > 0)
                    zl_slab_release (slab, refs);
                slab = m->u.view.slab;
                refs = 0;
            }
            refs++;
        } else if (refers (m))
            zl_msg_release (m);
        init_message (m);
    }
    if (refs > 0)
        zl_slab_release (slab, refs);
}

/* Whether C may put a message into the queue of the peer rid: not text, nor what has a header. */
static bool ordinary (const zlink_msg_t *msg, uint32_t rid)
{
    const message *m = valid_message (msg);
    return m && ((m->routing_id ^ rid) | m->event) == 0 && message_size (m) < ZL_OWNED_MIN;
}

/* Queues the messages at the start of msgs that go to the peer of the first one, if the
 * case is ordinary, and returns their number. */
static size_t put_messages (void *handle, zl_queues *k, zlink_msg_t *msgs, size_t n)
{
    const message *first = valid_message (&msgs[0]);
    uint32_t rid = first ? first->routing_id : 0;
    zl_session *s = rid ? find_session (k, rid) : NULL;
    if (ZL_UNLIKELY (!s))
        return 0;
    if (n > LOCKED_MAX)
        n = LOCKED_MAX;
    size_t i = 0;
    lock_session (s);
    if (ZL_LIKELY (session_names (s, handle, rid)))
        for (; i < n && ordinary (&msgs[i], rid); i++) {
            const message *m = as_message (&msgs[i]);
            if (!put_message (k, s, message_data (m), message_size (m)))
                break;
        }
    if (i > 0)
        owe_flush (s);
    unlock_session (s);
    release_sent (msgs, i);
    return i;
}

int zl_msg_send_fast (zlink_msg_t *msg, void *handle, zl_queues *k, int flags)
{
    size_t size = message_size (as_message (msg));
    if (ZL_UNLIKELY (put_messages (handle, k, msg, 1) != 1))
        return zl_msg_send_by_rules (msg, handle, flags);
    flush_last (handle, k);
    return clamped (size);
}

/* The socket that has the block of an id, as a handle; NULL: there is none with a short way. It
 * may be closed by now, as any handle. */
static inline void *handle_of_id (uint32_t rid)
{
    zl_id_directory *ids = atomic_load_explicit (&zl_ids, memory_order_acquire);
    const uint32_t block = rid >> ZL_ID_BLOCK_BITS;
    zl_id_page *page =
      ids ? atomic_load_explicit (&ids->pages[block >> ZL_ID_PAGE_BITS], memory_order_acquire)
          : NULL;
    return page ? (void *) (uintptr_t) atomic_load_explicit (
                    &page->handles[block % (1u << ZL_ID_PAGE_BITS)], memory_order_acquire)
                : NULL;
}

int zlink_stream_send_any (zlink_msg_t *msg, int flags)
{
    const message *m = valid_message (msg);
    if (!m)
        return zl_fail (EFAULT);
    const size_t size = message_size (m);
    void *handle = handle_of_id (m->routing_id);
    zl_queues *k = lookup_socket (handle);
    if (ZL_UNLIKELY (!k || put_messages (handle, k, msg, 1) != 1))
        return zl_send_any_by_rules (msg, flags);
    flush_last (handle, k);
    return clamped (size);
}

/* How many messages Go gets at once: as many of those at the start of msgs that are sent
 * without a copy as one write takes, or one that is unusual. While Go waits for room for the
 * first, none of them counts as kept. */
static size_t long_ones (const zlink_msg_t *msgs, size_t n)
{
    size_t count = 0, bytes = 0;
    for (; count < n && bytes < ZL_WRITE_TURN && valid_message (&msgs[count]); count++) {
        size_t size = message_size (as_message ((zlink_msg_t *) &msgs[count]));
        if (size < ZL_OWNED_MIN)
            break;
        bytes += size;
    }
    return count > 0 ? count : 1;
}

int zlink_stream_send_batch (void *handle, zlink_msg_t *msgs, size_t n, int flags)
{
    if (!msgs)
        return zl_fail (EFAULT);
    if (n == 0)
        return zl_fail (EINVAL);
    if (n > INT_MAX)
        n = INT_MAX;
    zl_queues *k = lookup_socket (handle);
    if (ZL_UNLIKELY (!sends_fast (k)))
        return zl_send_batch_by_rules (handle, msgs, n, flags);
    size_t sent = 0;
    while (sent < n) {
        size_t more = put_messages (handle, k, msgs + sent, n - sent);
        if (more == 0) {
            size_t asked = long_ones (msgs + sent, n - sent);
            int result = zl_send_batch_by_rules (handle, &msgs[sent], asked, flags);
            if (result < 0)
                break;
            more = (size_t) result;
            if (more < asked) { /* the next one has an error, such as the end of a wait */
                sent += more;
                break;
            }
        }
        sent += more;
    }
    if (sent == 0)
        return -1;
    flush_last (handle, k);
    return (int) sent;
}

int zlink_stream_drain (void *handle, int spread_ms, int ws_code)
{
    ZL_ENTER (-1);
    return zl_result (ZL_GO (drain) ((uintptr_t) handle, spread_ms, ws_code));
}

int zlink_stream_stats (void *handle, zlink_stream_stats_t *out)
{
    zlink_stream_stats_t all = {0};
    zl_stats counters;
    if (!out)
        return zl_fail (EFAULT);
    ZL_ENTER (-1);
    size_t size = out->size;
    int result = ZL_GO (stats) ((uintptr_t) handle, size, &counters);
    if (result < 0)
        return zl_result (result);
    all.size = size;
    memcpy (&all.connections, &counters, sizeof counters);
    memcpy (out, &all, size < sizeof all ? size : sizeof all);
    if (size > sizeof all) /* a later version has fields that are not here */
        memset ((char *) out + sizeof all, 0, size - sizeof all);
    return 0;
}

/* ---------------------------------------------------------- a message's peer */

uint32_t zlink_msg_routing_id (const zlink_msg_t *msg)
{
    const message *m = valid_message (msg);
    if (!m) {
        zl_fail (EFAULT);
        return 0;
    }
    return m->routing_id;
}

int zlink_msg_set_routing_id (zlink_msg_t *msg, uint32_t routing_id)
{
    if (!valid_message (msg))
        return zl_fail (EFAULT);
    if (routing_id == 0)
        return zl_fail (EINVAL);
    as_message (msg)->routing_id = routing_id;
    return 0;
}
