/* SPDX-License-Identifier: MPL-2.0 */
/* Handles that are none, socket types and counts, and error texts. */
#include "ztest.h"

#define BLOCK_BYTES 4096

static void expect_not_a_socket (void *s)
{
    int value = 0;
    size_t size = sizeof value;
    uint8_t buf[16];
    zlink_msg_t msg;
    zlink_pollitem_t item = {s, 0, ZLINK_POLLIN, 0};

    CHECK_FAIL (zlink_close (s), ENOTSOCK);
    CHECK_FAIL (zlink_setsockopt (s, ZLINK_LINGER, &value, sizeof value),
                ENOTSOCK);
    CHECK_FAIL (zlink_getsockopt (s, ZLINK_LINGER, &value, &size), ENOTSOCK);
    CHECK_FAIL (zlink_getsockopt (s, ZLINK_RCVMORE, &value, &size), ENOTSOCK);
    CHECK_FAIL (zlink_bind (s, "tcp://127.0.0.1:*"), ENOTSOCK);
    CHECK_FAIL (zlink_connect (s, "tcp://127.0.0.1:9"), ENOTSOCK);
    CHECK_FAIL (zlink_unbind (s, "tcp://127.0.0.1:9"), ENOTSOCK);
    CHECK_FAIL (zlink_disconnect (s, "tcp://127.0.0.1:9"), ENOTSOCK);
    CHECK_FAIL (zlink_send (s, "id", 2, ZLINK_SNDMORE), ENOTSOCK);
    CHECK_FAIL (zlink_send_const (s, "id", 2, ZLINK_SNDMORE), ENOTSOCK);
    CHECK_FAIL (zlink_recv (s, buf, sizeof buf, 0), ENOTSOCK);
    CHECK_OK (zlink_msg_init_size (&msg, 4));
    CHECK_FAIL (zlink_msg_send (&msg, s, ZLINK_SNDMORE), ENOTSOCK);
    CHECK_EQ (zlink_msg_size (&msg), 4);
    CHECK_FAIL (zlink_msg_recv (&msg, s, 0), ENOTSOCK);
    CHECK_OK (zlink_msg_close (&msg));
    if (s)
        CHECK_FAIL (zlink_poll (&item, 1, 0), ENOTSOCK);
}

static void expect_not_a_context (void *ctx)
{
    CHECK_FAIL (zlink_ctx_term (ctx), EFAULT);
    CHECK_FAIL (zlink_ctx_shutdown (ctx), EFAULT);
    CHECK_FAIL (zlink_ctx_set (ctx, ZLINK_IO_THREADS, 1), EFAULT);
    CHECK_FAIL (zlink_ctx_get (ctx, ZLINK_IO_THREADS), EFAULT);
    CHECK_NULL (zlink_socket (ctx, ZLINK_STREAM), EFAULT);
}

static void expect_neither (void *pointer)
{
    expect_not_a_socket (pointer);
    expect_not_a_context (pointer);
}

static void foreign_pointers (void)
{
    uint64_t on_stack[8] = {0};
    uint8_t *block = malloc (BLOCK_BYTES);

    CHECK (block != NULL);
    expect_neither (NULL);
    expect_neither (on_stack);
    memset (block, 0, BLOCK_BYTES);
    expect_neither (block);
    memset (block, 0xa5, BLOCK_BYTES);
    expect_neither (block);
    expect_neither (block + 1);
    for (uintptr_t number = 1; number < 70; number++)
        expect_neither ((void *) number);
    expect_neither ((void *) UINTPTR_MAX);
    expect_neither ((void *) (UINTPTR_MAX / 2));
    free (block);
}

static void closed_handles (void)
{
    void *ctx = zt_ctx ();
    void *first = zt_socket (ctx);
    void *second = zt_socket (ctx);

    expect_not_a_context (first);
    expect_not_a_socket (ctx);
    zt_close (first);
    expect_not_a_socket (first);
    expect_not_a_context (first);

    /* A new socket does not bring the closed handle back. */
    void *third = zt_socket (ctx);
    CHECK (third != first);
    expect_not_a_socket (first);
    zt_bind (third);
    zt_close (second);
    zt_close (third);
    expect_not_a_socket (third);
    zt_term (ctx);
    expect_not_a_socket (second);
    expect_neither (ctx);
}

