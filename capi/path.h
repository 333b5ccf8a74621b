/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The queues of core/shm as the calls of the data path use them: frames.c for two
 * frames, fast.c for one message. The protocols are those of core/shm (inbox.go,
 * lock.go), whose comments state their invariants.
 */
#ifndef ZLINK_PATH_H
#define ZLINK_PATH_H

#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "check.h"
#include "copy.h"
#include "internal.h"
#include "pool.h"
#include "_cgo_export.h"

/* Returns the socket of a handle for the short ways of C. NULL: Go has to do the call. In a
 * build with ZLINK_NO_HOT it has to do every call. */
static inline zl_queues *lookup_socket (void *handle)
{
#ifdef ZLINK_NO_HOT
    return (void) handle, NULL;
#else
    uint64_t value = (uintptr_t) handle;
    zl_queues *k = atomic_load_explicit (
      &zl_slots[value & ((1u << ZL_SLOT_BITS) - 1)], memory_order_acquire);
    /* A closed socket has the handle 0, which is NULL. */
    if (ZL_LIKELY (
          k && value
          && atomic_load_explicit (&k->handle, memory_order_relaxed) == value))
        return k;
    return NULL;
#endif
}

/* Whether k is a socket in the mode FAST. There is a function for the sender and one for the
 * receiver: each reads its own phase, because in COMPAT the other thread changes the other. */
static inline bool sends_fast (const zl_queues *k)
{
    return k && k->tx_phase == ZL_PHASE_FAST;
}

static inline bool receives_fast (const zl_queues *k)
{
    return k && k->rx_phase == ZL_PHASE_FAST;
}

static inline bool receives_frames (const zl_queues *k)
{
    return k && k->rx_phase != ZL_PHASE_FAST;
}

/* The result of a call for so many bytes. */
static inline int clamped (size_t size)
{
    return size > INT_MAX ? INT_MAX : (int) size;
}

static inline uint32_t load_be32 (const uint8_t *p)
{
    uint32_t v;
    memcpy (&v, p, 4);
    return __builtin_bswap32 (v);
}

static inline void store_be32 (uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32 (v);
    memcpy (p, &v, 4);
}

/* The size of a frame as Go gets it. Go refuses a frame that the length field cannot
 * express, and must not make a slice that reaches beyond the address space. */
static inline size_t for_go (size_t size)
{
    return size > UINT32_MAX ? (size_t) UINT32_MAX + 1 : size;
}

/* ---------------------------------------------------------------- inboxes */

static inline bool inbox_is_node (zl_inbox *inbox, void *head)
{
    return head && head != (void *) inbox && head != (char *) inbox + 1;
}

static inline bool inbox_empty (zl_inbox *inbox)
{
    return !inbox_is_node (
      inbox, atomic_load_explicit (&inbox->head, memory_order_acquire));
}

/* Inbox.Push for a session that becomes dirty. true: the shard sleeps. The inbox of a shard
 * is never closed. */
static inline bool push_dirty (zl_session *s)
{
    zl_inbox *inbox = &s->shard->dirty;
    ZL_CHECK_LOCKED (s);
    ZL_CHECK (s->tx_dirty & ZL_DIRTY_LISTED, "a session on the list is marked so");
    void *old = atomic_load_explicit (&inbox->head, memory_order_relaxed);
    bool asleep;
    do {
        asleep = old == (void *) inbox;
        atomic_store_explicit (&s->dirty_next, asleep ? NULL : old,
                               memory_order_relaxed);
    } while (!atomic_compare_exchange_weak (&inbox->head, &old, s));
    return asleep;
}

static inline zl_run *next_of (zl_run *r)
{
    return atomic_load_explicit (&r->run_head.next, memory_order_relaxed);
}

