/* SPDX-License-Identifier: MPL-2.0 */
/* The mode FAST: waiting, high-water marks, linger and the end. */
#include "ztest.h"
#include "zfast.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#define HWM_MESSAGES 10
#define BODY_BYTES 10000
#define TIMEOUT_MS 100
/* Far above what high-water mark and kernel buffers hold together. */
#define MAX_ACCEPTED 1000

/* Sends numbered messages until none has gone for a while; returns how many. */
static uint32_t fill_queue (zt_fast_t *f)
{
    uint32_t sent = 0;
    zlink_msg_t msg;
    for (int refused = 0; refused < 5;) {
        zt_fast_fill (&msg, f->peer, sent, BODY_BYTES);
        if (zlink_msg_send (&msg, f->s, ZLINK_DONTWAIT) == -1) {
            CHECK_EQ (errno, EAGAIN);
            zt_fast_filled (&msg, f->peer, sent, BODY_BYTES);
            refused++;
            zt_pause_ms (150); /* small windows go out by timers of the system */
        } else {
            CHECK (++sent < MAX_ACCEPTED);
            refused = 0;
        }
        CHECK_OK (zlink_msg_close (&msg));
    }
    return sent;
}

static int send_number (zt_fast_t *f, uint32_t number)
{
    zlink_msg_t msg;
    zt_fast_fill (&msg, f->peer, number, BODY_BYTES);
    int rc = zlink_msg_send (&msg, f->s, 0), err = errno;
    CHECK_OK (zlink_msg_close (&msg));
    errno = err;
    return rc;
}

static void poll_and_receive (void)
{
    zt_fast_t f = zt_fast_open ();
    zlink_pollitem_t item = {f.s, 0, ZLINK_POLLIN, 0};
    zlink_msg_t msgs[4];

    zt_fast_init_all (msgs, 4);
    CHECK_EQ (zlink_poll (&item, 1, 0), 0);
    CHECK_EQ (zlink_poll (&item, 1, 20), 0);
    uint8_t frames[] = {0, 0, 0, 0, 0, 0, 0, 1, 0};
    zt_write (f.fd, frames, sizeof frames);
    CHECK_EQ (zlink_poll (&item, 1, -1), 1);
    CHECK_EQ (item.revents, ZLINK_POLLIN);
    CHECK_EQ (zlink_msg_recv (&msgs[0], f.s, ZLINK_DONTWAIT), 0);
    CHECK_EQ (zlink_poll (&item, 1, -1), 1); /* one is left of the read */
    CHECK_EQ (zlink_stream_recv_batch (f.s, msgs, 4, ZLINK_DONTWAIT), 1);
    zt_fast_is (&msgs[0], f.peer, "\0", 1);
    CHECK_EQ (zlink_poll (&item, 1, 0), 0);
    item.events = ZLINK_POLLOUT;
    CHECK_EQ (zlink_poll (&item, 1, 0), 1);
    item.events = ZLINK_POLLIN;
    close (f.fd);
    CHECK_EQ (zlink_poll (&item, 1, -1), 1);
    CHECK_EQ (zt_fast_event (f.s, ZLINK_STREAM_DISCONNECTED), f.peer);
    zt_fast_close_all (msgs, 4);
    zt_close (f.s);
    zt_term (f.ctx);
}