static void socket_types (void)
{
    static const int absent[] = {ZLINK_PAIR, ZLINK_PUB, ZLINK_SUB,
                                 ZLINK_DEALER, ZLINK_ROUTER, ZLINK_XPUB,
                                 ZLINK_XSUB};
    static const int unknown[] = {-1, 3, 4, 7, 8, 12, 13, 1000};
    void *ctx = zt_ctx ();

    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        CHECK_NULL (zlink_socket (ctx, absent[i]), ENOTSUP);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        CHECK_NULL (zlink_socket (ctx, unknown[i]), EINVAL);
    CHECK_OK (zlink_ctx_shutdown (ctx)); /* that comes first */
    CHECK_NULL (zlink_socket (ctx, absent[0]), ETERM);
    CHECK_NULL (zlink_socket (ctx, unknown[0]), ETERM);
    zt_term (ctx);
}

static void *try_socket (void *ctx)
{
    void *s = zlink_socket (ctx, ZLINK_STREAM);
    CHECK (s != NULL || errno == EMFILE);
    return s;
}

static void max_sockets (void)
{
    void *ctx = zt_ctx ();
    void *sockets[3];

    CHECK_OK (zlink_ctx_set (ctx, ZLINK_MAX_SOCKETS, 3));
    for (int i = 0; i < 3; i++)
        sockets[i] = zt_socket (ctx);
    CHECK_NULL (zlink_socket (ctx, ZLINK_STREAM), EMFILE);
    zt_close (sockets[0]);
    ZT_UNTIL ((sockets[0] = try_socket (ctx)) != NULL);
    CHECK_NULL (zlink_socket (ctx, ZLINK_STREAM), EMFILE);
    for (int i = 0; i < 3; i++)
        zt_close (sockets[i]);
    zt_term (ctx);
}

static void error_texts (void)
{
    static const int errors[] = {
      EINVAL,
      EAGAIN,
      ENOTSUP,
      EPROTONOSUPPORT,
      ENOBUFS,
      EADDRINUSE,
      ENOTSOCK,
      EMSGSIZE,
      EHOSTUNREACH,
      ETIMEDOUT,
      EFSM,
      ETERM,
      EMTHREAD,
      ENOCOMPATPROTO,
      0,
      -1,
      1000000000,
    };
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);

    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        const char *text = zlink_strerror (errors[i]);
        CHECK (text != NULL);
        CHECK (text[0] != '\0');
    }
    CHECK (strcmp (zlink_strerror (ETERM), zlink_strerror (EFSM)) != 0);
    CHECK_STR (zlink_strerror (EINVAL), strerror (EINVAL));

    CHECK_FAIL (zlink_bind (s, "tcp://127.0.0.1:70000"), EINVAL);
    CHECK (strstr (zlink_error_detail (), "70000") != NULL);
    zt_close (s);
    zt_term (ctx);
}

static void *fail_in_thread (void *arg)
{
    errno = 0;
    CHECK_FAIL (zlink_close (NULL), ENOTSOCK);
    return arg;
}

static void errno_is_of_the_thread (void)
{
    errno = 0;
    CHECK_FAIL (zlink_ctx_term (NULL), EFAULT);
    zt_join (zt_thread (fail_in_thread, NULL));
    CHECK_EQ (zlink_errno (), EFAULT);
}

static const zt_case_t cases[] = {
  ZT_CASE (foreign_pointers),
  ZT_CASE (closed_handles),
  ZT_CASE (socket_types),
  ZT_CASE (max_sockets),
  ZT_CASE (error_texts),
  ZT_CASE (errno_is_of_the_thread),
};

ZT_MAIN (cases)
