/* SPDX-License-Identifier: MPL-2.0 */
/* ZLINK_STREAM_FRAMING_HEADERS: messages with a header. */
#include "ztest.h"
#include "zfast.h"
#include "zws.h"

#define HEADER_MOST 65535
#define LONG_SIZE 100000

static uint8_t long_header[HEADER_MOST + 1], long_body[LONG_SIZE];

static void *headed_socket (void *ctx, int mode)
{
    void *s = zt_socket (ctx);
    zt_set_int (s, ZLINK_STREAM_MODE, mode);
    zt_set_int (s, ZLINK_STREAM_FRAMING, ZLINK_STREAM_FRAMING_HEADERS);
    return s;
}

/* Writes a message as it is on the wire. */
static void write_headed (int fd, const void *header, size_t header_size, const void *body, size_t size)
{
    uint8_t sizes[6];
    sizes[0] = (uint8_t) (header_size >> 8);
    sizes[1] = (uint8_t) header_size;
    for (int i = 0; i < 4; i++)
        sizes[2 + i] = (uint8_t) (size >> (24 - 8 * i));
    zt_write (fd, sizes, sizeof sizes);
    zt_write (fd, header, header_size);
    zt_write (fd, body, size);
}

/* The next message on the wire is this. */
static void expect_wire (int fd, const void *header, size_t header_size, const void *body, size_t size)
{
    static uint8_t got[6 + HEADER_MOST + LONG_SIZE];
    zt_read (fd, got, 6);
    CHECK_EQ ((size_t) (got[0] << 8 | got[1]), header_size);
    CHECK_EQ ((size_t) got[2] << 24 | (size_t) (got[3] << 16 | got[4] << 8 | got[5]), size);
    zt_read (fd, got, header_size + size);
    CHECK_MEM (got, header, header_size);
    CHECK_MEM (got + header_size, body, size);
}

static void check_message (zlink_msg_t *msg, const void *header, size_t header_size,
                           const void *body, size_t size)
{
    size_t got = 1;
    const void *at = zlink_msg_header (msg, &got);
    CHECK_EQ (got, header_size);
    CHECK ((at == NULL) == (header_size == 0));
    CHECK (zlink_msg_header (msg, NULL) == at);
    CHECK_MEM (at, header, header_size);
    CHECK_EQ (zlink_msg_size (msg), size);
    CHECK_MEM (zlink_msg_data (msg), body, size);
    CHECK_EQ (zlink_msg_get (msg, ZLINK_STREAM_EVENT), ZLINK_STREAM_DATA);
    CHECK_EQ (zlink_msg_get (msg, ZLINK_STREAM_TEXT), 0);
}

static const size_t sizes[] = {0, 1, 5, 39, 40, 126, 5000, 40000, HEADER_MOST, LONG_SIZE};

enum
{
    SIZES = sizeof sizes / sizeof *sizes
};

static size_t header_size (size_t i)
{
    return sizes[i] < HEADER_MOST ? sizes[i] : HEADER_MOST;
}

