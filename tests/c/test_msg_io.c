/* SPDX-License-Identifier: MPL-2.0 */
/* Messages through a socket: ownership, properties and failures. */
#include "ztest.h"

#define LARGE_BYTES (1 << 20)

static void count_free (void *data, void *hint)
{
    free (data);
    atomic_fetch_add ((atomic_int *) hint, 1);
}

/* A message around its own buffer, filled from the seed. */
static void init_counted (zlink_msg_t *msg, size_t size, uint32_t seed,
                          atomic_int *freed)
{
    void *data = malloc (size);
    CHECK (data != NULL);
    zt_fill (data, size, seed);
    CHECK_OK (zlink_msg_init_data (msg, data, size, count_free, freed));
}

static void init_id (zlink_msg_t *msg, const zlink_routing_id_t *id)
{
    CHECK_OK (zlink_msg_init_size (msg, id->size));
    memcpy (zlink_msg_data (msg), id->data, id->size);
}

/* Sends id and body as messages; both are empty afterwards. */
static void send_msg (zt_pair_t *f, zlink_msg_t *body)
{
    zlink_msg_t id;
    int size = (int) zlink_msg_size (body);
    init_id (&id, &f->id);
    CHECK_EQ (zlink_msg_send (&id, f->server, ZLINK_SNDMORE), 4);
    CHECK_EQ (zlink_msg_size (&id), 0);
    CHECK_EQ (zlink_msg_send (body, f->server, 0), size);
    CHECK_EQ (zlink_msg_size (body), 0);
    CHECK_OK (zlink_msg_close (&id));
}

static void read_filled (int fd, size_t size, uint32_t seed)
{
    uint8_t *body = malloc (size);
    CHECK (body != NULL);
    CHECK_EQ (zt_read_frame (fd, body, size), size);
    CHECK (zt_filled (body, size, seed));
    free (body);
}

static void sent_data_is_freed_once (void)
{
    static const size_t sizes[] = {2, 33, 1000, 70000, LARGE_BYTES};
    zt_pair_t f = zt_pair ();

    for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        atomic_int freed = 0;
        zlink_msg_t msg;
        init_counted (&msg, sizes[i], i, &freed);
        send_msg (&f, &msg);
        read_filled (f.fd, sizes[i], i);
        CHECK_OK (zlink_msg_close (&msg));
        ZT_UNTIL (atomic_load (&freed) == 1);
        zt_pause_ms (5);
        CHECK_EQ (atomic_load (&freed), 1);
    }
    zt_pair_end (&f);
}

static void sent_copies (void)
{
    enum
    {
        copies = 4
    };
    zt_pair_t f = zt_pair ();
    atomic_int freed = 0;
    zlink_msg_t msg, copy;

    init_counted (&msg, LARGE_BYTES, 9, &freed);
    for (int i = 0; i < copies; i++) {
        CHECK_OK (zlink_msg_init (&copy));
        CHECK_OK (zlink_msg_copy (&copy, &msg));
        send_msg (&f, &copy);
        read_filled (f.fd, LARGE_BYTES, 9);
        CHECK_OK (zlink_msg_close (&copy));
    }
    CHECK_EQ (atomic_load (&freed), 0);
    CHECK (zt_filled (zlink_msg_data (&msg), LARGE_BYTES, 9));
    CHECK_OK (zlink_msg_close (&msg));
    ZT_UNTIL (atomic_load (&freed) == 1);
    zt_pair_end (&f);
}

/* What could not be sent is the caller's, as it was. */
static void failed_sends (void)
{
    static const size_t sizes[] = {5, LARGE_BYTES};
    zt_pair_t f = zt_pair ();

    for (uint32_t i = 0; i < 2; i++) {
        atomic_int freed = 0;
        zlink_msg_t body;
        const zlink_routing_id_t nobody = {4, {0xde, 0xad, 0xbe, 0xef}};
        init_counted (&body, sizes[i], i, &freed);
        CHECK_FAIL (zlink_msg_send (&body, f.server, 0), EINVAL);
        int rc = zlink_send (f.server, nobody.data, 4, ZLINK_SNDMORE);
        if (rc == 4)
            rc = zlink_msg_send (&body, f.server, 0);
        CHECK_FAIL (rc, EHOSTUNREACH);
        CHECK_EQ (zlink_msg_size (&body), sizes[i]);
        CHECK (zt_filled (zlink_msg_data (&body), sizes[i], i));
        CHECK_EQ (atomic_load (&freed), 0);
        send_msg (&f, &body);
        read_filled (f.fd, sizes[i], i);
        CHECK_OK (zlink_msg_close (&body));
        ZT_UNTIL (atomic_load (&freed) == 1);
    }
    zt_pair_end (&f);
}

