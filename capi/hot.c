/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The data path in C: zlink_recv, zlink_send and what zlink_msg_recv and
 * zlink_msg_send need. It knows only the ordinary case: a message is there,
 * the peer's queue has room, memory is at hand. Anything else is one call of
 * Go, which holds the full rules. The protocols are those of core/shm (inbox.go,
 * pool.go, lock.go), whose comments state their invariants.
 */
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#include "hot.h"
#include "zlink.h"
#include "_cgo_export.h"

static zl_socket *lookup (void *handle)
{
    uint64_t value = (uintptr_t) handle;
    zl_socket *k = atomic_load_explicit (
      &zl_slots[value & ((1u << ZL_SLOT_BITS) - 1)], memory_order_acquire);
    /* A closed socket has the handle 0, which is NULL. */
    if (ZL_LIKELY (
          k && value
          && atomic_load_explicit (&k->handle, memory_order_relaxed) == value))
        return k;
    return NULL;
}

static uint32_t load_be32 (const uint8_t *p)
{
    uint32_t v;
    memcpy (&v, p, 4);
    return __builtin_bswap32 (v);
}

static void store_be32 (uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32 (v);
    memcpy (p, &v, 4);
}

/* ---------------------------------------------------------------- inboxes */

static bool inbox_is_node (zl_inbox *inbox, void *head)
{
    return head && head != (void *) inbox && head != (char *) inbox + 1;
}

static bool inbox_empty (zl_inbox *inbox)
{
    return !inbox_is_node (
      inbox, atomic_load_explicit (inbox, memory_order_acquire));
}

/* Inbox.Push for a session that becomes dirty; true: the shard sleeps. The
 * inbox of a shard is never closed. */
static bool push_dirty (zl_session *s)
{
    zl_inbox *inbox = &s->shard->dirty;
    void *old = atomic_load_explicit (inbox, memory_order_relaxed);
    bool asleep;
    do {
        asleep = old == (void *) inbox;
        __atomic_store_n (&s->dirty_next, asleep ? NULL : old,
                          __ATOMIC_RELAXED);
    } while (!atomic_compare_exchange_weak (inbox, &old, s));
    return asleep;
}

/* Socket.NextRun: makes the oldest run the one being read. */
static bool next_run (zl_socket *k)
{
    zl_run *r = k->rx_list;
    if (!r) {
        if (inbox_empty (&k->rx_inbox))
            return false;
        zl_run *newest = atomic_exchange (&k->rx_inbox, NULL);
        while (newest) {
            zl_run *older = newest->next;
            newest->next = r;
            r = newest;
            newest = older;
        }
    }
    k->rx_list = r->next;
    k->rx_run = r;
    k->rx_pos = r->data;
    k->rx_left = r->size;
    return true;
}

/* ------------------------------------------------------------------ pools */

enum
{
    LOW_BITS = 10,
    LOW_TAG = (1 << LOW_BITS) - 1
};
#define ADDR_MASK (((uint64_t) 1 << 48) - 1 - LOW_TAG)

static uint64_t repack (uint64_t head, void *block)
{
    uint64_t tag = ((head & LOW_TAG) | (head >> 48 << LOW_BITS)) + 1;
    return (uint64_t) (uintptr_t) block | (tag & LOW_TAG)
           | (tag >> LOW_BITS << 48);
}

static void *pool_pop (zl_pool *pool)
{
    uint64_t head = atomic_load (&pool->head);
    for (;;) {
        void *block = (void *) (uintptr_t) (head & ADDR_MASK);
        if (!block)
            return NULL;
        void *next = atomic_load ((_Atomic (void *) *) block);
        if (atomic_compare_exchange_weak (&pool->head, &head,
                                          repack (head, next)))
            return block;
    }
}