/* An event loop that takes all there is each time the descriptor says so. */
static void descriptor (void)
{
    enum
    {
        count = 2000
    };
    zt_fast_t f = zt_fast_open ();
    struct pollfd pfd = {zt_get_int (f.s, ZLINK_FD), POLLIN, 0};
    zlink_msg_t msgs[7];
    uint32_t got = 0, sent = 0;

    zt_fast_init_all (msgs, 7);
    CHECK_EQ (zt_get_int (f.s, ZLINK_EVENTS) & ZLINK_POLLIN, 0);
    while (got < count) {
        for (uint32_t end = sent + 1 + sent % 20; sent < end && sent < count;
             sent++) {
            uint8_t body[4];
            zt_put32 (body, sent);
            zt_write_frame (f.fd, body, sizeof body);
        }
        CHECK_EQ (poll (&pfd, 1, 30000), 1);
        while (zt_get_int (f.s, ZLINK_EVENTS) & ZLINK_POLLIN) {
            int n = zlink_stream_recv_batch (f.s, msgs, 7, ZLINK_DONTWAIT);
            CHECK_RANGE (n, 1, 7);
            for (int i = 0; i < n; i++)
                CHECK_EQ (zt_get32 (zlink_msg_data (&msgs[i])), got++);
        }
    }
    zt_fast_close_all (msgs, 7);
    zt_fast_close (&f);
}

static void receive_timeouts (void)
{
    zt_fast_t f = zt_fast_open ();
    zlink_msg_t msg;

    CHECK_OK (zlink_msg_init (&msg));
    zt_set_int (f.s, ZLINK_RCVTIMEO, ZT_TOO_LONG_MS);
    CHECK_FAIL (zlink_msg_recv (&msg, f.s, ZLINK_DONTWAIT), EAGAIN);
    zt_set_int (f.s, ZLINK_RCVTIMEO, TIMEOUT_MS);
    double start = zt_now_ms ();
    CHECK_FAIL (zlink_msg_recv (&msg, f.s, 0), EAGAIN);
    CHECK_FAIL (zlink_stream_recv_batch (f.s, &msg, 1, 0), EAGAIN);
    CHECK_WAITED (start, 2 * TIMEOUT_MS - 20);
    zt_set_int (f.s, ZLINK_RCVTIMEO, 0);
    CHECK_FAIL (zlink_msg_recv (&msg, f.s, 0), EAGAIN);
    CHECK_OK (zlink_msg_close (&msg));
    zt_fast_close (&f);
}

static void sndhwm_refuses (void)
{
    zt_fast_t f = zt_fast_open_small (HWM_MESSAGES);
    uint32_t sent = fill_queue (&f);

    CHECK_RANGE (sent, HWM_MESSAGES, MAX_ACCEPTED);
    zt_set_int (f.s, ZLINK_SNDTIMEO, TIMEOUT_MS);
    double start = zt_now_ms ();
    CHECK_FAIL (send_number (&f, sent), EAGAIN);
    CHECK_WAITED (start, TIMEOUT_MS - 10);
    zt_set_int (f.s, ZLINK_SNDTIMEO, 0);
    CHECK_FAIL (send_number (&f, sent), EAGAIN);
    CHECK (strlen (zlink_error_detail ()) > 0);
    for (uint32_t i = 0; i < sent; i++)
        zt_fast_read (f.fd, i, BODY_BYTES);
    zt_set_int (f.s, ZLINK_SNDTIMEO, -1);
    CHECK_EQ (send_number (&f, sent), BODY_BYTES);
    zt_fast_read (f.fd, sent, BODY_BYTES);
    CHECK_OK (zlink_stream_close_peer (f.s, f.peer));
    zt_expect_eof (f.fd); /* what was refused never comes */
    zt_fast_close (&f);
}

typedef struct sender_t
{
    zt_fast_t *f;
    uint32_t number;
    bool on; /* sends until it is refused */
    int rc, err;
    atomic_bool done;
} sender_t;

static void *send_one (void *arg)
{
    sender_t *sender = arg;
    uint32_t number = sender->number;
    do
        sender->rc = send_number (sender->f, number++);
    while (sender->on && sender->rc >= 0);
    sender->err = errno;
    atomic_store (&sender->done, true);
    return NULL;
}

/* Fills the queue and starts a send that blocks. The kernel may still take a
 * little, and let a send pass. */
