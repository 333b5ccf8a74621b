/* SPDX-License-Identifier: MPL-2.0 */
/* Messages as objects, without a socket. */
#include "ztest.h"

#include <stdalign.h>

_Static_assert (sizeof (zlink_msg_t) == 64, "size of zlink_msg_t");
_Static_assert (alignof (zlink_msg_t) == alignof (void *),
                "alignment of zlink_msg_t");

#define LONG_BYTES (100 * 1024)

/* Counts the calls of the free function, which get the counter as hint. */
static void count_free (void *data, void *hint)
{
    free (data);
    atomic_fetch_add ((atomic_int *) hint, 1);
}

static void *filled (size_t size, uint32_t seed)
{
    void *data = malloc (size > 0 ? size : 1);
    CHECK (data != NULL);
    zt_fill (data, size, seed);
    return data;
}

static void init (void)
{
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    CHECK_EQ (zlink_msg_size (&msg), 0);
    CHECK_EQ (zlink_msg_more (&msg), 0);
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_MORE), 0);
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_SHARED), 0);
    CHECK_OK (zlink_msg_close (&msg));
}

static void init_size (void)
{
    static const size_t sizes[] = {0, 1, 16, 31, 32, 33, 40,
                                   47, 48, 63, 64, 65, 4096, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        zlink_msg_t msgs[2]; /* one must not write into the other */
        CHECK_OK (zlink_msg_init_size (&msgs[0], sizes[i]));
        CHECK_OK (zlink_msg_init_size (&msgs[1], sizes[i]));
        zt_fill (zlink_msg_data (&msgs[0]), sizes[i], 1);
        zt_fill (zlink_msg_data (&msgs[1]), sizes[i], 2);
        for (uint32_t j = 0; j < 2; j++) {
            CHECK_EQ (zlink_msg_size (&msgs[j]), sizes[i]);
            CHECK (zt_filled (zlink_msg_data (&msgs[j]), sizes[i], j + 1));
            CHECK_OK (zlink_msg_close (&msgs[j]));
        }
    }
}

static void init_size_too_large (void)
{
    zlink_msg_t msg;
    CHECK_FAIL (zlink_msg_init_size (&msg, SIZE_MAX - 1), ENOMEM);
    CHECK_FAIL (zlink_msg_init_size (&msg, SIZE_MAX / 2), ENOMEM);
}

static void init_data (void)
{
    static const size_t sizes[] = {0, 1, 33, 64, LONG_BYTES};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        atomic_int freed = 0;
        zlink_msg_t msg;
        void *data = filled (sizes[i], 3);
        CHECK_OK (
          zlink_msg_init_data (&msg, data, sizes[i], count_free, &freed));
        CHECK_EQ (zlink_msg_size (&msg), sizes[i]);
        CHECK (zt_filled (zlink_msg_data (&msg), sizes[i], 3));
        if (sizes[i] > 0)
            CHECK (zlink_msg_data (&msg) == data);
        CHECK_EQ (atomic_load (&freed), 0);
        CHECK_OK (zlink_msg_close (&msg));
        ZT_UNTIL (atomic_load (&freed) == 1);
    }
}

static void init_data_without_free (void)
{
    static char text[] = "outlives every message";
    zlink_msg_t msg, copy;
    CHECK_OK (zlink_msg_init_data (&msg, text, sizeof text, NULL, NULL));
    CHECK_OK (zlink_msg_init (&copy));
    CHECK_OK (zlink_msg_copy (&copy, &msg));
    CHECK_OK (zlink_msg_close (&msg));
    CHECK_STR (zlink_msg_data (&copy), "outlives every message");
    CHECK_OK (zlink_msg_close (&copy));
    CHECK_STR (text, "outlives every message");
}

static void copies_share_the_data (void)
{
    enum
    {
        copies = 3
    };
    atomic_int freed = 0;
    zlink_msg_t msg, copy[copies];
    void *data = filled (LONG_BYTES, 4);

    CHECK_OK (zlink_msg_init_data (&msg, data, LONG_BYTES, count_free, &freed));
    for (int i = 0; i < copies; i++) {
        CHECK_OK (zlink_msg_init (&copy[i]));
        CHECK_OK (zlink_msg_copy (&copy[i], i == 0 ? &msg : &copy[i - 1]));
        CHECK (zlink_msg_data (&copy[i]) == data);
        CHECK_EQ (zlink_msg_size (&copy[i]), LONG_BYTES);
        CHECK_EQ (zlink_msg_get (&copy[i], ZLINK_SHARED), 1);
    }
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_SHARED), 1);
    CHECK_OK (zlink_msg_close (&msg));
    for (int i = 0; i < copies; i++) {
        CHECK_EQ (atomic_load (&freed), 0);
        CHECK (zt_filled (zlink_msg_data (&copy[i]), LONG_BYTES, 4));
        CHECK_OK (zlink_msg_close (&copy[i]));
    }
    ZT_UNTIL (atomic_load (&freed) == 1);
}

