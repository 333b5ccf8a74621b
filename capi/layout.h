/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The structures of core/shm as C sees them. layout_test.go compares every
 * offset with the Go structs. The comments there hold here too.
 */
#ifndef ZLINK_LAYOUT_H
#define ZLINK_LAYOUT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum
{
    ZL_HEADER_SIZE = 64,
    ZL_CLASS_TINY = 0,
    ZL_CLASS_SMALL = 1,
    ZL_CLASS_MID = 2,
    ZL_CLASS_LARGE = 3,
    ZL_CLASS_SLAB = 4,
    ZL_CLASS_DEDICATED = 6,
    ZL_TINY_CAP = (1 << 10) - ZL_HEADER_SIZE,
    ZL_SMALL_CAP = (4 << 10) - ZL_HEADER_SIZE,
    ZL_MID_CAP = (16 << 10) - ZL_HEADER_SIZE,
    ZL_LARGE_CAP = (64 << 10) - ZL_HEADER_SIZE,
    ZL_RUN_DATA = 0,
    ZL_RUN_CONNECTED = 1,
    ZL_RUN_DISCONNECTED = 2,
    ZL_DOWN_REASON = 1 << 16,
    ZL_TX_OPEN = 1,
    ZL_DIRTY_LISTED = 1,
    ZL_DIRTY_HELD = 2,
    ZL_DRIVER_NONE = 0,
    ZL_PHASE_ID = 0,
    ZL_PHASE_BODY = 1,
    ZL_PHASE_FAST = 3,
    ZL_MAX_VIEW_SLABS = 32
};

typedef struct zl_slab zl_slab;
typedef struct zl_run zl_run;
typedef struct zl_chunk zl_chunk;
typedef struct zl_session zl_session;
typedef struct zl_wakeup zl_wakeup;
typedef struct zl_queues zl_queues;
typedef struct zl_table zl_table;

/* A word that threads push nodes to; see core/shm/inbox.go. */
typedef _Atomic (void *) zl_inbox;

typedef struct zl_run_head
{
    zl_run *next;
    zl_session *session;
    uint32_t msgs; /* of a disconnect event: ZL_DOWN_REASON and the code below it */
    uint32_t kind;
} zl_run_head;

struct zl_run
{
    zl_run_head run_head;
    zl_slab *slab;
    uint8_t *data;
    uint64_t size;
};

struct zl_slab
{
    _Atomic (void *) next;
    _Atomic int32_t refs;
    uint32_t class_;
    uint64_t size;
    uint8_t pad0[8];
    uint64_t have;
    uint64_t need;
    uint8_t pad1[16];
};

struct zl_chunk
{
    _Atomic (void *) next;
    uint32_t class_;
    uint32_t cap;
    uint32_t start;
    uint32_t end;
    uint32_t msgs;
    uint32_t open;
    void *ext;
    uint32_t ext_len;
    uint32_t ext_all;
    void *owner;
    uint64_t size;
};

struct zl_session
{
    uint32_t rid;
    _Atomic uint32_t tx_lock;
    _Atomic uint32_t tx_waiters;
    uint32_t tx_hwm;
    uint32_t tx_queued;
    _Atomic uint32_t tx_done;
    uint8_t tx_state;
    uint8_t tx_dirty;
    uint8_t tx_hint;
    uint8_t pad0;
    uint32_t tx_room;
    zl_chunk *tx_head;
    zl_chunk *tx_tail;
    zl_wakeup *shard;
    void *dirty_next;

    uint64_t tx_bytes;
    _Atomic int64_t memory;

    _Atomic int32_t rx_queued;
    _Atomic uint32_t rx_stalled;
    int32_t rx_low;
    _Atomic int32_t refs;
    uint64_t owner;
    uint8_t *id;
    uint8_t id4[4];
    int32_t fd;
    uint8_t id_len;
    uint8_t ip_kind;
    uint16_t port;
    uint32_t zone;
    uint8_t ip[16];

    zl_run_head up;
    zl_run_head down;
};

struct zl_table
{
    uint64_t mask;
    _Atomic (zl_session *) slots[];
};

struct zl_queues
{
    _Atomic uint64_t handle;
    _Atomic (zl_table *) table;
    _Atomic (zl_wakeup *) shard;
    uint64_t serial;
    uint32_t last_id;
    uint8_t pad0[28];

    zl_run *rx_run;
    zl_run *rx_list;
    uint8_t *rx_pos;
    uint64_t rx_left;
    uint32_t rx_phase;
    uint32_t rx_more;
    _Atomic uint32_t rx_hand;
    uint8_t pad1[20];

    zl_session *tx_session;
    uint32_t tx_rid;
    uint32_t tx_phase;
    uint8_t pad2[48];

    zl_inbox rx_inbox;
    _Atomic int64_t rx_waiting;
    _Atomic uint32_t rx_throttled;
    _Atomic uint32_t rx_low;
    _Atomic int32_t rx_events;
    uint8_t pad3[36];

    uint64_t inline_mask;
    void *inline_slots[4];
    uint8_t pad4[24];
};

struct zl_wakeup
{
    zl_inbox dirty;
    _Atomic uint32_t driver;
    int32_t wake_fd;
    uint8_t pad[48];
};

/* The free blocks of a class; see core/shm/pool.go. */
typedef struct zl_pool
{
    _Atomic uint64_t head;
    _Atomic int64_t out;
    uint8_t pad[48];
} zl_pool;

#endif
