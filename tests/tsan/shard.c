/* SPDX-License-Identifier: MPL-2.0 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shard.h"
#include "path.h"
#include "types.h"
#include "zlink.h"

enum
{
    SOCKETS = 4,
    THIRST = 64 /* blocks that a pool gets at a time */
};

/* A session and what only its shard knows of it. */
typedef struct peer
{
    zl_session *session;
    zl_queues *socket;
    zl_chunk *head; /* the flush queue */
    zl_chunk *tail;
    bool parked;
} peer;

typedef struct owner
{
    zl_queues *socket;
    sem_t runs; /* posted for a receiver that sleeps */
} owner;

static _Atomic (zl_queues *) slots[1 << ZL_SLOT_BITS];
_Atomic (zl_queues *) *zl_slots = slots;
static zl_pool pools[ZL_CLASS_DEDICATED];
zl_pool *zl_pools = pools;
_Atomic (zl_id_directory *) zl_ids;
bool zl_forked;

static zl_wakeup shard;
static peer peers[SOCKETS * PEER_MAX];
static int peer_count;
static owner owners[SOCKETS];
static int owner_count;
static pthread_t thread;
static atomic_bool unpark, over;
static zl_slab *filled;
static uint64_t fill_pos;
atomic_long shard_taken, shard_resumes, shard_parks, shard_slow_sends;

void require (bool what, const char *sentence)
{
    if (what)
        return;
    fprintf (stderr, "%s\n", sentence);
    _exit (EXIT_FAILURE);
}

/* ------------------------------------------------------- what api.c has */

void zl_set_detail (const unsigned char *text, size_t size)
{
    (void) text, (void) size;
}

int zl_fail (int error)
{
    errno = error;
    return -1;
}

int zl_result (int result)
{
    return result < 0 ? zl_fail (-result) : result;
}

bool zl_enter (void) { return true; }
void zl_pass (void) {}

void shard_gap (void)
{
    static _Thread_local unsigned n;
    if (++n % 16 == 0)
        sched_yield ();
}

/* ------------------------------------------------------------------ pools */

static size_t block_size (uint32_t class_)
{
    static const size_t sizes[] = {
      [ZL_CLASS_REF] = ZL_REF_SIZE,
      [ZL_CLASS_TINY] = ZL_TINY_CHUNK_SIZE,
      [ZL_CLASS_SMALL] = ZL_SMALL_CHUNK_SIZE,
      [ZL_CLASS_MID] = ZL_MID_CHUNK_SIZE,
      [ZL_CLASS_LARGE] = ZL_LARGE_CHUNK_SIZE,
      [ZL_CLASS_SLAB] = ZL_SLAB_SIZE,
    };
    return sizes[class_];
}