static void copies_of_any_size (void)
{
    static const size_t sizes[] = {0, 1, 31, 32, 33, 64, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        zlink_msg_t msg, copy;
        CHECK_OK (zlink_msg_init_size (&msg, sizes[i]));
        zt_fill (zlink_msg_data (&msg), sizes[i], 5);
        CHECK_EQ (zlink_msg_get (&msg, ZLINK_SHARED), 0);
        CHECK_OK (zlink_msg_init_size (&copy, 100));
        CHECK_OK (zlink_msg_copy (&copy, &msg));
        CHECK_EQ (zlink_msg_size (&copy), sizes[i]);
        CHECK (zt_filled (zlink_msg_data (&copy), sizes[i], 5));
        if (sizes[i] == 1 << 20)
            CHECK_EQ (zlink_msg_get (&copy, ZLINK_SHARED), 1);
        CHECK_OK (zlink_msg_close (&msg));
        CHECK (zt_filled (zlink_msg_data (&copy), sizes[i], 5));
        CHECK_OK (zlink_msg_close (&copy));
    }
}

/* A short copy has bytes of its own where ZLINK_SHARED is 0. */
static void unshared_copies_are_independent (void)
{
    zlink_msg_t msg, copy;
    CHECK_OK (zlink_msg_init_size (&msg, 8));
    memcpy (zlink_msg_data (&msg), "original", 8);
    CHECK_OK (zlink_msg_init (&copy));
    CHECK_OK (zlink_msg_copy (&copy, &msg));
    if (zlink_msg_get (&copy, ZLINK_SHARED) == 0)
        memcpy (zlink_msg_data (&copy), "modified", 8);
    CHECK_MEM (zlink_msg_data (&msg), "original", 8);
    CHECK_OK (zlink_msg_close (&msg));
    CHECK_OK (zlink_msg_close (&copy));
}

static void move (void)
{
    static const size_t sizes[] = {0, 1, 33, LONG_BYTES};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        zlink_msg_t from, to;
        CHECK_OK (zlink_msg_init_size (&from, sizes[i]));
        zt_fill (zlink_msg_data (&from), sizes[i], 6);
        CHECK_OK (zlink_msg_init_size (&to, 50));
        CHECK_OK (zlink_msg_move (&to, &from));
        CHECK_EQ (zlink_msg_size (&to), sizes[i]);
        CHECK (zt_filled (zlink_msg_data (&to), sizes[i], 6));
        CHECK_EQ (zlink_msg_size (&from), 0);
        CHECK_OK (zlink_msg_close (&from));
        CHECK_OK (zlink_msg_close (&to));
    }
}

static void move_and_copy_release_the_old_content (void)
{
    atomic_int freed = 0;
    zlink_msg_t from, to;

    CHECK_OK (zlink_msg_init (&from));
    CHECK_OK (
      zlink_msg_init_data (&to, filled (64, 7), 64, count_free, &freed));
    CHECK_OK (zlink_msg_move (&to, &from));
    ZT_UNTIL (atomic_load (&freed) == 1);
    CHECK_OK (zlink_msg_close (&to));
    CHECK_OK (
      zlink_msg_init_data (&to, filled (64, 7), 64, count_free, &freed));
    CHECK_OK (zlink_msg_copy (&to, &from));
    ZT_UNTIL (atomic_load (&freed) == 2);
    CHECK_OK (zlink_msg_close (&to));
    CHECK_OK (zlink_msg_close (&from));
    CHECK_EQ (atomic_load (&freed), 2);
}

static void invalid_messages (void)
{
    zlink_msg_t msg, zeroed;

    CHECK_OK (zlink_msg_init_size (&msg, LONG_BYTES));
    CHECK_OK (zlink_msg_close (&msg));
    CHECK_FAIL (zlink_msg_close (&msg), EFAULT);
    CHECK_OK (zlink_msg_init (&msg));

    memset (&zeroed, 0, sizeof zeroed);
    CHECK_FAIL (zlink_msg_close (&zeroed), EFAULT);
    CHECK_FAIL (zlink_msg_copy (&msg, &zeroed), EFAULT);
    CHECK_FAIL (zlink_msg_move (&msg, &zeroed), EFAULT);
    CHECK_EQ (zlink_msg_size (&msg), 0);
    CHECK_OK (zlink_msg_close (&msg));
    CHECK_FAIL (zlink_msg_close (&msg), EFAULT);
}

