/* SPDX-License-Identifier: MPL-2.0 */
/* One message for many peers: all of it is Go's (multicast.go). */
#include "msg.h"
#include "path.h"

enum
{
    /* One more than the longest name of a group, to see that a name is too long. */
    NAME_ROOM = ZL_GROUP_MOST + 1
};

/* What a call of Go gets for a message; msg is valid. */
static zl_cast cast_of (const zlink_msg_t *msg, int flags)
{
    const message *m = valid_message (msg);
    size_t header_size;
    const void *header = zlink_msg_header (msg, &header_size);
    return (zl_cast) {
      .data = message_data (m),
      .size = for_go (message_size (m)),
      .header = header,
      .header_size = header_size,
      .except = flags & ZLINK_STREAM_EXCEPT ? m->routing_id : 0,
      .text = is_text (m),
    };
}

/* Converts Go's result, and ends a message that was taken. */
static int casted (zlink_msg_t *msg, int result)
{
    if (result < 0)
        return zl_result (result);
    end_sent (as_message (msg), false);
    return result;
}

int zlink_stream_multicast (
  void *handle, const uint32_t *ids, size_t n, zlink_msg_t *msg, int flags, int *errors)
{
    if (!valid_message (msg) || (!ids && n > 0))
        return zl_fail (EFAULT);
    if (n > INT_MAX)
        return zl_fail (EINVAL);
    ZL_ENTER (-1);
    zl_cast cast = cast_of (msg, flags);
    return casted (msg, ZL_GO (multicast) ((uintptr_t) handle, (void *) ids, n, &cast, errors));
}

static int publish (void *handle, const char *group, zlink_msg_t *msg, zl_cast cast)
{
    ZL_ENTER (-1);
    return casted (msg, ZL_GO (publish) ((uintptr_t) handle, (void *) group,
                                         strnlen (group, NAME_ROOM), &cast));
}

int zlink_stream_publish (void *handle, const char *group, zlink_msg_t *msg, int flags)
{
    if (!valid_message (msg) || !group)
        return zl_fail (EFAULT);
    return publish (handle, group, msg, cast_of (msg, flags));
}

int zlink_stream_publish_key (
  void *handle, const char *group, zlink_msg_t *msg, uint64_t key, int flags)
{
    if (!valid_message (msg) || !group)
        return zl_fail (EFAULT);
    zl_cast cast = cast_of (msg, flags);
    cast.keyed = 1;
    cast.key = key;
    return publish (handle, group, msg, cast);
}

int zlink_stream_send_key (void *handle, zlink_msg_t *msg, uint64_t key, int flags)
{
    const message *m = valid_message (msg);
    (void) flags; /* it never waits */
    if (!m)
        return zl_fail (EFAULT);
    ZL_ENTER (-1);
    zl_cast cast = cast_of (msg, 0);
    cast.key = key;
    const size_t size = message_size (m);
    int result = ZL_GO (send_key) ((uintptr_t) handle, m->routing_id, &cast);
    return casted (msg, result) < 0 ? -1 : clamped (size);
}

int zlink_stream_join (void *handle, uint32_t routing_id, const char *group)
{
    if (!group)
        return zl_fail (EFAULT);
    ZL_ENTER (-1);
    return zl_result (ZL_GO (join) ((uintptr_t) handle, routing_id, (void *) group,
                                    strnlen (group, NAME_ROOM)));
}

int zlink_stream_leave (void *handle, uint32_t routing_id, const char *group)
{
    if (!group)
        return zl_fail (EFAULT);
    ZL_ENTER (-1);
    return zl_result (ZL_GO (leave) ((uintptr_t) handle, routing_id, (void *) group,
                                     strnlen (group, NAME_ROOM)));
}