/* What came is sent on as it came, by each call, short or long; so is a copy. */
static void all_sizes (void)
{
    void *ctx = zt_ctx ();
    void *s = headed_socket (ctx, ZLINK_STREAM_MODE_FAST);
    int fd = zt_client (zt_bind (s));
    uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    zt_fill (long_header, sizeof long_header, 3);
    zt_fill (long_body, sizeof long_body, 5);
    for (size_t h = 0; h < SIZES; h++)
        for (size_t b = 0; b < SIZES; b++) {
            zlink_msg_t msg, copy;
            write_headed (fd, long_header, header_size (h), long_body, sizes[b]);
            CHECK_OK (zlink_msg_init (&msg));
            CHECK_EQ (zt_fast_recv (s, &msg, ZLINK_STREAM_DATA), sizes[b]);
            CHECK_EQ (zlink_msg_routing_id (&msg), peer);
            check_message (&msg, long_header, header_size (h), long_body, sizes[b]);
            CHECK_OK (zlink_msg_init (&copy));
            CHECK_OK (zlink_msg_copy (&copy, &msg));
            if (header_size (h) > 0)
                CHECK_EQ (zlink_msg_get (&copy, ZLINK_SHARED), 1);
            CHECK_EQ (zlink_msg_send (&msg, s, 0), sizes[b]);
            CHECK_EQ (zlink_msg_size (&msg), 0);
            CHECK (zlink_msg_header (&msg, NULL) == NULL);
            check_message (&copy, long_header, header_size (h), long_body, sizes[b]);
            if (b % 2)
                CHECK_EQ (zlink_stream_send_batch (s, &copy, 1, 0), 1);
            else
                CHECK_EQ (zlink_stream_multicast (s, &peer, 1, &copy, 0, NULL), 1);
            for (int i = 0; i < 2; i++)
                expect_wire (fd, long_header, header_size (h), long_body, sizes[b]);
        }
    close (fd);
    CHECK_EQ (zt_fast_event (s, ZLINK_STREAM_DISCONNECTED), peer);
    zt_close (s);
    zt_term (ctx);
}

static void count_free (void *data, void *hint)
{
    (void) data;
    ++*(int *) hint;
}

/* Whatever holds a body, it gets a header, another one, and none; what it held is freed once. */
static void own_headers (void)
{
    int freed = 0;
    zt_fill (long_header, sizeof long_header, 3);
    zt_fill (long_body, sizeof long_body, 5);
    for (size_t b = 0; b < SIZES; b++) {
        zlink_msg_t msg, copy, moved;
        if (b % 2)
            CHECK_OK (zlink_msg_init_data (&msg, long_body, sizes[b], count_free, &freed));
        else {
            CHECK_OK (zlink_msg_init_size (&msg, sizes[b]));
            if (sizes[b] > 0)
                memcpy (zlink_msg_data (&msg), long_body, sizes[b]);
        }
        CHECK_OK (zlink_msg_init (&copy));
        CHECK_OK (zlink_msg_init (&moved));
        check_message (&msg, NULL, 0, long_body, sizes[b]);
        for (size_t h = 0; h < SIZES; h++) {
            CHECK_OK (zlink_msg_set_header (&msg, long_header, header_size (h)));
            check_message (&msg, long_header, header_size (h), long_body, sizes[b]);
        }
        CHECK_OK (zlink_msg_copy (&copy, &msg));
        CHECK_OK (zlink_msg_set_header (&copy, "other", 5));
        check_message (&copy, "other", 5, long_body, sizes[b]);
        if (sizes[b] > 39)
            CHECK_EQ (zlink_msg_get (&copy, ZLINK_SHARED), 1);
        check_message (&msg, long_header, HEADER_MOST, long_body, sizes[b]);
        CHECK_OK (zlink_msg_move (&moved, &msg));
        check_message (&msg, NULL, 0, NULL, 0);
        check_message (&moved, long_header, HEADER_MOST, long_body, sizes[b]);
        CHECK_OK (zlink_msg_set_header (&moved, NULL, 0));
        check_message (&moved, NULL, 0, long_body, sizes[b]);
        CHECK_OK (zlink_msg_close (&moved));
        CHECK_EQ (freed, b / 2);
        CHECK_OK (zlink_msg_set_header (&copy, "again", 5));
        check_message (&copy, "again", 5, long_body, sizes[b]);
        CHECK_OK (zlink_msg_close (&copy));
        CHECK_OK (zlink_msg_close (&msg));
        CHECK_EQ (freed, (b + 1) / 2);
    }
}