/* Queues.NextRun: makes the oldest run the one being read. */
static inline bool next_run (zl_queues *k)
{
    zl_run *r = k->rx_list;
    ZL_CHECK (!k->rx_run, "a run is read to its end before the next one");
    if (!r) {
        if (inbox_empty (&k->rx_inbox))
            return false;
        zl_run *newest = atomic_exchange (&k->rx_inbox.head, NULL);
        while (newest) {
            zl_run *older = next_of (newest);
            atomic_store_explicit (&newest->run_head.next, r, memory_order_relaxed);
            r = newest;
            newest = older;
        }
    }
    k->rx_list = next_of (r);
    k->rx_run = r;
    atomic_store_explicit (&k->rx_hand, 1, memory_order_relaxed);
    if (ZL_LIKELY (r->run_head.kind == ZL_RUN_DATA)) {
        k->rx_pos = r->data;
        k->rx_left = r->size;
    }
    return true;
}

/* Makes a run of k the one being read, and waits as flags say. handle names k. false with
 * errno. */
static inline bool await_run (void *handle, zl_queues *k, int flags)
{
    return ZL_LIKELY (k->rx_run || next_run (k)) || zl_await_run (handle, k, flags);
}

/* --------------------------------------------------------------- receiving */

/* Queues.EndRun: takes the finished run away from the receiver. */
static inline void end_run (zl_queues *k)
{
    ZL_CHECK (k->rx_run, "a run that ends was being read");
    k->rx_run = NULL;
    if (!k->rx_list)
        atomic_store_explicit (&k->rx_hand, 0, memory_order_relaxed);
}

/* Queues.NextBody: returns the body at *pos and moves on. *left is how many bytes there are
 * from *pos on, length fields included. */
static inline uint8_t *next_body (uint8_t **pos, uint64_t *left, size_t *size)
{
    uint8_t *body = *pos + 4;
    *size = load_be32 (*pos);
    ZL_CHECK (4 + *size <= *left, "a frame ends within its run");
    *pos = body + *size;
    *left -= 4 + *size;
    return body;
}

/* Run.Of: the session of a run, or NULL. An event lies in its session. */
static inline zl_session *session_of (zl_run *r)
{
    if (ZL_LIKELY (r->run_head.kind == ZL_RUN_DATA))
        return r->session;
    if (r->run_head.kind == ZL_RUN_DRAINED)
        return NULL;
    const size_t place = r->run_head.kind == ZL_RUN_DISCONNECTED ? offsetof (zl_session, down)
                                                                 : offsetof (zl_session, up);
    return (zl_session *) ((char *) r - place);
}

/* Run.Weight: what a data run adds to rx_queued. */
static inline uint64_t weight_of (const zl_run *r)
{
    return r->run_head.msgs | (r->size + ZL_RX_UNIT - 1) / ZL_RX_UNIT << 32;
}

/* Run.Answerable: whether a run ends a peer that may still be sent to until the receiver
 * takes the run. */
static inline bool answerable (zl_run *r)
{
    return r->run_head.kind == ZL_RUN_DISCONNECTED
           && __atomic_load_n (&session_of (r)->tx_state, __ATOMIC_RELAXED)
                == ZL_TX_OPEN;
}

/* Slab.MayView: whether messages may stay in the slab while the application
 * has them. */
static inline bool may_view (const zl_slab *slab)
{
    return slab->class_ != ZL_CLASS_SLAB
           || atomic_load_explicit (&zl_pools[ZL_CLASS_SLAB].out,
                                    memory_order_relaxed)
                <= ZL_MAX_VIEW_SLABS;
}

/* ----------------------------------------------------------------- sending */

static inline bool try_lock_session (zl_session *s)
{
    uint32_t free_ = 0;
    return atomic_compare_exchange_strong_explicit (
      &s->tx_lock, &free_, 1, memory_order_acquire, memory_order_relaxed);
}

static inline void lock_session (zl_session *s)
{
    if (ZL_UNLIKELY (!try_lock_session (s)))
        zl_lock_slow (s);
}