static void pool_push (zl_pool *pool, void *block)
{
    uint64_t head = atomic_load (&pool->head);
    do
        atomic_store ((_Atomic (void *) *) block,
                      (void *) (uintptr_t) (head & ADDR_MASK));
    while (!atomic_compare_exchange_weak (&pool->head, &head,
                                          repack (head, block)));
}

void zl_slab_release (zl_slab *slab)
{
    if (atomic_fetch_sub (&slab->refs, 1) != 1)
        return;
    if (slab->class_ == ZL_CLASS_DEDICATED)
        munmap (slab, slab->size);
    else
        pool_push (&zl_pools[slab->class_], slab);
}

/* ---------------------------------------------------------------- receive */

static const uint8_t event_body[][1] = {{0}, {1}, {0}};

/* The body at the receiver's place; moves on. */
static void take_body (zl_socket *k, zl_frame *f)
{
    zl_run *r = k->rx_run;
    f->session = r->session;
    f->slab = r->slab;
    k->rx_phase = ZL_PHASE_ID;
    k->rx_more = 0;
    if (ZL_UNLIKELY (r->kind != ZL_RUN_DATA)) {
        f->data = (uint8_t *) event_body[r->kind];
        f->size = 1;
        f->done = r;
        k->rx_run = NULL;
        return;
    }
    f->size = load_be32 (k->rx_pos);
    f->data = k->rx_pos + 4;
    k->rx_pos = f->data + f->size;
    k->rx_left -= 4 + f->size;
    f->done = NULL;
    if (k->rx_left == 0) {
        f->done = r;
        k->rx_run = NULL;
    }
}

int zl_next_frame (void *handle, int flags, zl_socket **socket, zl_frame *f)
{
    for (;;) {
        zl_socket *k = lookup (handle);
        if (ZL_UNLIKELY (!k)) {
            ZL_ENTER (-1);
            return zl_result (zgo_state ((uintptr_t) handle));
        }
        *socket = k;
        if (k->rx_phase == ZL_PHASE_BODY) {
            take_body (k, f);
            return 0;
        }
        if (k->rx_run || next_run (k)) {
            f->session = k->rx_run->session;
            f->data = f->session->id;
            f->size = f->session->id_len;
            f->done = NULL;
            f->slab = NULL;
            k->rx_phase = ZL_PHASE_BODY;
            k->rx_more = 1;
            return 0;
        }
        zl_prepare_thread ();
        int result =
          zgo_await ((uintptr_t) handle, (flags & ZLINK_DONTWAIT) != 0);
        if (result < 0)
            return zl_result (result);
    }
}

void zl_finish_run (void *handle, zl_socket *k, zl_run *r)
{
    zl_session *s = r->session;
    zl_slab *slab = r->slab;
    if (ZL_UNLIKELY (!slab)) {
        if (r->kind == ZL_RUN_DISCONNECTED && atomic_fetch_sub (&s->refs, 1) == 1)
            zgo_free_session (s);
        return;
    }
    int32_t msgs = (int32_t) r->msgs;
    int64_t size = (int64_t) r->size;
    int32_t queued = atomic_fetch_sub (&s->rx_queued, msgs) - msgs;
    int64_t waiting = atomic_fetch_sub (&k->rx_waiting, size) - size;
    bool stalled =
      (atomic_load (&s->rx_stalled) && queued <= s->rx_low)
      || (atomic_load (&k->rx_throttled) && waiting < (int64_t) k->rx_low);
    zl_slab_release (slab); /* r lies in it */
    if (ZL_UNLIKELY (stalled))
        zgo_resume ((uintptr_t) handle);
}

int zlink_recv (void *handle, void *buf, size_t len, int flags)
{
    zl_socket *k;
    zl_frame f;
    if (ZL_UNLIKELY (!buf && len > 0))
        return zl_fail (EFAULT);
    if (zl_next_frame (handle, flags, &k, &f) != 0)
        return -1;
    memcpy (buf, f.data, f.size < len ? f.size : len);
    if (f.done)
        zl_finish_run (handle, k, f.done);
    return f.size > INT_MAX ? INT_MAX : (int) f.size;
}

