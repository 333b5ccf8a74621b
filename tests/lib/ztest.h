/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Test harness: checks, a watchdog, and the two ends of a STREAM connection.
 * Include it first. A failed check prints what was found and ends the process.
 */
#ifndef ZTEST_H_INCLUDED
#define ZTEST_H_INCLUDED

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <zlink.h>

/* Divides the load of the heavy tests; more than 1 in sanitized builds. */
#ifndef ZT_SCALE
#define ZT_SCALE 1
#endif

#define ZT_EVENT_CONNECT 0x01
#define ZT_EVENT_DISCONNECT 0x00

/* ------------------------------------------------------------------ cases */

typedef struct zt_case_t
{
    const char *name;
    void (*run) (void);
} zt_case_t;

#define ZT_CASE(function) {#function, function}

/* Runs the cases, or those named by the arguments, each under the watchdog. */
int zt_main (int argc, char **argv, const zt_case_t *cases, size_t count);

/* Says that the case, or a part of it, cannot run here, and why: it does not count
 * as passed. The caller returns, or goes on with the rest. */
void zt_skip (const char *format, ...) __attribute__ ((format (printf, 1, 2)));

#define ZT_MAIN(cases)                                                        \
    int main (int argc, char **argv)                                          \
    {                                                                         \
        return zt_main (argc, argv, cases, sizeof (cases) / sizeof (*cases)); \
    }

/* ----------------------------------------------------------------- checks */

void zt_check (bool ok, const char *file, int line, const char *expr);
void zt_check_eq (
  long long actual, long long expected, const char *file, int line,
  const char *expr);
void zt_check_mem (const void *actual, const void *expected, size_t size,
                   const char *file, int line, const char *expr);
void zt_check_str (const char *actual, const char *expected, const char *file,
                   int line, const char *expr);
void zt_check_range (double actual, double low, double high, const char *file,
                     int line, const char *expr);
void zt_check_fail (bool failed, int err, const char *file, int line,
                    const char *expr);
void zt_poll_pause (const char *file, int line, const char *expr);