/* No call follows what memory without a message holds, or NULL. */
static void expect_no_message (zlink_msg_t *bad)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    zlink_msg_t good;

    CHECK_OK (zlink_msg_init_size (&good, 3));
    CHECK_FAIL (zlink_msg_close (bad), EFAULT);
    CHECK_FAIL (zlink_msg_copy (&good, bad), EFAULT);
    CHECK_FAIL (zlink_msg_copy (bad, &good), EFAULT);
    CHECK_FAIL (zlink_msg_move (&good, bad), EFAULT);
    CHECK_FAIL (zlink_msg_move (bad, &good), EFAULT);
    CHECK_FAIL (zlink_msg_copy (bad, bad), EFAULT);
    CHECK_FAIL (zlink_msg_move (bad, bad), EFAULT);
    CHECK_NULL (zlink_msg_data (bad), EFAULT);
    errno = 0;
    CHECK_EQ (zlink_msg_size (bad), 0);
    CHECK_EQ (errno, EFAULT);
    CHECK_FAIL (zlink_msg_more (bad), EFAULT);
    CHECK_FAIL (zlink_msg_get (bad, ZLINK_MORE), EFAULT);
    CHECK_FAIL (zlink_msg_set (bad, ZLINK_MORE, 1), EFAULT);
    CHECK_NULL (zlink_msg_gets (bad, "Peer-Address"), EFAULT);
    CHECK_FAIL (zlink_msg_send (bad, s, ZLINK_SNDMORE), EFAULT);
    CHECK_FAIL (zlink_msg_recv (bad, s, ZLINK_DONTWAIT), EFAULT);
    CHECK_EQ (zlink_msg_size (&good), 3);
    CHECK_OK (zlink_msg_close (&good));
    zt_close (s);
    zt_term (ctx);
}

static void no_messages (void)
{
    zlink_msg_t msg;

    expect_no_message (NULL);
    memset (&msg, 0, sizeof msg);
    expect_no_message (&msg);
    memset (&msg, 0xFF, sizeof msg);
    expect_no_message (&msg);
    for (size_t size = 1; size <= 10000; size *= 10) {
        CHECK_OK (zlink_msg_init_size (&msg, size));
        CHECK_OK (zlink_msg_close (&msg));
        expect_no_message (&msg);
    }
    CHECK_FAIL (zlink_msg_init (NULL), EFAULT);
    CHECK_FAIL (zlink_msg_init_size (NULL, 1), EFAULT);
    CHECK_FAIL (zlink_msg_init_data (NULL, &msg, 1, NULL, NULL), EFAULT);
    CHECK_FAIL (zlink_msg_init_data (&msg, NULL, 1, NULL, NULL), EFAULT);
}

/* A message is not lost when it is moved to, or copied to, itself. */
static void onto_itself (void)
{
    static const size_t sizes[] = {0, 10, LONG_BYTES};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        atomic_int freed = 0;
        zlink_msg_t msg;
        CHECK_OK (zlink_msg_init_data (&msg, filled (sizes[i], 1), sizes[i],
                                       count_free, &freed));
        CHECK_OK (zlink_msg_move (&msg, &msg));
        CHECK_OK (zlink_msg_copy (&msg, &msg));
        CHECK_EQ (zlink_msg_get (&msg, ZLINK_SHARED), 0);
        CHECK_EQ (atomic_load (&freed), 0);
        CHECK_EQ (zlink_msg_size (&msg), sizes[i]);
        CHECK (zt_filled (zlink_msg_data (&msg), sizes[i], 1));
        CHECK_OK (zlink_msg_close (&msg));
        CHECK_EQ (atomic_load (&freed), 1);
    }
}

/* SHARED is 1 as long as there is another copy. */
static void shared_until_alone (void)
{
    zlink_msg_t msg, copy;
    CHECK_OK (zlink_msg_init_size (&msg, LONG_BYTES));
    CHECK_OK (zlink_msg_init (&copy));
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_SHARED), 0);
    CHECK_OK (zlink_msg_copy (&copy, &msg));
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_SHARED), 1);
    CHECK_EQ (zlink_msg_get (&copy, ZLINK_SHARED), 1);
    CHECK_OK (zlink_msg_close (&copy));
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_SHARED), 0);
    CHECK_OK (zlink_msg_close (&msg));
}