/* No fence lies between the store and the read: a waiter makes all threads pass one after it
 * has counted itself. The compiler must keep the order. */
static inline void unlock_session (zl_session *s)
{
    ZL_CHECK_LOCKED (s);
    atomic_store_explicit (&s->tx_lock, 0, memory_order_release);
    atomic_signal_fence (memory_order_seq_cst);
    if (ZL_UNLIKELY (
          atomic_load_explicit (&s->tx_waiters, memory_order_relaxed)))
        zl_wake_waiter (s);
}

static inline bool has_room (zl_session *s)
{
    return s->tx_hwm == 0
           || atomic_load_explicit (&s->tx_queued, memory_order_relaxed)
                  - atomic_load (&s->tx_done)
                < s->tx_hwm;
}

/* Session.takes: whether the queue's bound has room for so many bytes. An empty queue takes
 * more, by Go's rules. TxLock is held. */
static inline bool takes (zl_session *s, size_t bytes)
{
    const uint32_t end = (uint32_t) ((s->tx_bytes + bytes + ZL_SEND_UNIT - 1) / ZL_SEND_UNIT);
    return (int32_t) (atomic_load_explicit (&s->tx_limit, memory_order_relaxed) - end) >= 0;
}

/* Session.shares for an open session of k whose queue is not held: whether the total lets the
 * queue have a block of this size more. An empty queue may have more, by Go's rules. TxLock is
 * held. */
static inline bool may_grow (zl_queues *k, zl_session *s, size_t size)
{
    const int64_t total = atomic_load_explicit (&k->tx_total, memory_order_relaxed);
    if (total == 0)
        return true;
    const uint64_t bound = s->tx_bound ? s->tx_bound : ZL_UNBOUNDED;
    const uint32_t limit = atomic_load_explicit (&s->tx_limit, memory_order_relaxed);
    const int32_t units = (int32_t) ((uint32_t) (s->tx_bytes / ZL_SEND_UNIT)
                                     - (limit - (uint32_t) (bound / ZL_SEND_UNIT)));
    const int64_t waiting = units > 0 ? (int64_t) units * ZL_SEND_UNIT : 0;
    const int64_t left =
      total - atomic_load_explicit (&k->tx_memory, memory_order_relaxed);
    return waiting + (int64_t) size <= left / ZL_SHARES;
}

/* A free chunk of at least this class with room for need bytes, or NULL. */
static inline zl_chunk *new_chunk (size_t need, uint32_t class_)
{
    static const size_t cap[] = {
      [ZL_CLASS_TINY] = ZL_TINY_CHUNK_SIZE - ZL_HEADER_SIZE,
      [ZL_CLASS_SMALL] = ZL_SMALL_CHUNK_SIZE - ZL_HEADER_SIZE,
      [ZL_CLASS_MID] = ZL_MID_CHUNK_SIZE - ZL_HEADER_SIZE,
      [ZL_CLASS_LARGE] = ZL_LARGE_CHUNK_SIZE - ZL_HEADER_SIZE,
    };
    if (class_ > ZL_CLASS_LARGE)
        class_ = ZL_CLASS_LARGE;
    while (need > cap[class_])
        if (++class_ > ZL_CLASS_LARGE)
            return NULL;
    return pool_pop (&zl_pools[class_]);
}

/* The chunk that takes need more bytes of the main queue, or NULL. A held queue grows only
 * by Go's rules (core/shm/held.go). */
