/* SPDX-License-Identifier: MPL-2.0 */
/* ZLINK_STREAM_PROFILE. */
#include "ztest.h"

/* A profile sets many options; later ones override it. */
static void sets_many_options (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    int64_t longest = 0;
    size_t size = sizeof longest;
    CHECK_EQ (zt_get_int (s, ZLINK_STREAM_PROFILE), ZLINK_STREAM_PROFILE_PRIVATE);
    zt_set_int (s, ZLINK_HANDSHAKE_IVL, 1);
    zt_set_int (s, ZLINK_STREAM_PROFILE, ZLINK_STREAM_PROFILE_PUBLIC);
    zt_set_int (s, ZLINK_STREAM_CLOSE_TIMEOUT, 7);
    CHECK_EQ (zt_get_int (s, ZLINK_STREAM_PROFILE), ZLINK_STREAM_PROFILE_PUBLIC);
    CHECK_EQ (zt_get_int (s, ZLINK_HANDSHAKE_IVL), 10000);
    CHECK_EQ (zt_get_int (s, ZLINK_STREAM_CLOSE_TIMEOUT), 7);
    CHECK_OK (zlink_getsockopt (s, ZLINK_MAXMSGSIZE, &longest, &size));
    CHECK_EQ (longest, 65536);
    for (int wrong = -1; wrong <= 2; wrong += 3)
        CHECK_FAIL (zlink_setsockopt (s, ZLINK_STREAM_PROFILE, &wrong, sizeof wrong), EINVAL);
    CHECK_STR (zlink_error_detail (), "socket option STREAM_PROFILE does not take the value 2");
    zt_set_int (s, ZLINK_STREAM_PROFILE, ZLINK_STREAM_PROFILE_PRIVATE);
    CHECK_EQ (zt_get_int (s, ZLINK_HANDSHAKE_IVL), 30000);
    CHECK_EQ (zt_get_int (s, ZLINK_STREAM_CLOSE_TIMEOUT), 10000);
    zt_close (s);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (sets_many_options),
};

ZT_MAIN (cases)
