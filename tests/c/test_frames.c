/* SPDX-License-Identifier: MPL-2.0 */
/* Framing: sizes, splits and truncation. */
#include "ztest.h"

#define HUGE_BYTES (16u << 20)
#define MANY_FRAMES 1000
#define FRAME_BODY_BYTES 20
#define CLIENTS 100
#define ROUNDS 20
#define MAX_BODY_BYTES 70000

static void close_pair (zt_pair_t *f)
{
    close (f->fd);
    zt_expect_disconnect (f->server, &f->id);
    zt_close (f->server);
    zt_term (f->ctx);
}

static void recv_truncates (void)
{
    zt_pair_t f = zt_pair ();
    uint8_t body[100], buf[16];

    zt_fill (body, sizeof body, 1);
    zt_write_frame (f.fd, body, sizeof body);
    memset (buf, 0xee, sizeof buf);
    CHECK_EQ (zlink_recv (f.server, buf, 2, 0), 4);
    CHECK_MEM (buf, f.id.data, 2);
    CHECK_EQ (buf[2], 0xee);
    CHECK_EQ (zlink_recv (f.server, buf, 10, 0), 100);
    CHECK_MEM (buf, body, 10);
    CHECK_EQ (buf[10], 0xee);

    /* The rest of a truncated body is gone; the next frame is a new message. */
    zt_write_frame (f.fd, "next", 4);
    zt_expect (f.server, &f.id, "next", 4);
    zt_write_frame (f.fd, "measured", 8);
    CHECK_EQ (zlink_recv (f.server, buf, sizeof buf, 0), 4);
    CHECK_EQ (zlink_recv (f.server, buf, 0, 0), 8);
    close_pair (&f);
}

static void msg_recv_never_truncates (void)
{
    enum
    {
        size = 1 << 20
    };
    zt_pair_t f = zt_pair ();
    uint8_t *body = malloc (size);

    CHECK (body != NULL);
    zt_fill (body, size, 2);
    zt_write_frame (f.fd, body, size);
    zt_expect (f.server, &f.id, body, size);
    free (body);
    close_pair (&f);
}

static void empty_bodies (void)
{
    zt_pair_t f = zt_pair ();
    uint8_t body[8];

    zt_write_frame (f.fd, NULL, 0);
    zt_write_frame (f.fd, "x-ray", 5);
    zt_expect (f.server, &f.id, "", 0);
    zt_expect (f.server, &f.id, "x-ray", 5);
    zt_send (f.server, &f.id, "", 0);
    zt_send (f.server, &f.id, "yard", 4);
    CHECK_EQ (zt_read_frame (f.fd, body, sizeof body), 0);
    CHECK_EQ (zt_read_frame (f.fd, body, sizeof body), 4);
    CHECK_MEM (body, "yard", 4);
    close_pair (&f);
}

static void one_byte_bodies (void)
{
    zt_pair_t f = zt_pair ();
    uint8_t body[8];

    for (int value = 0; value < 256; value++) {
        uint8_t byte = (uint8_t) value;
        zt_write_frame (f.fd, &byte, 1);
        zt_expect (f.server, &f.id, &byte, 1);
        if (byte == 0)
            continue;
        zt_send (f.server, &f.id, &byte, 1);
        CHECK_EQ (zt_read_frame (f.fd, body, sizeof body), 1);
        CHECK_EQ (body[0], byte);
    }
    close_pair (&f);
}

typedef struct writer_t
{
    int fd;
    const uint8_t *body;
    size_t size;
} writer_t;

static void *write_body (void *arg)
{
    const writer_t *writer = arg;
    zt_write_frame (writer->fd, writer->body, writer->size);
    return NULL;
}

static void huge_bodies (void)
{
    zt_pair_t f = zt_pair ();
    uint8_t *body = malloc (HUGE_BYTES);
    uint8_t *answer = malloc (HUGE_BYTES);

    CHECK (body != NULL && answer != NULL);
    zt_fill (body, HUGE_BYTES, 3);
    writer_t writer = {f.fd, body, HUGE_BYTES};
    pthread_t thread = zt_thread (write_body, &writer);
    zt_expect (f.server, &f.id, body, HUGE_BYTES);
    zt_join (thread);

    zt_fill (body, HUGE_BYTES, 4);
    zt_send (f.server, &f.id, body, HUGE_BYTES);
    memset (body, 0, HUGE_BYTES);
    CHECK_EQ (zt_read_frame (f.fd, answer, HUGE_BYTES), HUGE_BYTES);
    CHECK (zt_filled (answer, HUGE_BYTES, 4));
    free (body);
    free (answer);
    close_pair (&f);
}