static pthread_t block_sender (sender_t *sender)
{
    sender->number = fill_queue (sender->f);
    for (;; sender->number++) {
        CHECK (sender->number < MAX_ACCEPTED);
        atomic_store (&sender->done, false);
        pthread_t thread = zt_thread (send_one, sender);
        zt_pause_ms (100);
        if (!atomic_load (&sender->done))
            return thread;
        zt_join (thread);
        CHECK_EQ (sender->rc, BODY_BYTES);
    }
}

/* Whether the owner of the socket sleeps in a receive or is elsewhere. */
static void blocked_send_is_released (void)
{
    zt_fast_t f = zt_fast_open_small (HWM_MESSAGES);
    sender_t sender = {.f = &f};
    pthread_t thread = block_sender (&sender);

    for (uint32_t i = 0; i <= sender.number; i++)
        zt_fast_read (f.fd, i, BODY_BYTES);
    zt_join (thread);
    CHECK_EQ (sender.rc, BODY_BYTES);
    zt_fast_close (&f);
}

static void blocked_send_while_receiving (void)
{
    zt_fast_t f = zt_fast_open_small (HWM_MESSAGES);
    sender_t sender = {.f = &f};
    pthread_t thread = block_sender (&sender);

    zt_write_frame (f.fd, "in between", 10);
    zt_fast_expect (f.s, f.peer, "in between", 10);
    CHECK (!atomic_load (&sender.done));
    for (uint32_t i = 0; i <= sender.number; i++)
        zt_fast_read (f.fd, i, BODY_BYTES);
    zt_join (thread);
    CHECK_EQ (sender.rc, BODY_BYTES);
    zt_write_frame (f.fd, "after", 5);
    zt_fast_expect (f.s, f.peer, "after", 5);
    zt_fast_close (&f);
}

static void blocked_send_to_vanishing_peer (void)
{
    zt_fast_t f = zt_fast_open_small (HWM_MESSAGES);
    sender_t sender = {.f = &f, .on = true};
    pthread_t thread = block_sender (&sender);

    zt_reset (f.fd);
    zt_join (thread);
    CHECK_EQ (sender.rc, -1);
    CHECK_EQ (sender.err, EHOSTUNREACH);
    CHECK_EQ (zt_fast_event (f.s, ZLINK_STREAM_DISCONNECTED), f.peer);
    zt_close (f.s);
    zt_term (f.ctx);
}

static void *receive_one (void *arg)
{
    sender_t *receiver = arg;
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    receiver->rc = zt_fast_recv (receiver->f->s, &msg, ZLINK_STREAM_DATA);
    receiver->err = errno;
    CHECK_OK (zlink_msg_close (&msg));
    atomic_store (&receiver->done, true);
    return NULL;
}

/* One thread receives and one sends: both end with ETERM. */
static void shutdown_while_blocked (void)
{
    zt_fast_t f = zt_fast_open_small (HWM_MESSAGES);
    sender_t sender = {.f = &f, .on = true}, receiver = {.f = &f};

    zt_set_int (f.s, ZLINK_LINGER, 0);
    pthread_t sending = block_sender (&sender);
    pthread_t receiving = zt_thread (receive_one, &receiver);
    zt_pause_ms (50);
    CHECK_OK (zlink_ctx_shutdown (f.ctx));
    zt_join (sending);
    zt_join (receiving);
    CHECK_EQ (sender.rc, -1);
    CHECK_EQ (sender.err, ETERM);
    CHECK_EQ (receiver.rc, -1);
    CHECK_EQ (receiver.err, ETERM);
    zt_fast_close (&f);
}

static void on_signal (int number)
{
    (void) number;
}

