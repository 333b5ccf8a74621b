/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Calls of the data path by the full rules, which are in Go (rules.go). The short ways of
 * frames.c, fast.c and msg.c leave unusual cases to them; in a build with ZLINK_NO_HOT they
 * do every call. Only C knows how a message lies in a zlink_msg_t, so Go passes each piece
 * that it receives to a function here that fills one.
 */
#include "msg.h"
#include "path.h"

enum
{
    PARCELS = 64 /* the most that Go gets at a time */
};

/* Converts Go's result for a size. */
static int sized (int64_t size)
{
    return size < 0 ? zl_result ((int) size) : clamped ((size_t) size);
}

/* ---------------------------------------------------------------- receive */

int zl_recv_by_rules (void *handle, void *buf, size_t len, int flags)
{
    ZL_ENTER (-1);
    return sized (ZL_GO (recv) ((uintptr_t) handle, buf, len, flags));
}

int zl_msg_recv_by_rules (zlink_msg_t *msg, void *handle, int flags)
{
    ZL_ENTER (-1);
    return sized (ZL_GO (msg_recv) ((uintptr_t) handle, msg, flags));
}

int zl_recv_batch_by_rules (void *handle, zlink_msg_t *msgs, size_t n, int flags)
{
    ZL_ENTER (-1);
    return zl_result (ZL_GO (recv_batch) ((uintptr_t) handle, msgs, n, flags));
}

/* ------------------------------------------------------------------- send */

/* Slab.Discharge: a long message that is sent on is not kept any more. Returns what is to be
 * charged again if it was not sent. */
static int64_t discharge (const message *m)
{
    if (m->kind != KIND_SLAB || m->u.view.slab->need == 0)
        return 0;
    zl_slab *slab = m->u.view.slab;
    int64_t charged = atomic_exchange (&slab->charged, 0);
    if (charged)
        zl_credit (atomic_load (&slab->account), charged);
    return charged;
}

static void recharge (const message *m, int64_t charged)
{
    if (charged == 0)
        return;
    zl_slab *slab = m->u.view.slab;
    /* In this order: another who has the slab may discharge it at once. */
    atomic_fetch_add (&atomic_load (&slab->account)->kept, charged);
    atomic_store (&slab->charged, charged);
}

/* Describes a valid message. */
static zl_parcel parcel_of (const message *m)
{
    const size_t size = message_size (m);
    size_t header_size;
    const void *header = zlink_msg_header ((const zlink_msg_t *) m, &header_size);
    return (zl_parcel) {
      .data = message_data (m),
      .size = for_go (size),
      .owner = size >= ZL_OWNED_MIN ? owner_of (m) : NULL,
      .header = header,
      .header_size = header_size,
      .routing_id = m->routing_id,
      .text = is_text (m),
    };
}

/* Sends a valid message by the full rules: on a socket, or, with any, to a peer of any socket. */
static int send_one (zlink_msg_t *msg, void *handle, bool any, int flags)
{
    message *m = as_message (msg);
    size_t size = message_size (m);
    ZL_ENTER (-1);
    zl_parcel p = parcel_of (m);
    void *owner = p.owner;
    int64_t charged = owner ? discharge (m) : 0;
    int taken = any ? ZL_GO (send_any) (&p, flags)
                    : ZL_GO (msg_send) ((uintptr_t) handle, &p, flags);
    if (taken <= 0)
        recharge (m, charged);
    if (taken < 0)
        return zl_result (taken);
    end_sent (m, taken);
    return clamped (size);
}

int zl_msg_send_by_rules (zlink_msg_t *msg, void *handle, int flags)
{
    return send_one (msg, handle, false, flags);
}

int zl_send_any_by_rules (zlink_msg_t *msg, int flags)
{
    return send_one (msg, NULL, true, flags);
}

/* Describes the valid messages at the start of msgs, up to n and PARCELS. */
static size_t describe (zl_parcel *parcels, const zlink_msg_t *msgs, size_t n)
{
    size_t count = 0;
    for (; count < n && count < PARCELS; count++) {
        const message *m = valid_message (&msgs[count]);
        if (!m)
            break;
        parcels[count] = parcel_of (m);
    }
    return count;
}

static int send_parcels (void *handle, zl_parcel *parcels, size_t count, int flags)
{
    if (!zl_enter ())
        return -1;
    return zl_result (ZL_GO (send_batch) ((uintptr_t) handle, parcels, count, flags));
}

int zl_send_batch_by_rules (void *handle, zlink_msg_t *msgs, size_t n, int flags)
{
    zl_parcel parcels[PARCELS];
    int64_t charged[PARCELS];
    size_t sent = 0, count;
    do {
        count = describe (parcels, msgs + sent, n - sent);
        for (size_t i = 0; i < count; i++)
            charged[i] = parcels[i].owner ? discharge (as_message (&msgs[sent + i])) : 0;
        int result = count == 0 ? zl_fail (EFAULT) : send_parcels (handle, parcels, count, flags);
        for (size_t i = result < 0 ? 0 : (size_t) result; i < count; i++)
            recharge (as_message (&msgs[sent + i]), charged[i]);
        if (result < 0)
            return sent > 0 ? (int) sent : -1;
        for (int i = 0; i < result; i++)
            end_sent (as_message (&msgs[sent++]), parcels[i].owner != NULL);
        count -= (size_t) result;
    } while (count == 0 && sent < n);
    return (int) sent;
}