static void byte_by_byte (void)
{
    static const uint8_t frame[] = "\0\0\0\17slow but steady";
    enum
    {
        size = 19
    };
    zt_pair_t f = zt_pair ();
    uint8_t buf[8];

    for (int i = 0; i < size; i++) {
        CHECK_FAIL (zlink_recv (f.server, buf, sizeof buf, ZLINK_DONTWAIT),
                    EAGAIN);
        zt_write (f.fd, frame + i, 1);
        zt_pause_ms (2);
    }
    zt_expect (f.server, &f.id, frame + 4, size - 4);
    close_pair (&f);
}

static void many_frames_in_one_segment (void)
{
    enum
    {
        frame_bytes = 4 + FRAME_BODY_BYTES
    };
    zt_pair_t f = zt_pair ();
    uint8_t *segment = malloc (MANY_FRAMES * frame_bytes);

    CHECK (segment != NULL);
    for (uint32_t i = 0; i < MANY_FRAMES; i++) {
        zt_put32 (segment + i * frame_bytes, FRAME_BODY_BYTES);
        zt_fill (segment + i * frame_bytes + 4, FRAME_BODY_BYTES, i);
    }
    zt_write (f.fd, segment, MANY_FRAMES * frame_bytes);
    for (uint32_t i = 0; i < MANY_FRAMES; i++)
        zt_expect (f.server, &f.id, segment + i * frame_bytes + 4,
                   FRAME_BODY_BYTES);
    free (segment);
    close_pair (&f);
}

/* Sends a frame, takes it at the server, echoes it and checks the echo. */
static void round_trip (zt_pair_t *f, size_t size)
{
    static uint8_t body[MAX_BODY_BYTES], answer[MAX_BODY_BYTES];
    zt_fill (body, size, (uint32_t) size);
    zt_write_frame (f->fd, body, size);
    zt_expect (f->server, &f->id, body, size);
    zt_send (f->server, &f->id, body, size);
    CHECK_EQ (zt_read_frame (f->fd, answer, sizeof answer), size);
    CHECK (zt_filled (answer, size, (uint32_t) size));
}

static void sizes_around_powers_of_two (void)
{
    zt_pair_t f = zt_pair ();
    for (size_t power = 1; power <= 65536; power *= 2) {
        if (power > 2)
            round_trip (&f, power - 1);
        round_trip (&f, power);
        round_trip (&f, power + 1);
        round_trip (&f, power + 4);
        if (power > 8)
            round_trip (&f, power - 4);
    }
    round_trip (&f, MAX_BODY_BYTES);
    close_pair (&f);
}

static void interleaved_clients (void)
{
    static uint8_t frame[CLIENTS][4 + 4096];
    static uint8_t body[4096];
    void *ctx = zt_ctx ();
    void *server = zt_socket (ctx);
    int port = zt_bind (server);
    int fds[CLIENTS];
    size_t sizes[CLIENTS];
    uint32_t state = 12345;
    pthread_t echo;
    zlink_routing_id_t id;

    for (int c = 0; c < CLIENTS; c++) {
        fds[c] = zt_client (port);
        zt_expect_connect (server, &id);
    }
    echo = zt_thread (zt_echo, server);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t c = 0; c < CLIENTS; c++) {
            sizes[c] = 2 + zt_random (&state) % 4095;
            zt_put32 (frame[c], (uint32_t) sizes[c]);
            zt_fill (frame[c] + 4, sizes[c], c * ROUNDS + round);
            zt_write (fds[c], frame[c], sizes[c] / 2);
        }
        for (uint32_t c = 0; c < CLIENTS; c++)
            zt_write (fds[c], frame[c] + sizes[c] / 2,
                      4 + sizes[c] - sizes[c] / 2);
        for (uint32_t c = 0; c < CLIENTS; c++) {
            CHECK_EQ (zt_read_frame (fds[c], body, sizeof body), sizes[c]);
            CHECK (zt_filled (body, sizes[c], c * ROUNDS + round));
        }
    }
    for (int c = 0; c < CLIENTS; c++)
        close (fds[c]);
    zt_term (ctx);
    zt_join (echo);
}

static const zt_case_t cases[] = {
  ZT_CASE (recv_truncates),
  ZT_CASE (msg_recv_never_truncates),
  ZT_CASE (empty_bodies),
  ZT_CASE (one_byte_bodies),
  ZT_CASE (huge_bodies),
  ZT_CASE (byte_by_byte),
  ZT_CASE (many_frames_in_one_segment),
  ZT_CASE (sizes_around_powers_of_two),
  ZT_CASE (interleaved_clients),
};

ZT_MAIN (cases)