/* A batch has messages with and without headers, and is sent on in order, long ones too. */
static void batches (void)
{
    enum
    {
        COUNT = 100
    };
    void *ctx = zt_ctx ();
    void *s = headed_socket (ctx, ZLINK_STREAM_MODE_FAST);
    int fd = zt_client (zt_bind (s));
    (void) zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    zlink_msg_t msgs[COUNT];
    zt_fill (long_body, sizeof long_body, 5);
    for (size_t i = 0; i < COUNT; i++) {
        CHECK_OK (zlink_msg_init (&msgs[i]));
        write_headed (fd, "header", i % 7, long_body, i % 9 == 8 ? 33000 : i);
    }
    for (int got = 0; got < COUNT;) {
        int more = zlink_stream_recv_batch (s, msgs + got, (size_t) (COUNT - got), 0);
        CHECK (more > 0);
        got += more;
    }
    for (size_t i = 0; i < COUNT; i++)
        check_message (&msgs[i], "header", i % 7, long_body, i % 9 == 8 ? 33000 : i);
    CHECK_EQ (zlink_stream_send_batch (s, msgs, COUNT, 0), COUNT);
    for (size_t i = 0; i < COUNT; i++)
        expect_wire (fd, "header", i % 7, long_body, i % 9 == 8 ? 33000 : i);
    close (fd);
    zt_close (s);
    zt_term (ctx);
}

/* In the mode COMPAT the body has the header, whose bytes zlink_recv and zlink_send leave out. */
static void two_frames (void)
{
    void *ctx = zt_ctx ();
    void *s = headed_socket (ctx, ZLINK_STREAM_MODE_COMPAT);
    int fd = zt_client (zt_bind (s));
    zlink_routing_id_t id;
    zt_expect_connect (s, &id);
    zt_fill (long_body, sizeof long_body, 5);
    for (size_t b = 0; b < SIZES; b++) {
        zlink_msg_t frame, body;
        write_headed (fd, "header", 6, long_body, sizes[b]);
        CHECK_OK (zlink_msg_init (&frame));
        CHECK_OK (zlink_msg_init (&body));
        CHECK_EQ (zlink_msg_recv (&frame, s, 0), id.size);
        CHECK (zlink_msg_header (&frame, NULL) == NULL);
        CHECK_EQ (zlink_msg_more (&frame), 1);
        CHECK_EQ (zlink_msg_recv (&body, s, 0), sizes[b]);
        CHECK_EQ (zlink_msg_more (&body), 0);
        check_message (&body, "header", 6, long_body, sizes[b]);
        CHECK (zlink_msg_gets (&body, "Peer-Address") != NULL);
        CHECK_EQ (zlink_msg_send (&frame, s, ZLINK_SNDMORE), id.size);
        CHECK_EQ (zlink_msg_send (&body, s, 0), sizes[b]);
        expect_wire (fd, "header", 6, long_body, sizes[b]);
    }
    write_headed (fd, "header", 6, "body", 4);
    zt_expect (s, &id, "body", 4);
    zt_send (s, &id, "answer", 6);
    expect_wire (fd, "", 0, "answer", 6);
    close (fd);
    zt_expect_disconnect (s, &id);
    zt_close (s);
    zt_term (ctx);
}

/* Both ends are sockets of this library, over TLS and WebSocket too (core/sockets/stream has those). */
static void between_sockets (void)
{
    void *ctx = zt_ctx ();
    void *server = headed_socket (ctx, ZLINK_STREAM_MODE_FAST);
    void *client = headed_socket (ctx, ZLINK_STREAM_MODE_FAST);
    CHECK_OK (zlink_connect (client, zt_endpoint_of ("ws", zt_bind_to (server, "ws://127.0.0.1:*/"))));
    uint32_t to_server = zt_fast_event (client, ZLINK_STREAM_CONNECTED);
    (void) zt_fast_event (server, ZLINK_STREAM_CONNECTED);
    zlink_msg_t msg;
    zt_fast_init (&msg, to_server, "body", 4);
    CHECK_OK (zlink_msg_set_header (&msg, "\0\1\0", 3));
    CHECK_EQ (zlink_stream_send_key (client, &msg, 1, 0), 4);
    CHECK_EQ (zt_fast_recv (server, &msg, ZLINK_STREAM_DATA), 4);
    check_message (&msg, "\0\1\0", 3, "body", 4);
    CHECK_OK (zlink_stream_join (server, zlink_msg_routing_id (&msg), "all"));
    CHECK_EQ (zlink_stream_publish (server, "all", &msg, 0), 1);
    CHECK_EQ (zt_fast_recv (client, &msg, ZLINK_STREAM_DATA), 4);
    check_message (&msg, "\0\1\0", 3, "body", 4);
    CHECK_OK (zlink_msg_close (&msg));
    zt_close (client);
    zt_close (server);
    zt_term (ctx);
}