static inline zl_chunk *chunk_for (zl_queues *k, zl_session *s, size_t need)
{
    zl_chunk *tail = s->tx_tail;
    if (ZL_LIKELY (tail && !tail->ext && tail->cap - tail->end >= need))
        return tail;
    if (ZL_UNLIKELY (s->tx_dirty & ZL_DIRTY_HELD))
        return NULL;
    zl_chunk *c = new_chunk (need, tail ? tail->class_ + 1 : s->tx_hint);
    if (!c)
        return NULL;
    if (c->class_ != ZL_CLASS_TINY || tail) {
        if (ZL_UNLIKELY (!may_grow (k, s, c->size))) {
            pool_push (&zl_pools[c->class_], c);
            return NULL;
        }
        if (c->class_ != ZL_CLASS_TINY)
            atomic_fetch_add_explicit (&k->tx_memory, (int64_t) c->size,
                                       memory_order_relaxed);
    }
    atomic_store_explicit (&c->next, NULL, memory_order_relaxed);
    c->start = c->end = c->msgs = c->open = 0;
    c->ext = 0;
    c->ext_len = c->ext_all = 0;
    c->owner = 0;
    if (tail)
        atomic_store_explicit (&tail->next, c, memory_order_relaxed);
    else
        s->tx_head = c;
    s->tx_tail = c;
    atomic_fetch_add_explicit (&s->memory, (int64_t) c->size,
                               memory_order_relaxed);
    return c;
}

/* Puts a message into the main queue. TxLock is held. false: no room, or no memory at
 * hand. */
static inline bool put_message (zl_queues *k, zl_session *s, const void *buf, size_t len)
{
    zl_chunk *c;
    if (ZL_UNLIKELY (!has_room (s) || !takes (s, 4 + len)
                     || !(c = chunk_for (k, s, 4 + len))))
        return false;
    uint8_t *to = (uint8_t *) c + ZL_HEADER_SIZE + c->end;
    store_be32 (to, (uint32_t) len);
    copy_bytes (to + 4, buf, len);
    c->end += 4 + (uint32_t) len;
    uint32_t queued = atomic_load_explicit (&s->tx_queued, memory_order_relaxed);
    c->msgs++;
    atomic_store_explicit (&s->tx_queued, queued + 1, memory_order_relaxed);
    s->tx_bytes += 4 + len;
    ZL_CHECK_LOCKED (s);
    ZL_CHECK (c->end <= c->cap, "a chunk ends within its block");
    return true;
}

/* Session.owe: makes the shard flush the message. TxLock is held. */
static inline void owe_flush (zl_session *s)
{
    ZL_CHECK_LOCKED (s);
    ZL_CHECK (s->tx_head && s->tx_state == ZL_TX_OPEN,
              "what is owed to the shard is there, and of an open session");
    if (s->tx_dirty)
        return;
    s->tx_dirty = ZL_DIRTY_LISTED;
    if (ZL_UNLIKELY (push_dirty (s)))
        zl_wake_driver (s->shard);
}

/* Whether s is the session that the socket of this handle calls rid. TxLock is held. The
 * socket, table or session found without the lock may be another's by now. If the session
 * matches, the connection, its socket and its shard exist until the lock is released. */
static inline bool session_names (const zl_session *s, const void *handle, uint32_t rid)
{
    return s->rid == rid && s->owner == (uintptr_t) handle
           && s->tx_state == ZL_TX_OPEN;
}

/* Writes the last answer before the receiver waits for more: if the receiver has driven the
 * shard itself, nobody else will write it. */
static inline void flush_last (void *handle, zl_queues *k)
{
    zl_wakeup *shard = atomic_load_explicit (&k->shard, memory_order_relaxed);
    if (!atomic_load_explicit (&k->rx_hand, memory_order_relaxed) && shard
        && atomic_load (&shard->driver) == ZL_DRIVER_NONE
        && inbox_empty (&k->rx_inbox))
        ZL_GO (flush) ((uintptr_t) handle);
}

/* The session that a routing id of four bytes names, if a message can be queued for it. */
static inline zl_session *find_session (zl_queues *k, uint32_t rid)
{
    zl_table *t = atomic_load_explicit (&k->table, memory_order_acquire);
    zl_session *s =
      atomic_load_explicit (&t->slots[rid & t->mask], memory_order_acquire);
    return s && s->rid == rid && has_room (s) ? s : NULL;
}

#endif
