/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The data path of the mode COMPAT, two frames for a message: zlink_recv, zlink_send, and
 * the part that zlink_msg_recv and zlink_msg_send need. Only the ordinary case is here: a
 * message is there, the peer's queue has room, memory is at hand. Anything else is one call
 * of Go, which has the full rules (rules.c).
 */
#include <sys/mman.h>

#include "path.h"
#include "probe.h"
#include "zlink.h"

/* Slab.credit: bytes that an account counted are free. */
void zl_credit (zl_account *account, int64_t bytes)
{
    int64_t had = atomic_fetch_sub (&account->kept, bytes);
    ZL_CHECK (had >= bytes, "no more is given back than was kept");
    (void) had;
}

void zl_slab_release (zl_slab *slab, int32_t refs)
{
    int32_t had = atomic_fetch_sub (&slab->refs, refs);
    ZL_CHECK (had >= refs, "a slab is released no more often than it is retained");
    if (had != refs)
        return;
    int64_t charged = atomic_load_explicit (&slab->charged, memory_order_relaxed);
    if (charged)
        zl_credit (atomic_load_explicit (&slab->account, memory_order_relaxed), charged);
    if (slab->class_ == ZL_CLASS_DEDICATED) {
        munmap (slab, slab->size);
        return;
    }
    if (slab->class_ == ZL_CLASS_SLAB)
        atomic_fetch_sub (&zl_pools[ZL_CLASS_SLAB].out, 1);
    pool_push (&zl_pools[slab->class_], slab);
}

/* ---------------------------------------------------------------- receive */

static const uint8_t event_body[][1] = {{0}, {1}, {0}};

/* Takes the body at the receiver's position and moves on. */
static inline void take_body (zl_queues *k, zl_frame *f)
{
    zl_run *r = k->rx_run;
    f->session = session_of (r);
    k->rx_phase = ZL_PHASE_ID;
    k->rx_more = 0;
    if (ZL_UNLIKELY (r->run_head.kind != ZL_RUN_DATA)) {
        f->data = (uint8_t *) event_body[r->run_head.kind];
        f->size = 1;
        f->slab = NULL;
        f->text = 0;
        f->done = r;
        end_run (k);
        return;
    }
    f->data = next_body (&k->rx_pos, &k->rx_left, &f->size);
    f->slab = r->slab;
    f->text = r->text;
    f->done = NULL;
    if (k->rx_left == 0) {
        f->done = r;
        end_run (k);
    }
}

/* Go waits until there may be a run, or returns why there will be none: the socket is
 * closed, its context is over, or it is in the other mode. */
bool zl_await_run (void *handle, zl_queues *k, int flags)
{
    const bool fast = receives_fast (k);
    do {
        int result = ZL_GO (await) ((uintptr_t) handle, fast, flags);
        if (result < 0)
            return zl_result (result), false;
    } while (lookup_socket (handle) != k || receives_fast (k) != fast || !next_run (k));
    return true;
}

static inline bool next_frame (void *handle, zl_queues *k, int flags, zl_frame *f)
{
    if (k->rx_phase == ZL_PHASE_BODY)
        return take_body (k, f), true;
    if (!await_run (handle, k, flags))
        return false;
    f->session = session_of (k->rx_run);
    f->data = f->session->id;
    f->size = f->session->id_len;
    f->done = NULL;
    f->slab = NULL;
    f->text = 0;
    k->rx_phase = ZL_PHASE_BODY;
    k->rx_more = 1;
    return true;
}

bool zl_next_frame (void *handle, zl_queues *k, int flags, zl_frame *f)
{
    return next_frame (handle, k, flags, f);
}

/* Session.TakeUp: ends the event in s->up, which was taken. true: it has become
 * ZL_RUN_WRITABLE, which is to be taken next. */
static bool take_up (zl_session *s)
{
    lock_session (s);
    const bool again = s->tx_marks & ZL_MARK_OWED;
    if (again)
        s->up.kind = ZL_RUN_WRITABLE;
    s->tx_marks &= (uint8_t) ~(again ? ZL_MARK_OWED : ZL_MARK_UP);
    unlock_session (s);
    return again;
}