/* ------------------------------------------------------------------- send */

static void lock (zl_session *s)
{
    uint32_t free_ = 0;
    for (int spins = 0; !atomic_compare_exchange_weak_explicit (
           &s->tx_lock, &free_, 1, memory_order_acquire, memory_order_relaxed);
         spins++) {
        free_ = 0;
        if (spins >= 64)
            sched_yield ();
    }
}

static void unlock (zl_session *s)
{
    atomic_store_explicit (&s->tx_lock, 0, memory_order_release);
}

static bool has_room (zl_session *s)
{
    return s->tx_hwm == 0 || s->tx_queued - atomic_load (&s->tx_done) < s->tx_hwm;
}

/* A free chunk of at least this class with room for need bytes, or NULL. */
static zl_chunk *new_chunk (size_t need, uint32_t class_)
{
    static const size_t cap[] = {ZL_TINY_CAP, ZL_SMALL_CAP, ZL_MID_CAP,
                                 ZL_LARGE_CAP};
    if (class_ > ZL_CLASS_LARGE)
        class_ = ZL_CLASS_LARGE;
    while (need > cap[class_])
        if (++class_ > ZL_CLASS_LARGE)
            return NULL;
    return pool_pop (&zl_pools[class_]);
}

/* The chunk that takes need more bytes of the main queue, or NULL. */
static zl_chunk *room_for (zl_session *s, size_t need)
{
    zl_chunk *tail = s->tx_tail;
    if (ZL_LIKELY (tail && !tail->ext && tail->cap - tail->end >= need))
        return tail;
    zl_chunk *c = new_chunk (need, tail ? tail->class_ + 1 : s->tx_hint);
    if (!c)
        return NULL;
    atomic_store_explicit (&c->next, NULL, memory_order_relaxed);
    c->start = c->end = c->msgs = c->cold = 0;
    c->ext = NULL;
    c->ext_len = 0;
    c->owner = NULL;
    if (tail)
        atomic_store_explicit (&tail->next, c, memory_order_relaxed);
    else
        s->tx_head = c;
    s->tx_tail = c;
    return c;
}

/* Session.Append, copying; false: it is for Go to do or to refuse. */
static bool append (void *handle, zl_socket *k, const void *buf, size_t len)
{
    zl_session *s = k->tx_session;
    zl_chunk *c;
    lock (s);
    if (ZL_UNLIKELY (s->rid != k->tx_rid || s->sock != k
                     || s->tx_state != ZL_TX_OPEN || !has_room (s)
                     || !(c = room_for (s, 4 + len)))) {
        unlock (s);
        return false;
    }
    uint8_t *to = (uint8_t *) c + ZL_HEADER_SIZE + c->end;
    store_be32 (to, (uint32_t) len);
    memcpy (to + 4, buf, len);
    c->end += 4 + (uint32_t) len;
    c->msgs++;
    s->tx_queued++;
    bool first = !s->tx_dirty;
    s->tx_dirty = 1;
    unlock (s);
    if (first && push_dirty (s))
        zgo_wake ((uintptr_t) handle, s);
    /* The last answer before this thread waits for more: if it has driven the
     * shard itself, nobody else will write it. */
    zl_shard *shard = k->shard;
    if (!k->rx_run && !k->rx_list && shard
        && atomic_load_explicit (&shard->driver, memory_order_relaxed)
             == ZL_DRIVER_NONE
        && inbox_empty (&k->rx_inbox))
        zgo_flush ((uintptr_t) handle);
    return true;
}

/* The session that a routing id of four bytes names, if it takes a message. */
static zl_session *find (zl_socket *k, uint32_t rid)
{
    zl_table *t = atomic_load_explicit (&k->table, memory_order_acquire);
    zl_session *s =
      atomic_load_explicit (&t->slots[rid & t->mask], memory_order_acquire);
    return s && s->rid == rid && has_room (s) ? s : NULL;
}

