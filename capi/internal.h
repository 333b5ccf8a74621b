/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The C layer of libzlink.so: what its files share. frames.c and fast.c do the ordinary
 * calls of the data path, with the queues of path.h. msg.c is zlink_msg_*. api.c, sockopt.c,
 * poll.c and watch.c turn every other call into one call of Go (the zgo_ functions, which
 * return -errno on failure).
 */
#ifndef ZLINK_INTERNAL_H
#define ZLINK_INTERNAL_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "layout.h"

/* Live sockets by the low bits of their handle; Go writes them. A handle is a number that
 * cannot be an address: a tag, a generation, a slot. */
enum
{
    ZL_SLOT_BITS = 20
};
extern _Atomic (zl_queues *) *zl_slots;
void zl_set_slot (uint32_t at, zl_queues *socket);

/* The free blocks, from Go. */
extern zl_pool *zl_pools;

/* Which socket has a routing id, from Go; NULL before. */
extern _Atomic (zl_id_directory *) zl_ids;

/* Set in a child of fork, where Go's threads are missing. */
extern bool zl_forked;

/* The longest value of any option. A longer length is a caller's mistake. */
enum
{
    ZL_OPTION_MAX = 64 << 10
};

#define ZL_LIKELY(x) __builtin_expect (!!(x), 1)
#define ZL_UNLIKELY(x) __builtin_expect (!!(x), 0)

/* Sets errno, to ENOTSUP in a forked child, clears the thread's error detail, and returns
 * -1. */
int zl_fail (int error);

/* Turns the result of a zgo_ function into a C one: -errno becomes -1. */
int zl_result (int result);

/* The thread's error detail; Go sets it before it returns -errno. */
void zl_set_detail (const unsigned char *text, size_t size);

/* Go calls this when it is completely initialised. */
void zl_go_is_up (zl_pool *pools, zl_id_directory *ids);

/* Returns pages of the library that may not be needed again to the system (resident.c). */
void zl_release_pages (void);

/* The gate (loading.c). ZL_ENTER begins every call that may need Go. It starts Go if it is
 * not up, and fails where Go cannot be had, as in a forked child. ZL_GO (name) is the Go
 * function zgo_name, after it has prepared the thread to enter Go. There is no other way to
 * a Go function. Code that has found a live socket needs no ZL_ENTER. */
#define ZL_ENTER(failure)               \
    do {                                \
        if (ZL_UNLIKELY (!zl_enter ())) \
            return failure;             \
    } while (0)
#define ZL_GO(name) (zl_pass (), zgo_##name)

/* Only these two macros call the following two functions. */
bool zl_enter (void);
void zl_pass (void);

/* One step of a receive: the place of the next frame. */
typedef struct zl_frame
{
    uint8_t *data;
    size_t size;
    zl_session *session;
    zl_run *done; /* finish it after the use of data; NULL: not yet */
    zl_slab *slab; /* where data lies; NULL: in the session, or static */
    uint32_t text; /* not 0: data is text of WebSocket */
} zl_frame;

/* Stores the next frame of k, and waits as flags say. handle names k, and k receives frames.
 * false with errno. */
bool zl_next_frame (void *handle, zl_queues *k, int flags, zl_frame *frame);

/* The part of await_run that needs Go. */
bool zl_await_run (void *handle, zl_queues *k, int flags);

/* Calls by the full rules, which are in Go (rules.c). */
int zl_recv_by_rules (void *handle, void *buf, size_t len, int flags);

/* A message in the form that Go gets. */
typedef struct zl_parcel
{
    void *data;
    size_t size;
    void *owner; /* owner of the reference that goes with the bytes; NULL: they are copied */
    const void *header;
    size_t header_size; /* 0: it has none */
    uint32_t routing_id;
    uint32_t text; /* not 0: it is text */
} zl_parcel;

/* A message for many peers in the form that Go gets. */
typedef struct zl_cast
{
    void *data;
    size_t size;
    const void *header;
    size_t header_size; /* 0: it has none */
    uint64_t key;
    uint32_t except; /* a peer that does not get it; 0: none */
    uint32_t keyed;  /* not 0: it has the key */
    uint32_t text;   /* not 0: it is text */
} zl_cast;

/* The rare part of taking a session's lock, and of releasing it to a waiter
 * (core/shm/lock.go). */
void zl_lock_slow (zl_session *session);
void zl_wake_waiter (zl_session *session);

/* Ends the sleep of a shard's driver (Wakeup.Wake). Leaves errno unchanged. */
void zl_wake_driver (zl_wakeup *shard);

/* Returns a run to its shard. */
void zl_finish_run (void *handle, zl_queues *socket, zl_run *run);

/* Drops references; the last one frees the slab. */
void zl_slab_release (zl_slab *slab, int32_t refs);
void zl_credit (zl_account *account, int64_t bytes);

/* Drops a reference to what zlink_msg_send passed on without copying: a message's content,
 * or, if the lowest bit is set, a slab. */
void zl_owner_release (void *owner);

/* Calls a zlink_log_fn. */
void zl_log (uintptr_t fn, int level, const char *line, uintptr_t arg);

/* Calls a zlink_free_fn for what the application gave for a peer. */
void zl_free_given (uintptr_t ffn, uintptr_t data, uintptr_t hint);

#endif