static void free_nothing (void *data, void *hint)
{
    (void) data;
    (void) hint;
}

/* Data without a free function is the caller's and counts as shared, however short,
 * and whatever becomes of the message. */
static void shared_without_free (void)
{
    static char text[LONG_BYTES] = "constant";
    static const size_t sizes[] = {0, 1, sizeof "constant", LONG_BYTES};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        zlink_msg_t msg, other;
        CHECK_OK (zlink_msg_init_data (&msg, text, sizes[i], NULL, NULL));
        CHECK_OK (zlink_msg_init (&other));
        CHECK_EQ (zlink_msg_get (&msg, ZLINK_SHARED), 1);
        CHECK_OK (zlink_msg_copy (&other, &msg));
        CHECK_OK (zlink_msg_close (&msg));
        CHECK_EQ (zlink_msg_get (&other, ZLINK_SHARED), 1);
        CHECK_OK (zlink_msg_init (&msg));
        CHECK_OK (zlink_msg_move (&msg, &other));
        CHECK_EQ (zlink_msg_get (&msg, ZLINK_SHARED), 1);
        CHECK_EQ (zlink_msg_get (&other, ZLINK_SHARED), 0);
        CHECK_OK (zlink_msg_close (&msg));
        CHECK_OK (
          zlink_msg_init_data (&msg, text, sizes[i], free_nothing, NULL));
        CHECK_EQ (zlink_msg_get (&msg, ZLINK_SHARED), 0);
        CHECK_OK (zlink_msg_close (&msg));
    }
    zlink_msg_t none;
    CHECK_OK (zlink_msg_init_data (&none, NULL, 0, NULL, NULL));
    CHECK_EQ (zlink_msg_get (&none, ZLINK_SHARED), 1);
    CHECK_OK (zlink_msg_close (&none));
}

static void properties (void)
{
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init_size (&msg, 10));
    CHECK_FAIL (zlink_msg_get (&msg, 9999), EINVAL);
    CHECK_FAIL (zlink_msg_get (&msg, -1), EINVAL);
    CHECK_FAIL (zlink_msg_set (&msg, ZLINK_MORE, 1), EINVAL);
    CHECK_FAIL (zlink_msg_set (&msg, ZLINK_SHARED, 1), EINVAL);
    CHECK_FAIL (zlink_msg_set (&msg, 9999, 1), EINVAL);
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_MORE), 0);
    CHECK_NULL (zlink_msg_gets (&msg, "Peer-Address"), EINVAL);
    CHECK_NULL (zlink_msg_gets (&msg, "No-Such-Property"), EINVAL);
    CHECK_NULL (zlink_msg_gets (&msg, "Routing-Id"), EINVAL);
    CHECK_NULL (zlink_msg_gets (&msg, ""), EINVAL);
    CHECK_NULL (zlink_msg_gets (&msg, NULL), EINVAL);
    CHECK_OK (zlink_msg_close (&msg));
}

static void msgv_close (void)
{
    enum
    {
        count = 3
    };
    atomic_int freed = 0;
    zlink_msg_t *parts = malloc (count * sizeof *parts);

    CHECK (parts != NULL);
    for (int i = 0; i < count; i++)
        CHECK_OK (zlink_msg_init_data (&parts[i], filled (100, 8), 100,
                                       count_free, &freed));
    zlink_msgv_close (parts, count);
    ZT_UNTIL (atomic_load (&freed) == count);
    zlink_msgv_close (NULL, 0);
    zlink_msgv_close (NULL, count);
}

static const zt_case_t cases[] = {
  ZT_CASE (init),
  ZT_CASE (init_size),
  ZT_CASE (init_size_too_large),
  ZT_CASE (init_data),
  ZT_CASE (init_data_without_free),
  ZT_CASE (copies_share_the_data),
  ZT_CASE (copies_of_any_size),
  ZT_CASE (unshared_copies_are_independent),
  ZT_CASE (move),
  ZT_CASE (move_and_copy_release_the_old_content),
  ZT_CASE (invalid_messages),
  ZT_CASE (no_messages),
  ZT_CASE (onto_itself),
  ZT_CASE (shared_until_alone),
  ZT_CASE (shared_without_free),
  ZT_CASE (properties),
  ZT_CASE (msgv_close),
};

ZT_MAIN (cases)