/* One frame, in the ordinary case; false: it is for Go. */
static bool send_hot (void *handle, const void *buf, size_t len, int flags)
{
    zl_socket *k = lookup (handle);
    if (ZL_UNLIKELY (!k))
        return false;
    if (k->tx_phase == ZL_PHASE_BODY) {
        if (ZL_UNLIKELY (len > ZL_LARGE_CAP - 4
                         || (len == 1 && *(const uint8_t *) buf == 0))
            || !append (handle, k, buf, len))
            return false;
        k->tx_phase = ZL_PHASE_ID;
        return true;
    }
    if (ZL_UNLIKELY (len != 4 || !(flags & ZLINK_SNDMORE)))
        return false;
    uint32_t rid = load_be32 (buf);
    zl_session *s = find (k, rid);
    if (ZL_UNLIKELY (!s))
        return false;
    k->tx_session = s;
    k->tx_rid = rid;
    k->tx_phase = ZL_PHASE_BODY;
    return true;
}

int zlink_send (void *handle, const void *buf, size_t len, int flags)
{
    if (ZL_UNLIKELY (!buf && len > 0))
        return zl_fail (EFAULT);
    if (ZL_UNLIKELY (len > UINT32_MAX)) /* the length field cannot tell */
        return zl_fail (lookup (handle) ? EMSGSIZE : ENOTSOCK);
    if (ZL_UNLIKELY (!send_hot (handle, buf, len, flags))) {
        ZL_ENTER (-1);
        int result = zgo_send ((uintptr_t) handle, (void *) buf, len, flags);
        if (result < 0)
            return zl_result (result);
    }
    return len > INT_MAX ? INT_MAX : (int) len;
}

int zlink_send_const (void *handle, const void *buf, size_t len, int flags)
{
    return zlink_send (handle, buf, len, flags);
}

int zlink_getsockopt (void *handle, int option, void *optval, size_t *optvallen)
{
    if (ZL_UNLIKELY (!optval || !optvallen))
        return zl_fail (lookup (handle) ? EFAULT : ENOTSOCK);
    if (option == ZLINK_RCVMORE && *optvallen >= sizeof (int)) {
        zl_socket *k = lookup (handle);
        if (ZL_LIKELY (k != NULL)) {
            int more = (int) k->rx_more;
            memcpy (optval, &more, sizeof more);
            *optvallen = sizeof more;
            return 0;
        }
    }
    ZL_ENTER (-1);
    size_t room = *optvallen < ZL_OPTION_MAX ? *optvallen : ZL_OPTION_MAX;
    int result = zgo_getsockopt ((uintptr_t) handle, option, optval, room);
    if (result < 0)
        return zl_result (result);
    *optvallen = (size_t) result;
    return 0;
}

/* Whether a receive would not block. */
static bool readable (zl_socket *k)
{
    return k->rx_run || k->rx_list || !inbox_empty (&k->rx_inbox);
}

int zlink_poll (zlink_pollitem_t *items, int nitems, long timeout_ms)
{
    if (nitems < 0)
        return zl_fail (EINVAL);
    if (nitems > 0 && !items)
        return zl_fail (EFAULT);
    ZL_ENTER (-1);
    int ready = 0;
    bool simple = true;
    for (int i = 0; i < nitems; i++) {
        zlink_pollitem_t *item = &items[i];
        zl_socket *k = item->socket ? lookup (item->socket) : NULL;
        item->revents = 0;
        if (!k) { /* a descriptor, or a handle that Go will judge */
            simple = false;
            continue;
        }
        item->revents = item->events & ZLINK_POLLOUT;
        if ((item->events & ZLINK_POLLIN) && readable (k))
            item->revents |= ZLINK_POLLIN;
        ready += item->revents != 0;
    }
    if (simple && ready > 0)
        return ready;
    return zl_result (zgo_poll (items, nitems, timeout_ms));
}
