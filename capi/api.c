/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The calls that consist of one call of Go, and the state that C keeps for them.
 */
#include <pthread.h>
#include <string.h>

#include "capabilities.h"
#include "internal.h"
#include "start.h"
#include "zlink.h"
#include "_cgo_export.h"

enum
{
    SLOTS = 1 << ZL_SLOT_BITS,
    DETAIL_MAX = 512
};

/* Pages of these that are never written to take no memory. */
static _Atomic (zl_queues *) slots[SLOTS];
static _Atomic (zl_queues *) no_slots[SLOTS];

_Atomic (zl_queues *) *zl_slots = slots;
zl_pool *zl_pools;
_Atomic (zl_id_directory *) zl_ids;
bool zl_forked;

void zl_set_slot (uint32_t at, zl_queues *socket)
{
    atomic_store (&slots[at], socket);
}

static _Thread_local char detail[DETAIL_MAX];

int zl_fail (int error)
{
    detail[0] = '\0';
    errno = zl_forked ? ENOTSUP : error; /* whatever else is wrong */
    return -1;
}

int zl_result (int result)
{
    if (result >= 0)
        return result;
    errno = -result;
    return -1;
}

void zl_set_detail (const unsigned char *text, size_t size)
{
    size_t n = size < DETAIL_MAX - 1 ? size : DETAIL_MAX - 1;
    memcpy (detail, text, n);
    detail[n] = '\0';
}

const char *zlink_error_detail (void)
{
    return detail;
}

/* Go's package runtime/cgo learns from this pointer that a thread which has called Go has
 * ended. It is weak because cgo links this file for itself, too. */
extern void (*x_crosscall2_ptr) (void) __attribute__ ((weak));

/* A forked child has none of Go's threads, so every handle ends there. A thread that ends
 * must not enter Go either, because it could wait for those threads. If the parent had not
 * begun to start Go, the child can do everything that the parent could. */
static void in_child (void)
{
    if (!zl_started ())
        return;
    zl_forked = true;
    zl_slots = no_slots;
    x_crosscall2_ptr = NULL;
}

__attribute__ ((constructor)) static void watch_fork (void)
{
    pthread_atfork (NULL, NULL, in_child);
}

int zlink_has (const char *capability)
{
    static const char *const capabilities[] = {"stream", ZL_TRANSPORTS};

    if (!capability)
        return 0;
#ifdef ZLINK_CHECK /* tests ask when they wait in vain */
    if (strcmp (capability, "transitions") == 0) {
        ZL_ENTER (0);
        ZL_GO (print_transitions) ();
        return 1;
    }
#endif
    for (size_t i = 0; i < sizeof capabilities / sizeof *capabilities; i++)
        if (strcmp (capability, capabilities[i]) == 0)
            return 1;
    return 0;
}

/* Turns a handle of Go into a pointer. 0, with Go's -errno in *error, becomes NULL. */
static void *handle_or_null (uintptr_t handle, int error)
{
    if (handle == 0)
        zl_result (error);
    return (void *) handle;
}

void *zlink_ctx_new (void)
{
    ZL_ENTER (NULL);
    int error = 0;
    uintptr_t handle = ZL_GO (ctx_new) (&error);
    return handle_or_null (handle, error);
}

int zlink_ctx_term (void *context)
{
    ZL_ENTER (-1);
    return zl_result (ZL_GO (ctx_term) ((uintptr_t) context));
}

int zlink_ctx_shutdown (void *context)
{
    ZL_ENTER (-1);
    return zl_result (ZL_GO (ctx_shutdown) ((uintptr_t) context));
}

int zlink_ctx_set (void *context, int option, int value)
{
    ZL_ENTER (-1);
    return zl_result (ZL_GO (ctx_set) ((uintptr_t) context, option, value));
}

int zlink_ctx_set_admin (void *context, const char *path)
{
    size_t size = path ? strnlen (path, ZL_OPTION_MAX) : 0;
    ZL_ENTER (-1);
    return zl_result (ZL_GO (ctx_set_admin) ((uintptr_t) context, (void *) path, size));
}

int zlink_ctx_get (void *context, int option)
{
    ZL_ENTER (-1);
    int value = 0; /* may be -1, which is no error then */
    int result = ZL_GO (ctx_get) ((uintptr_t) context, option, &value);
    return result < 0 ? zl_result (result) : value;
}

void *zlink_socket (void *context, int type)
{
    ZL_ENTER (NULL);
    int error = 0;
    uintptr_t handle = ZL_GO (socket) ((uintptr_t) context, type, &error);
    return handle_or_null (handle, error);
}

int zlink_close (void *socket)
{
    ZL_ENTER (-1);
    return zl_result (ZL_GO (close) ((uintptr_t) socket));
}

int zlink_bind (void *socket, const char *endpoint)
{
    ZL_ENTER (-1);
    return zl_result (ZL_GO (bind) ((uintptr_t) socket, (char *) endpoint));
}

int zlink_connect (void *socket, const char *endpoint)
{
    ZL_ENTER (-1);
    return zl_result (ZL_GO (connect) ((uintptr_t) socket, (char *) endpoint));
}

int zlink_unbind (void *socket, const char *endpoint)
{
    ZL_ENTER (-1);
    return zl_result (ZL_GO (unbind) ((uintptr_t) socket, (char *) endpoint));
}

int zlink_disconnect (void *socket, const char *endpoint)
{
    ZL_ENTER (-1);
    return zl_result (ZL_GO (disconnect) ((uintptr_t) socket, (char *) endpoint));
}