void zl_finish_run (void *handle, zl_queues *k, zl_run *r)
{
    zl_session *s = session_of (r);
    const uint32_t kind = r->run_head.kind; /* the shard may use the event's place again */
    if (ZL_UNLIKELY (kind != ZL_RUN_DATA)) {
        if ((kind == ZL_RUN_CONNECTED || kind == ZL_RUN_WRITABLE) && take_up (s)) {
            k->rx_run = r; /* it is the next event */
            atomic_store_explicit (&k->rx_hand, 1, memory_order_relaxed);
            return;
        }
        ZL_CHECK (atomic_load (&k->rx_events) > 0, "no more events are taken than were pushed");
        atomic_fetch_sub (&k->rx_events, 1);
        if (kind != ZL_RUN_DISCONNECTED && kind != ZL_RUN_ASKING)
            return;
        if (answerable (r) || (kind == ZL_RUN_DISCONNECTED && s->ip_kind == ZL_IP_CARD))
            ZL_GO (event_taken) ((uintptr_t) handle, s);
        ZL_CHECK (atomic_load (&s->refs) > 0, "a session is released no more often than it is retained");
        if (atomic_fetch_sub (&s->refs, 1) == 1)
            ZL_GO (free_session) (s);
        return;
    }
    if (ZL_UNLIKELY (zl_probed (ZL_PROBE_FRAME_TAKEN)))
        zl_probe (ZL_PROBE_FRAME_TAKEN, (uintptr_t) handle, load_be32 (s->id4), r->run_head.msgs, r->size, "");
    zl_slab *slab = r->slab;
    const uint64_t weight = weight_of (r);
    int64_t size = (int64_t) r->size;
    uint64_t queued = atomic_fetch_sub (&s->rx_queued, weight);
    ZL_CHECK ((uint32_t) queued >= r->run_head.msgs && queued >> 32 >= weight >> 32,
              "no more is taken than was pushed");
    queued -= weight;
    int64_t waiting = atomic_fetch_sub (&k->rx_waiting, size) - size;
    ZL_CHECK (waiting >= 0, "no more is taken than was pushed");
    bool stalled =
      (uint32_t) queued < atomic_load (&s->rx_stalled)
      || (atomic_load (&k->rx_throttled) && waiting < (int64_t) k->rx_low);
    zl_slab_release (slab, 1); /* r lies in it */
    if (ZL_UNLIKELY (stalled))
        ZL_GO (resume) ((uintptr_t) handle);
}

int zlink_recv (void *handle, void *buf, size_t len, int flags)
{
    zl_frame f;
    if (ZL_UNLIKELY (!buf && len > 0))
        return zl_fail (EFAULT);
    zl_queues *k = lookup_socket (handle);
    if (ZL_UNLIKELY (!receives_frames (k)))
        return zl_recv_by_rules (handle, buf, len, flags);
    if (!next_frame (handle, k, flags, &f))
        return -1;
    copy_bytes (buf, f.data, f.size < len ? f.size : len);
    if (f.done)
        zl_finish_run (handle, k, f.done);
    return clamped (f.size);
}

/* ------------------------------------------------------------------- send */

/* Session.Append with a copy. false: Go has to do or refuse it. */
static bool append_frame (void *handle, zl_queues *k, const void *buf, size_t len)
{
    zl_session *s = k->tx_session;
    lock_session (s);
    if (ZL_UNLIKELY (!session_names (s, handle, k->tx_rid)
                     || !put_message (k, s, buf, len))) {
        unlock_session (s);
        return false;
    }
    owe_flush (s);
    k->tx_phase = ZL_PHASE_ID; /* under the lock, because k is still this socket then */
    unlock_session (s);
    flush_last (handle, k);
    return true;
}

/* Session.judgeAny without the lock: whether a body of any length may follow an id that is
 * sent now. false: Go has to look. Only casts of other threads change tx_bytes meanwhile. */
static bool takes_any (zl_queues *k, zl_session *s)
{
    const int64_t total = atomic_load_explicit (&k->tx_total, memory_order_relaxed);
    if (atomic_load_explicit (&s->tx_queued, memory_order_relaxed) == atomic_load (&s->tx_done))
        return total == 0 || atomic_load_explicit (&k->tx_memory, memory_order_relaxed) <= total;
    /* What held queues have counts against all here; Go counts it against held ones. */
    const int64_t held = (int64_t) atomic_load (&k->tx_held) * ZL_HELD_SMALL / ZL_SHARES + 1;
    return takes (s, 4) && may_grow (k, s, ZL_TINY_CHUNK_SIZE + (size_t) held);
}

/* Sends one frame in the ordinary case. false: Go has to do it. */
static bool send_ordinary (void *handle, const void *buf, size_t len, int flags)
{
    zl_queues *k = lookup_socket (handle);
    if (ZL_UNLIKELY (!k))
        return false;
    if (k->tx_phase == ZL_PHASE_BODY) {
        if (ZL_UNLIKELY (len > ZL_LARGE_CHUNK_SIZE - ZL_HEADER_SIZE - 4
                         || (len == 1 && *(const uint8_t *) buf == 0)))
            return false;
        return append_frame (handle, k, buf, len);
    }
    if (ZL_UNLIKELY (len != 4 || !(flags & ZLINK_SNDMORE)
                     || k->tx_phase == ZL_PHASE_FAST))
        return false;
    uint32_t rid = load_be32 (buf);
    zl_session *s = find_session (k, rid);
    if (ZL_UNLIKELY (!s) || (flags & ZLINK_DONTWAIT && !takes_any (k, s)))
        return false;
    k->tx_session = s;
    k->tx_rid = rid;
    k->tx_promise = flags & ZLINK_DONTWAIT;
    k->tx_phase = ZL_PHASE_BODY;
    return true;
}

int zlink_send (void *handle, const void *buf, size_t len, int flags)
{
    if (ZL_UNLIKELY (!buf && len > 0))
        return zl_fail (EFAULT);
    if (ZL_UNLIKELY (!send_ordinary (handle, buf, len, flags))) {
        ZL_ENTER (-1);
        int result = ZL_GO (send) ((uintptr_t) handle, (void *) buf, for_go (len), flags);
        if (result < 0)
            return zl_result (result);
    }
    return clamped (len);
}

int zlink_send_const (void *handle, const void *buf, size_t len, int flags)
{
    return zlink_send (handle, buf, len, flags);
}
