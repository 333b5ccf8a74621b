/* SPDX-License-Identifier: MPL-2.0 */
/* zlink_msg_recv without memory: a message is late, never lost. malloc of this
 * process is the test's. */
#include "ztest.h"

#define NAME_BYTES 200 /* longer than what a message holds without malloc */
#define MESSAGES 5

#if ZT_SCALE == 1

extern void *__libc_malloc (size_t size);

static atomic_size_t refused_from = SIZE_MAX;
static atomic_int refusals;

/* Refuses long blocks while the test says so. */
void *malloc (size_t size)
{
    if (size < atomic_load (&refused_from))
        return __libc_malloc (size);
    atomic_fetch_add (&refusals, 1);
    errno = ENOMEM;
    return NULL;
}

static int receive_without_memory (zlink_msg_t *msg, void *s, size_t from)
{
    atomic_store (&refusals, 0);
    atomic_store (&refused_from, from);
    int result = zlink_msg_recv (msg, s, 0);
    int err = errno;
    atomic_store (&refused_from, SIZE_MAX);
    CHECK (atomic_load (&refusals) > 0);
    errno = err;
    return result;
}

/* Bodies stay where they were read to. */
static void bodies_need_no_memory (void)
{
    static const size_t sizes[] = {40, 1000, 16000};
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    int fd = zt_client (zt_bind (s));
    uint8_t body[16000];
    zlink_routing_id_t id;
    zlink_msg_t msgs[3], msg;

    zt_expect_connect (s, &id);
    CHECK_OK (zlink_msg_init (&msg));
    for (uint32_t i = 0; i < 3; i++) {
        zt_fill (body, sizes[i], i);
        zt_write_frame (fd, body, sizes[i]);
    }
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_OK (zlink_msg_init (&msgs[i]));
        CHECK_EQ (zlink_msg_recv (&msg, s, 0), id.size);
        CHECK_EQ (receive_without_memory (&msgs[i], s, 40), sizes[i]);
        CHECK_EQ (zlink_msg_more (&msgs[i]), 0);
    }
    close (fd);
    zt_expect_disconnect (s, &id);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQ (zlink_msg_size (&msgs[i]), sizes[i]);
        CHECK (zt_filled (zlink_msg_data (&msgs[i]), sizes[i], i));
        CHECK_OK (zlink_msg_close (&msgs[i]));
    }
    zt_close (s);
    zt_term (ctx);
}

/* A long id fails the call, and the next one gets it. */
static void ids_come_again (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    int port, listener = zt_listen (&port);
    uint8_t name[NAME_BYTES], body[1000], event[1] = {ZT_EVENT_CONNECT};
    zlink_msg_t msg;

    zt_fill (name, sizeof name, 1);
    CHECK_OK (zlink_setsockopt (s, ZLINK_CONNECT_ROUTING_ID, name, sizeof name));
    zt_connect (s, port);
    int fd = zt_accept (listener);
    for (uint32_t i = 0; i < MESSAGES; i++) {
        zt_fill (body, sizeof body, i);
        zt_write_frame (fd, body, sizeof body);
    }
    CHECK_OK (zlink_msg_init_size (&msg, 3));
    memcpy (zlink_msg_data (&msg), "old", 3);
    for (uint32_t i = 0; i <= MESSAGES; i++) {
        CHECK_FAIL (receive_without_memory (&msg, s, NAME_BYTES), ENOMEM);
        CHECK_EQ (zt_get_int (s, ZLINK_RCVMORE), 0);
        if (i == 0) { /* what the message held is still there */
            CHECK_EQ (zlink_msg_size (&msg), 3);
            CHECK_MEM (zlink_msg_data (&msg), "old", 3);
        }
        CHECK_EQ (zlink_msg_recv (&msg, s, 0), sizeof name);
        CHECK_MEM (zlink_msg_data (&msg), name, sizeof name);
        CHECK_EQ (zt_get_int (s, ZLINK_RCVMORE), 1);
        if (i == 0) {
            CHECK_EQ (zlink_msg_recv (&msg, s, 0), 1);
            CHECK_MEM (zlink_msg_data (&msg), event, 1);
        } else {
            CHECK_EQ (zlink_msg_recv (&msg, s, 0), sizeof body);
            CHECK (zt_filled (zlink_msg_data (&msg), sizeof body, i - 1));
        }
    }
    CHECK_OK (zlink_msg_close (&msg));
    close (fd);
    close (listener);
    zt_close (s);
    zt_term (ctx);
}

#else

static void bodies_need_no_memory (void)
{
    zt_skip ("malloc belongs to the sanitizer");
}

static void ids_come_again (void)
{
    zt_skip ("malloc belongs to the sanitizer");
}

#endif

static const zt_case_t cases[] = {
  ZT_CASE (bodies_need_no_memory),
  ZT_CASE (ids_come_again),
};

ZT_MAIN (cases)