static void errors (void)
{
    zt_fast_t f = zt_fast_open ();
    zlink_msg_t msg, none;
    size_t size = 1;
    memset (&none, 0, sizeof none);
    CHECK (zlink_msg_header (&none, &size) == NULL);
    CHECK_EQ (errno, EFAULT);
    CHECK_EQ (size, 0);
    CHECK_FAIL (zlink_msg_set_header (&none, "x", 1), EFAULT);
    zt_fast_init (&msg, f.peer, "body", 4);
    CHECK_FAIL (zlink_msg_set_header (&msg, NULL, 1), EFAULT);
    CHECK_FAIL (zlink_msg_set_header (&msg, long_header, HEADER_MOST + 1), EMSGSIZE);
    CHECK (strstr (zlink_error_detail (), "65535") != NULL);
    CHECK_OK (zlink_msg_set (&msg, ZLINK_STREAM_TEXT, 1));
    CHECK_FAIL (zlink_msg_set_header (&msg, "x", 1), EINVAL);
    CHECK (strstr (zlink_error_detail (), "text") != NULL);
    CHECK_OK (zlink_msg_set (&msg, ZLINK_STREAM_TEXT, 0));
    CHECK_OK (zlink_msg_set_header (&msg, "x", 1));
    CHECK_FAIL (zlink_msg_set (&msg, ZLINK_STREAM_TEXT, 1), EINVAL);
    CHECK_OK (zlink_msg_set (&msg, ZLINK_STREAM_TEXT, 0));
    check_message (&msg, "x", 1, "body", 4);
    /* A socket with another framing has no place for it, and says so. */
    CHECK_FAIL (zlink_msg_send (&msg, f.s, 0), EINVAL);
    CHECK (strstr (zlink_error_detail (), "STREAM_FRAMING 3") != NULL);
    CHECK_FAIL (zlink_stream_send_batch (f.s, &msg, 1, 0), EINVAL);
    CHECK_FAIL (zlink_stream_multicast (f.s, &f.peer, 1, &msg, 0, NULL), EINVAL);
    check_message (&msg, "x", 1, "body", 4);
    CHECK_OK (zlink_msg_set_header (&msg, NULL, 0));
    CHECK_EQ (zlink_msg_send (&msg, f.s, 0), 4);
    uint8_t got[8];
    zt_read (f.fd, got, sizeof got);
    CHECK_MEM (got, "\0\0\0\4body", sizeof got);
    close (f.fd);
    CHECK_EQ (zt_fast_recv (f.s, &msg, ZLINK_STREAM_DISCONNECTED), 0);
    CHECK_FAIL (zlink_msg_set_header (&msg, "x", 1), EINVAL);
    CHECK (strstr (zlink_error_detail (), "event") != NULL);
    CHECK_OK (zlink_msg_close (&msg));
    zt_close (f.s);
    zt_term (f.ctx);
}

/* A socket that changes its mind before the first bind has messages of the other kind. */
static void changed_framing (void)
{
    void *ctx = zt_ctx ();
    void *s = headed_socket (ctx, ZLINK_STREAM_MODE_FAST);
    zt_set_int (s, ZLINK_STREAM_FRAMING, ZLINK_STREAM_FRAMING_LENGTH);
    int fd = zt_client (zt_bind (s));
    uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    zt_write (fd, "\0\0\0\4body", 8);
    zt_fast_expect (s, peer, "body", 4);
    close (fd);
    zt_close (s);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (all_sizes),
  ZT_CASE (own_headers),
  ZT_CASE (batches),
  ZT_CASE (two_frames),
  ZT_CASE (between_sockets),
  ZT_CASE (errors),
  ZT_CASE (changed_framing),
};

ZT_MAIN (cases)