/* Queued for a peer that goes away: freed all the same. */
static void unsent_data_is_freed (void)
{
    enum
    {
        count = 32
    };
    zt_pair_t f = zt_pair_begin ();
    zt_unbounded (f.server); /* the kernel must not be able to take all of it */
    zt_pair_join (&f, zt_client);
    atomic_int freed = 0;

    for (uint32_t i = 0; i < count; i++) {
        zlink_msg_t msg;
        init_counted (&msg, LARGE_BYTES, i, &freed);
        send_msg (&f, &msg);
        CHECK_OK (zlink_msg_close (&msg));
    }
    zt_reset (f.fd);
    zt_expect_disconnect (f.server, &f.id);
    ZT_UNTIL (atomic_load (&freed) == count);
    zt_close (f.server);
    zt_term (f.ctx);
    CHECK_EQ (atomic_load (&freed), count);
}

static void constant_data (void)
{
    static const char text[] = "never changes";
    zt_pair_t f = zt_pair ();
    char body[32];

    CHECK_EQ (
      zlink_send_const (f.server, f.id.data, f.id.size, ZLINK_SNDMORE), 4);
    CHECK_EQ (zlink_send_const (f.server, text, sizeof text, 0), sizeof text);
    CHECK_EQ (zt_read_frame (f.fd, body, sizeof body), sizeof text);
    CHECK_STR (body, text);
    zt_pair_end (&f);
}

static void uninitialised_messages (void)
{
    zt_pair_t f = zt_pair ();
    zlink_msg_t zeroed;

    memset (&zeroed, 0, sizeof zeroed);
    CHECK_FAIL (zlink_msg_send (&zeroed, f.server, ZLINK_SNDMORE), EFAULT);
    zt_send (f.server, &f.id, "still afresh", 12);
    char body[16];
    CHECK_EQ (zt_read_frame (f.fd, body, sizeof body), 12);
    zt_pair_end (&f);
}

static void received_properties (void)
{
    zt_pair_t f = zt_pair ();
    zlink_msg_t id, body;

    CHECK_OK (zlink_msg_init (&id));
    CHECK_OK (zlink_msg_init (&body));
    zt_write_frame (f.fd, "hello", 5);
    CHECK_EQ (zlink_msg_recv (&id, f.server, 0), 4);
    CHECK_EQ (zlink_msg_more (&id), 1);
    CHECK_EQ (zlink_msg_get (&id, ZLINK_MORE), 1);
    CHECK_MEM (zlink_msg_data (&id), f.id.data, 4);
    CHECK_EQ (zlink_msg_recv (&body, f.server, 0), 5);
    CHECK_EQ (zlink_msg_more (&body), 0);
    CHECK_EQ (zlink_msg_get (&body, ZLINK_MORE), 0);
    CHECK_STR (zlink_msg_gets (&body, "Peer-Address"), "127.0.0.1");
    CHECK_NULL (zlink_msg_gets (&body, "No-Such-Property"), EINVAL);
    CHECK_FAIL (zlink_msg_get (&body, 9999), EINVAL);
    CHECK_OK (zlink_msg_close (&id));
    CHECK_OK (zlink_msg_close (&body));
    zt_pair_end (&f);
}

/* The peer's address is on both frames, and goes along with copies and moves. */
static void peer_address (void)
{
    zt_pair_t f = zt_pair ();
    zlink_msg_t id, copy, moved;

    CHECK_OK (zlink_msg_init (&id));
    CHECK_OK (zlink_msg_init (&copy));
    CHECK_OK (zlink_msg_init (&moved));
    zt_write_frame (f.fd, "hello", 5);
    CHECK_EQ (zlink_msg_recv (&id, f.server, 0), 4);
    const char *text = zlink_msg_gets (&id, "Peer-Address");
    CHECK_STR (text, "127.0.0.1");
    CHECK (zlink_msg_gets (&id, "Peer-Address") == text);
    CHECK_NULL (zlink_msg_gets (&id, "peer-address"), EINVAL);
    CHECK_NULL (zlink_msg_gets (&id, NULL), EINVAL);
    CHECK_OK (zlink_msg_copy (&copy, &id));
    CHECK_OK (zlink_msg_move (&moved, &id));
    CHECK_NULL (zlink_msg_gets (&id, "Peer-Address"), EINVAL);
    CHECK_STR (zlink_msg_gets (&copy, "Peer-Address"), "127.0.0.1");
    CHECK_OK (zlink_msg_close (&copy));
    CHECK_STR (zlink_msg_gets (&moved, "Peer-Address"), "127.0.0.1");
    CHECK_OK (zlink_msg_close (&moved));
    CHECK_OK (zlink_msg_close (&id));
    zt_pair_end (&f);
}