static void signals_interrupt (void)
{
    struct sigaction action, old;
    zt_fast_t f = zt_fast_open_small (HWM_MESSAGES);
    sender_t sender = {.f = &f, .on = true}, receiver = {.f = &f};

    memset (&action, 0, sizeof action);
    action.sa_handler = on_signal;
    CHECK_OK (sigaction (SIGUSR1, &action, &old));
    pthread_t sending = block_sender (&sender);
    pthread_t receiving = zt_thread (receive_one, &receiver);
    while (!atomic_load (&sender.done) || !atomic_load (&receiver.done)) {
        if (!atomic_load (&sender.done))
            CHECK_OK (pthread_kill (sending, SIGUSR1));
        if (!atomic_load (&receiver.done))
            CHECK_OK (pthread_kill (receiving, SIGUSR1));
        zt_pause_ms (5);
    }
    zt_join (sending);
    zt_join (receiving);
    CHECK_EQ (sender.rc, -1);
    CHECK_EQ (sender.err, EINTR);
    CHECK_EQ (receiver.rc, -1);
    CHECK_EQ (receiver.err, EINTR);
    CHECK_OK (sigaction (SIGUSR1, &old, NULL));
    zt_set_int (f.s, ZLINK_LINGER, 0);
    zt_fast_close (&f);
}

/* At RCVHWM the peer is no longer read; nothing is lost. */
static void rcvhwm_pushes_back (void)
{
    enum
    {
        frame_bytes = 4 + 1000
    };
    zt_fast_t f = zt_fast_open_small (HWM_MESSAGES);
    uint8_t frame[frame_bytes];
    size_t written = 0;
    double taken_ms = zt_now_ms ();
    zlink_msg_t msg;

    zt_put32 (frame, 1000);
    while (zt_now_ms () - taken_ms < 300) {
        size_t at = written % frame_bytes;
        zt_fill (frame + 4, 1000, (uint32_t) (written / frame_bytes));
        ssize_t n = send (f.fd, frame + at, frame_bytes - at,
                          MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n == -1) {
            CHECK_EQ (errno, EAGAIN);
            zt_pause_ms (1);
            continue;
        }
        written += (size_t) n;
        CHECK (written < 16u << 20);
        taken_ms = zt_now_ms ();
    }
    CHECK_OK (zlink_msg_init (&msg));
    uint32_t whole = (uint32_t) (written / frame_bytes);
    CHECK (whole > HWM_MESSAGES);
    for (uint32_t i = 0; i < whole; i++) {
        CHECK_EQ (zt_fast_recv (f.s, &msg, ZLINK_STREAM_DATA), 1000);
        zt_fast_filled (&msg, f.peer, i, 1000);
    }
    CHECK_OK (zlink_msg_close (&msg));
    zt_fast_close (&f);
}

/* What is queued at zlink_close goes out, or not, as LINGER says. */
static void linger (void)
{
    for (int discard = 0; discard < 2; discard++) {
        zt_fast_t f = zt_fast_open_small (HWM_MESSAGES);
        uint32_t sent = fill_queue (&f), read = 0;
        uint8_t body[BODY_BYTES], head[4];

        zt_set_int (f.s, ZLINK_LINGER, discard ? 0 : -1);
        zt_close (f.s);
        if (discard)
            zt_term (f.ctx); /* waits for nothing */
        while (recv (f.fd, head, 4, MSG_WAITALL) == 4) {
            CHECK_EQ (zt_get32 (head), BODY_BYTES);
            if (recv (f.fd, body, sizeof body, MSG_WAITALL) != BODY_BYTES)
                break;
            CHECK (zt_filled (body, sizeof body, read++));
        }
        if (discard)
            CHECK (read < sent);
        else {
            CHECK_EQ (read, sent);
            zt_term (f.ctx);
        }
        close (f.fd);
    }
}

static const zt_case_t cases[] = {
  ZT_CASE (poll_and_receive),
  ZT_CASE (descriptor),
  ZT_CASE (receive_timeouts),
  ZT_CASE (sndhwm_refuses),
  ZT_CASE (blocked_send_is_released),
  ZT_CASE (blocked_send_while_receiving),
  ZT_CASE (blocked_send_to_vanishing_peer),
  ZT_CASE (shutdown_while_blocked),
  ZT_CASE (signals_interrupt),
  ZT_CASE (rcvhwm_pushes_back),
  ZT_CASE (linger),
};

ZT_MAIN (cases)