/* Gives a pool new blocks, as `get` of core/shm does. */
static void *mapped (uint32_t class_)
{
    size_t size = block_size (class_);
    uint8_t *region = mmap (NULL, THIRST * size, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require (region != MAP_FAILED, "no memory");
    for (int i = THIRST - 1; i >= 0; i--) {
        void *block = region + (size_t) i * size;
        if (class_ == ZL_CLASS_SLAB) {
            ((zl_slab *) block)->class_ = class_;
            ((zl_slab *) block)->size = size;
        } else {
            ((zl_chunk *) block)->class_ = class_;
            ((zl_chunk *) block)->cap = (uint32_t) (size - ZL_HEADER_SIZE);
            ((zl_chunk *) block)->size = size;
        }
        if (i > 0)
            pool_push (&pools[class_], block);
    }
    return region;
}

static zl_slab *new_slab (void)
{
    zl_slab *slab = pool_pop (&pools[ZL_CLASS_SLAB]);
    if (!slab)
        slab = mapped (ZL_CLASS_SLAB);
    atomic_fetch_add (&pools[ZL_CLASS_SLAB].out, 1);
    atomic_store (&slab->next, NULL);
    atomic_store (&slab->refs, 1);
    return slab;
}

/* --------------------------------------------------------------- receiving */

static owner *owner_of_socket (const zl_queues *k)
{
    for (int i = 0; i < owner_count; i++)
        if (owners[i].socket == k)
            return &owners[i];
    return NULL;
}

/* Inbox.Push of a run; wakes the receiver that it finds asleep. */
static void push_run (zl_queues *k, zl_run *r)
{
    void *old = atomic_load (&k->rx_inbox.head);
    bool asleep;
    do {
        asleep = old == (void *) &k->rx_inbox;
        atomic_store_explicit (&r->run_head.next, asleep ? NULL : old,
                               memory_order_relaxed);
    } while (!atomic_compare_exchange_weak (&k->rx_inbox.head, &old, r));
    if (asleep)
        sem_post (&owner_of_socket (k)->runs);
}

/* The shard's slab with room for need bytes behind the header of a run. */
static uint8_t *space (size_t need)
{
    if (filled && atomic_load (&filled->refs) == 1)
        fill_pos = 0; /* all of it was taken */
    if (!filled || ZL_SLAB_SIZE - ZL_HEADER_SIZE - fill_pos < ZL_HEADER_SIZE + need) {
        if (filled)
            zl_slab_release (filled, 1);
        filled = new_slab ();
        fill_pos = 0;
    }
    return (uint8_t *) filled + ZL_HEADER_SIZE + fill_pos;
}

static bool has_rx_room (const peer *p)
{
    return (uint32_t) atomic_load (&p->session->rx_queued) < RCVHWM;
}

static bool throttled (const peer *p)
{
    return atomic_load (&p->socket->rx_waiting) >= THROTTLE;
}

/* Conn.park. */
static void park (peer *p)
{
    bool stalled = false, low = false;
    p->parked = true;
    atomic_fetch_add (&shard_parks, 1);
    for (;;) {
        bool full = !has_rx_room (p), much = throttled (p);
        if (full && !stalled) {
            stalled = true;
            atomic_store (&p->session->rx_stalled, 1 + RCVHWM / 2);
        } else if (much && !low) {
            low = true;
            atomic_store (&p->socket->rx_low, THROTTLE / 2);
            atomic_store (&p->socket->rx_throttled, 1);
        } else {
            if (!full && !much)
                atomic_store (&unpark, true);
            return;
        }
    }
}

/* Hands the frames of a chunk to the receiver, as one run. */
static void deliver (peer *p, const zl_chunk *c)
{
    uint8_t *at = space (c->end);
    zl_run *r = (zl_run *) at;
    memcpy (at + ZL_HEADER_SIZE, (const uint8_t *) c + ZL_HEADER_SIZE, c->end);
    r->run_head.msgs = c->msgs;
    r->run_head.kind = ZL_RUN_DATA;
    r->session = p->session;
    r->slab = filled;
    r->data = at + ZL_HEADER_SIZE;
    r->size = c->end;
    r->text = 0;
    fill_pos += (ZL_HEADER_SIZE + c->end + 63) & ~(uint64_t) 63;
    atomic_fetch_add (&filled->refs, 1);
    atomic_fetch_add (&p->session->rx_queued, weight_of (r));
    atomic_fetch_add (&p->socket->rx_waiting, (int64_t) c->end);
    push_run (p->socket, r);
}

/* ----------------------------------------------------------------- sending */

/* Shard.flush: takes the main queue. */
static void take_main (peer *p)
{
    zl_session *s = p->session;
    lock_session (s);
    s->tx_dirty = 0;
    zl_chunk *head = s->tx_head, *tail = s->tx_tail;
    s->tx_head = s->tx_tail = NULL;
    s->tx_hint = head == tail && head && head->end < ZL_TINY_CHUNK_SIZE - ZL_HEADER_SIZE
                   ? ZL_CLASS_TINY
                   : ZL_CLASS_MID;
    unlock_session (s);
    if (!head)
        return;
    if (p->tail)
        atomic_store (&p->tail->next, head);
    else
        p->head = head;
    p->tail = tail;
}

/* "Writes" the flush queue: the peer sends all of it back. */
static void write_out (peer *p)
{
    while (p->head && !p->parked) {
        zl_chunk *c = p->head;
        if (!has_rx_room (p) || throttled (p)) {
            park (p);
            return;
        }
        deliver (p, c);
        p->head = atomic_load (&c->next);
        if (!p->head)
            p->tail = NULL;
        atomic_store (&p->session->tx_done,
                      atomic_load (&p->session->tx_done) + c->msgs);
        atomic_fetch_add (&shard_taken, c->msgs);
        atomic_fetch_sub (&p->session->memory, (int64_t) c->size);
        pool_push (&pools[c->class_], c);
    }
}

static peer *peer_of (const zl_session *s)
{
    for (int i = 0; i < peer_count; i++)
        if (peers[i].session == s)
            return &peers[i];
    return NULL;
}

/* Wakeup.TakeDirty and a flush of each. */
static bool flush_dirty (void)
{
    if (inbox_empty (&shard.dirty))
        return false;
    zl_session *s = atomic_exchange (&shard.dirty.head, NULL);
    while (s) {
        zl_session *next = atomic_load (&s->dirty_next);
        take_main (peer_of (s));
        write_out (peer_of (s));
        s = next;
    }
    return true;
}

static void read_parked (void)
{
    for (int i = 0; i < peer_count; i++)
        if (peers[i].parked) {
            peers[i].parked = false;
            atomic_store (&peers[i].session->rx_stalled, 0);
            write_out (&peers[i]);
        }
}

/* Shard.sleep. */
static void sleep_in_kernel (void)
{
    void *awake = NULL;
    uint64_t count;
    if (!atomic_compare_exchange_strong (&shard.dirty.head, &awake, &shard.dirty))
        return;
    if (!atomic_load (&unpark) && !atomic_load (&over))
        require (read (shard.wake_fd, &count, sizeof count) == sizeof count,
                 "no eventfd");
    void *asleep = &shard.dirty;
    atomic_compare_exchange_strong (&shard.dirty.head, &asleep, NULL);
}

static void *run (void *arg)
{
    while (!atomic_load (&over)) {
        bool worked = flush_dirty ();
        if (atomic_exchange (&unpark, false)) {
            read_parked ();
            worked = true;
        }
        if (!worked)
            sleep_in_kernel ();
    }
    return arg;
}

static void nudge (void)
{
    void *asleep = &shard.dirty;
    if (atomic_compare_exchange_strong (&shard.dirty.head, &asleep, NULL))
        zl_wake_driver (&shard);
}

/* ------------------------------------------------------------------ set-up */

void shard_begin (void)
{
    shard.wake_fd = eventfd (0, EFD_CLOEXEC);
    atomic_store (&shard.driver, ZL_DRIVER_NONE + 1);
}

void shard_start (void)
{
    require (pthread_create (&thread, NULL, run, NULL) == 0, "no thread");
}

void shard_end (void)
{
    atomic_store (&over, true);
    nudge ();
    pthread_join (thread, NULL);
}

void *shard_socket (bool fast, int count)
{
    static uint64_t generation = 5;
    zl_queues *k = calloc (1, sizeof *k);
    zl_table *t = calloc (1, sizeof *t + PEER_MAX * sizeof t->slots[0]);
    uint32_t at = (uint32_t) owner_count + 1;
    uint64_t handle = ++generation << ZL_SLOT_BITS | at;
    t->mask = PEER_MAX - 1;
    k->shard = &shard;
    k->rx_phase = k->tx_phase = fast ? ZL_PHASE_FAST : ZL_PHASE_ID;
    for (uint32_t rid = 1; rid <= (uint32_t) count; rid++) {
        zl_session *s = calloc (1, sizeof *s);
        s->rid = rid;
        s->owner = handle;
        s->shard = &shard;
        s->tx_state = ZL_TX_OPEN;
        s->tx_hwm = SNDHWM;
        s->tx_limit = INT32_MAX; /* no bound */
        store_be32 (s->id4, rid);
        s->id = s->id4;
        s->id_len = 4;
        atomic_store (&t->slots[rid & t->mask], s);
        peers[peer_count++] = (peer) {s, k, NULL, NULL, false};
    }
    atomic_store (&k->table, t);
    atomic_store (&k->handle, handle);
    sem_init (&owners[owner_count].runs, 0, 0);
    owners[owner_count++].socket = k;
    atomic_store (&slots[at], k);
    return (void *) (uintptr_t) handle;
}

zl_session *shard_session (void *handle, uint32_t rid)
{
    zl_table *t = atomic_load (&lookup_socket (handle)->table);
    return atomic_load (&t->slots[rid & t->mask]);
}

/* ---------------------------------------------------------- what Go answers */

int zgo_await (uintptr_t handle, _Bool fast, int flags)
{
    (void) fast;
    zl_queues *k = lookup_socket ((void *) handle);
    void *awake = NULL;
    if (!inbox_empty (&k->rx_inbox))
        return 0;
    if (flags & ZLINK_DONTWAIT)
        return -EAGAIN;
    if (atomic_compare_exchange_strong (&k->rx_inbox.head, &awake, &k->rx_inbox))
        while (sem_wait (&owner_of_socket (k)->runs) != 0)
            ;
    return 0;
}

void zgo_resume (uintptr_t handle)
{
    atomic_fetch_add (&shard_resumes, 1);
    atomic_store (&lookup_socket ((void *) handle)->rx_throttled, 0);
    atomic_store (&unpark, true);
    nudge ();
}

/* Puts a message into a queue, however long that takes. */
static int send_slowly (void *handle, uint32_t rid, const void *data, size_t size)
{
    uint32_t class_ = ZL_CLASS_TINY;
    zl_queues *k = lookup_socket (handle);
    zl_session *s = shard_session (handle, rid);
    while (class_ < ZL_CLASS_LARGE && block_size (class_) - ZL_HEADER_SIZE < 4 + size)
        class_++;
    atomic_fetch_add (&shard_slow_sends, 1);
    for (;; sched_yield ()) {
        bool done = false, dry = false;
        lock_session (s);
        if (!session_names (s, handle, rid)) {
            unlock_session (s);
            return -EHOSTUNREACH;
        }
        if (put_message (k, s, data, size)) {
            owe_flush (s);
            done = true;
        } else
            dry = has_room (s);
        unlock_session (s);
        if (done)
            return (int) size;
        if (dry)
            pool_push (&pools[class_], mapped (class_));
    }
}

int zgo_send_batch (uintptr_t handle, zl_parcel *p, size_t count, int flags)
{
    (void) flags;
    for (size_t i = 0; i < count; i++) {
        require (count == 1 || p[i].size >= ZL_OWNED_MIN, "a batch with ordinary messages");
        int result = send_slowly ((void *) handle, p[i].routing_id, p[i].data, p[i].size);
        if (result < 0)
            return i > 0 ? (int) i : result;
        if (p[i].owner)
            zl_owner_release (p[i].owner);
    }
    return (int) count;
}

int zgo_send (uintptr_t handle, void *data, size_t size, int flags)
{
    zl_queues *k = lookup_socket ((void *) handle);
    if (k->tx_phase == ZL_PHASE_BODY) {
        k->tx_phase = ZL_PHASE_ID;
        return send_slowly ((void *) handle, k->tx_rid, data, size);
    }
    require (size == 4 && (flags & ZLINK_SNDMORE), "no id frame");
    k->tx_rid = load_be32 (data);
    k->tx_session = shard_session ((void *) handle, k->tx_rid);
    k->tx_phase = ZL_PHASE_BODY;
    return (int) size;
}

/* What this shard's sockets never need. */
static int unused (void)
{
    require (false, "a call of Go that nobody here needs");
    return -1;
}
int64_t zgo_recv (uintptr_t h, void *buf, size_t size, int flags)
{
    return (void) h, (void) buf, (void) size, (void) flags, unused ();
}
int64_t zgo_msg_recv (uintptr_t h, void *msg, int flags)
{
    return (void) h, (void) msg, (void) flags, unused ();
}
int zgo_recv_batch (uintptr_t h, void *msgs, size_t room, int flags)
{
    return (void) h, (void) msgs, (void) room, (void) flags, unused ();
}
void zgo_flush (uintptr_t h) { (void) h, unused (); }
void zgo_free_session (void *s) { (void) s, unused (); }
void zgo_event_taken (uintptr_t h, void *s) { (void) h, (void) s, unused (); }
int zgo_close_peer (uintptr_t h, uint32_t rid) { return (void) h, (void) rid, unused (); }
int zgo_close_peer_with (uintptr_t h, uint32_t rid, int code, void *why, size_t n)
{
    return (void) h, (void) rid, (void) code, (void) why, (void) n, unused ();
}
void zgo_release_card (void *card) { (void) card, unused (); }
int zgo_accept_peer (uintptr_t h, uint32_t rid) { return (void) h, (void) rid, unused (); }
int zgo_refuse_peer (uintptr_t h, uint32_t rid, int status, void *text, size_t n)
{
    return (void) h, (void) rid, (void) status, (void) text, (void) n, unused ();
}
int zgo_set_peer_data (uintptr_t h, uint32_t rid, uintptr_t data, uintptr_t ffn, uintptr_t hint)
{
    return (void) h, (void) rid, (void) data, (void) ffn, (void) hint, unused ();
}
int zgo_peer_gets (uintptr_t h, uint32_t rid, char *name, void *to, size_t room)
{
    return (void) h, (void) rid, (void) name, (void) to, (void) room, unused ();
}
void zgo_close_reason (void *s, void *to, size_t room) { (void) s, (void) to, (void) room, unused (); }
int zgo_abort_peer (uintptr_t h, uint32_t rid) { return (void) h, (void) rid, unused (); }
int zgo_drain (uintptr_t h, int spread, int code) { return (void) h, (void) spread, (void) code, unused (); }
int zgo_stats (uintptr_t h, size_t size, zl_stats *out)
{
    return (void) h, (void) size, (void) out, unused ();
}
int zgo_setsockopt (uintptr_t h, int option, void *value, size_t size)
{
    return (void) h, (void) option, (void) value, (void) size, unused ();
}
int zgo_getsockopt (uintptr_t h, int option, void *value, size_t size)
{
    return (void) h, (void) option, (void) value, (void) size, unused ();
}

/* Long bodies are copied, so in COMPAT their owner keeps them. */
int zgo_msg_send (uintptr_t h, zl_parcel *p, int flags)
{
    int result = sends_fast (lookup_socket ((void *) h)) ? zgo_send_batch (h, p, 1, flags)
                                                         : zgo_send (h, p->data, p->size, flags);
    if (result < 0)
        return result;
    return p->owner && sends_fast (lookup_socket ((void *) h));
}

int zgo_send_any (zl_parcel *p, int flags)
{
    (void) p, (void) flags;
    return -ENOTSUP;
}