/* Around every limit between the ways a message is kept, both directions. */
static void sizes (void)
{
    zt_pair_t f = zt_pair ();
    enum
    {
        most = 10000000
    };
    uint8_t *body = malloc (most);
    zlink_routing_id_t id;
    zlink_msg_t msg, copy;
    static const size_t large[] = {16383, 16384, 32767, 32768, 65535,
                                   65536, 65537, 262144, most};

    CHECK (body != NULL);
    CHECK_OK (zlink_msg_init (&msg));
    for (size_t i = 0; i < 66 + sizeof large / sizeof *large; i++) {
        size_t size = i < 66 ? i : large[i - 66];
        if (size == 1)
            continue; /* could be an event */
        zt_fill (body, size, (uint32_t) i);
        zt_write_frame (f.fd, body, size);
        zt_recv_msg (f.server, &id, &msg);
        CHECK_EQ (zlink_msg_size (&msg), size);
        CHECK (zt_filled (zlink_msg_data (&msg), size, (uint32_t) i));
        CHECK_OK (zlink_msg_init (&copy));
        CHECK_OK (zlink_msg_copy (&copy, &msg));
        send_msg (&f, &msg); /* and is the place of the next one */
        CHECK (zt_filled (zlink_msg_data (&copy), size, (uint32_t) i));
        CHECK_OK (zlink_msg_close (&copy));
        read_filled (f.fd, size, (uint32_t) i);
    }
    CHECK_OK (zlink_msg_close (&msg));
    free (body);
    zt_pair_end (&f);
}

/* A received message stays what it is while others come and go, and can be
 * copied, moved, and sent on. */
static void received_messages_are_kept (void)
{
    enum
    {
        count = 200,
        size = 3000
    };
    static zlink_msg_t kept[count];
    static uint8_t body[size];
    zt_pair_t f = zt_pair ();
    zlink_routing_id_t id;
    zlink_msg_t moved;

    for (uint32_t i = 0; i < count; i++) {
        zt_fill (body, size, i);
        zt_write_frame (f.fd, body, size);
        CHECK_OK (zlink_msg_init (&kept[i]));
        zt_recv_msg (f.server, &id, &kept[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        CHECK_EQ (zlink_msg_size (&kept[i]), size);
        CHECK (zt_filled (zlink_msg_data (&kept[i]), size, i));
        CHECK_OK (zlink_msg_init (&moved));
        CHECK_OK (zlink_msg_move (&moved, &kept[i]));
        send_msg (&f, &moved);
        CHECK_OK (zlink_msg_close (&moved));
        CHECK_OK (zlink_msg_close (&kept[i]));
        read_filled (f.fd, size, i);
    }
    zt_pair_end (&f);
}

/* A message may be read and closed after its socket and context are gone. */
static void received_message_outlives_the_context (void)
{
    zt_pair_t f = zt_pair ();
    zlink_routing_id_t id;
    zlink_msg_t msg;
    uint8_t body[5000];

    CHECK_OK (zlink_msg_init (&msg));
    zt_fill (body, sizeof body, 11);
    zt_write_frame (f.fd, body, sizeof body);
    zt_recv_msg (f.server, &id, &msg);
    zt_pair_end (&f);
    CHECK (zt_filled (zlink_msg_data (&msg), sizeof body, 11));
    CHECK_OK (zlink_msg_close (&msg));
}

static const zt_case_t cases[] = {
  ZT_CASE (sent_data_is_freed_once),
  ZT_CASE (sent_copies),
  ZT_CASE (failed_sends),
  ZT_CASE (unsent_data_is_freed),
  ZT_CASE (constant_data),
  ZT_CASE (uninitialised_messages),
  ZT_CASE (received_properties),
  ZT_CASE (peer_address),
  ZT_CASE (sizes),
  ZT_CASE (received_messages_are_kept),
  ZT_CASE (received_message_outlives_the_context),
};

ZT_MAIN (cases)