#define CHECK(cond) zt_check ((cond), __FILE__, __LINE__, #cond)
#define CHECK_EQ(actual, expected)                                       \
    zt_check_eq ((long long) (actual), (long long) (expected), __FILE__, \
                 __LINE__, #actual " == " #expected)
#define CHECK_MEM(actual, expected, size)                     \
    zt_check_mem (actual, expected, size, __FILE__, __LINE__, \
                  #actual " has the bytes of " #expected)
#define CHECK_STR(actual, expected)                     \
    zt_check_str (actual, expected, __FILE__, __LINE__, \
                  #actual " is " #expected)
#define CHECK_RANGE(actual, low, high)                     \
    zt_check_range (actual, low, high, __FILE__, __LINE__, \
                    #actual " in [" #low ", " #high "]")
#define CHECK_OK(call) zt_check_eq ((call), 0, __FILE__, __LINE__, #call)
#define CHECK_FAIL(call, err)                             \
    zt_check_fail ((call) == -1, err, __FILE__, __LINE__, \
                   #call " fails with " #err)
#define CHECK_NULL(call, err)                               \
    zt_check_fail ((call) == NULL, err, __FILE__, __LINE__, \
                   #call " is NULL with " #err)

/* A wait since start_ms took its time; that it ended is the watchdog's matter. */
#define CHECK_WAITED(start_ms, least_ms)                                   \
    zt_check (zt_now_ms () - (start_ms) >= (least_ms), __FILE__, __LINE__, \
              "waited for " #least_ms " ms at least")

/* Longer than the watchdog waits: who waits for all of it does not pass. */
#define ZT_TOO_LONG_MS 600000

/* Waits until a condition holds; the watchdog names it when it never does. */
#define ZT_UNTIL(cond)                                 \
    do {                                               \
        while (!(cond))                                \
            zt_poll_pause (__FILE__, __LINE__, #cond); \
        zt_poll_pause (NULL, 0, NULL);                 \
    } while (0)

/* ---------------------------------------------------------------- process */

double zt_now_ms (void);
void zt_pause_ms (int ms);
size_t zt_fd_count (void);
/* Resident memory without the pages of files, which come and go by themselves. */
size_t zt_rss_kb (void);
void zt_raise_nofile (void);
/* All descriptors are in use: copies of 0 fill the places below the limit, which lies a little
 * above the highest one that is open. */
typedef struct
{
    struct rlimit limit; /* before */
    int fds[4096], count;
} zt_full_t;
void zt_fill_descriptors (zt_full_t *full);
void zt_free_descriptors (const zt_full_t *full);
pthread_t zt_thread (void *(*run) (void *), void *arg);
void zt_join (pthread_t thread);

/* ------------------------------------------------------------------- data */

/* Bytes that follow from the seed; none is 0x00 or 0x01. */
void zt_fill (void *buf, size_t size, uint32_t seed);
bool zt_filled (const void *buf, size_t size, uint32_t seed);
uint32_t zt_random (uint32_t *state);
void zt_put32 (void *buf, uint32_t value);
uint32_t zt_get32 (const void *buf);

/* ---------------------------------------------------------- STREAM sockets */

void *zt_ctx (void);
void *zt_socket (void *ctx);
void zt_set_int (void *s, int option, int value);
int zt_get_int (void *s, int option);
void zt_close (void *s);
void zt_term (void *ctx);

/* Binds to tcp://127.0.0.1:* and returns the port. */
int zt_bind (void *s);
void zt_connect (void *s, int port);
/* The endpoint of a port on 127.0.0.1, in a buffer of the calling thread. */
const char *zt_endpoint (int port);
/* A port on 127.0.0.1 nobody listens on. */
int zt_free_port (void);

bool zt_same_id (const zlink_routing_id_t *a, const zlink_routing_id_t *b);
uint32_t zt_id_number (const zlink_routing_id_t *id);

/* Receives the two frames of a message; returns the size of the body, which
 * has to fit. */
size_t zt_recv (void *s, zlink_routing_id_t *id, void *body, size_t cap);
void zt_recv_msg (void *s, zlink_routing_id_t *id, zlink_msg_t *body);
/* The next message is exactly this one, from this peer. */
void zt_expect (void *s, const zlink_routing_id_t *id, const void *body,
                size_t size);
/* The next message is a connect event; stores its id. */
void zt_expect_connect (void *s, zlink_routing_id_t *id);
/* The next message is this peer's disconnect event. */
void zt_expect_disconnect (void *s, const zlink_routing_id_t *id);
/* Nothing waits, and nothing comes within ms. */
void zt_expect_silence (void *s, int ms);

void zt_send (void *s, const zlink_routing_id_t *id, const void *body,
              size_t size);
/* Sends both frames; false, with errno, when either is refused. A refused send
 * leaves nothing behind: the next one starts with the id frame. */
bool zt_try_send (void *s, const zlink_routing_id_t *id, const void *body,
                  size_t size, int flags);

/* Echoes every message but one-byte ones, until ETERM, and closes the socket;
 * a thread function. Peers that are gone are skipped. */
void *zt_echo (void *s);

/* A server with one plain client, whose connect event is received. */
typedef struct zt_pair_t
{
    void *ctx, *server;
    int port, fd;
    zlink_routing_id_t id;
    uint32_t sent; /* for the case to count */
} zt_pair_t;

zt_pair_t zt_pair (void);
/* The same in two steps: between them the server's options are set. The client is
 * zt_client or zt_small_client. */
/* Lifts the bounds on queued bytes, for a test that queues more for a peer that is stuck. */
void zt_unbounded (void *s);

zt_pair_t zt_pair_begin (void);
void zt_pair_join (zt_pair_t *p, int (*client) (int port));
/* Closes the client, the server and the context. */
void zt_pair_end (zt_pair_t *p);

/* ------------------------------------------------------- plain TCP sockets */

int zt_listen (int *port);
int zt_accept (int listener);
int zt_client (int port);
/* As zt_client with small kernel buffers, so that little is on the way. */
int zt_small_client (int port);
/* Connects; -1 with errno when it fails. */
int zt_try_client (int port);
void zt_write (int fd, const void *buf, size_t size);
void zt_write_frame (int fd, const void *body, size_t size);
void zt_read (int fd, void *buf, size_t size);
/* Reads one frame; returns the size of the body, which has to fit. */
size_t zt_read_frame (int fd, void *body, size_t cap);
/* The peer closes, and has sent nothing more. */
void zt_expect_eof (int fd);
/* Closes with RST. */
void zt_reset (int fd);
/* Whether ::1 can be used; tells that tests are skipped when not. */
bool zt_has_ipv6 (void);
/* Bytes that arrived for the port's connections and were not read yet. */
size_t zt_unread_bytes (int port);

#endif
