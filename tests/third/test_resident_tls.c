/* SPDX-License-Identifier: MPL-2.0 */
/* The statistic memory grows as resident memory does, within a tenth and 2 MiB,
 * under handshakes that do not go on, and under changes of keys. What is garbage of a
 * flood goes back when it is over, so these wait for that. */
#include "ztest.h"
#include "zfast.h"
#include "zresident.h"
#include "zws.h"
#include "ztls.h"

#include "zchild.h"

#include <signal.h>
#include <sys/socket.h>

#ifdef HAVE_OPENSSL
#include <openssl/ssl.h>
#endif

enum
{
    CLIENTS = 450 / ZT_SCALE, /* all of them get a place */
    FIRST_CLIENTS = 200 / ZT_SCALE, /* fewer than CLIENTS */
    MOST_BYTES = 60000,
    KEY_CLIENTS = 100 / ZT_SCALE,
    KEY_ROUNDS = 100,
    KEY_MOST_KIB = 12 << 10 /* more than memory says: garbage between two collections */
};

static zt_fast_t open_server (void)
{
    zt_fast_t f = {.ctx = zt_ctx (), .fd = -1};
    f.s = zt_fast_socket (f.ctx);
    zt_set_int (f.s, ZLINK_LINGER, 0);
    zt_set_int (f.s, ZLINK_HANDSHAKE_IVL, 0); /* none ends by itself */
    zt_set_cert (f.s, "server");
    f.port = zt_bind_to (f.s, "tls://127.0.0.1:*");
    return f;
}

/* A first message of 64 KB begins, in records of 16 KB. */
static void claim (uint8_t *bytes)
{
    static const uint8_t record[] = {22, 3, 1, 0x40, 0};
    static const uint8_t message[] = {1, 0, 0xff, 0, 3, 3};
    for (size_t at = 0; at + sizeof record <= MOST_BYTES; at += sizeof record + 0x4000)
        memcpy (bytes + at, record, sizeof record);
    memcpy (bytes + sizeof record, message, sizeof message);
}

static void begin (zt_fast_t *f, int *fds, int count, const void *bytes, size_t size)
{
    for (int i = 0; i < count; i++) {
        fds[i] = zt_client (f->port);
        zt_write (fds[i], bytes, size);
    }
}

static void end (int *fds, int count)
{
    for (int i = 0; i < count; i++)
        close (fds[i]);
}

static long first; /* resident memory in KiB, with stacks, once there were clients */

/* What went before has gone back: then growth is seen from its start. */
static both_t settled (void *s)
{
#if ZT_SCALE == 1
    ZT_UNTIL (first == 0 || resident_kib () < first + SLACK_KIB / 2);
#endif
    return look (s);
}

/* size bytes of each client, for which at least so many are held. */
static void begun_with (size_t size, size_t held)
{
    static uint8_t bytes[MOST_BYTES];
    static int fds[CLIENTS];
    zt_raise_nofile ();
    zt_fast_t f = open_server ();
    claim (bytes);
    begin (&f, fds, FIRST_CLIENTS, bytes, size); /* code, stacks and Go's smallest heap */
    end (fds, FIRST_CLIENTS);
    ZT_UNTIL (stats_of (f.s).memory < 100 << 10);
    if (first == 0)
        first = resident_kib ();
    both_t before = settled (f.s);
    begin (&f, fds, CLIENTS, bytes, size);
    ZT_UNTIL (stats_of (f.s).memory > CLIENTS * held); /* all of it has come */
    ZT_UNTIL (grows_alike (f.s, before));
    end (fds, CLIENTS);
    zt_fast_close (&f);
}

static void first_bytes (void) { begun_with (40, 22 << 10); }
static void part_of_a_record (void) { begun_with (15000, 22 << 10); }
static void some_records (void) { begun_with (17000, 28 << 10); }
static void many_records (void) { begun_with (MOST_BYTES, 56 << 10); }

#ifdef HAVE_OPENSSL
/* A process of its own, whose memory is not the server's. Each change asks for one of
 * the server's, which is never read; data lies between them, as TLS has to bring some. */
static int change_keys (int port)
{
    static SSL *clients[KEY_CLIENTS];
    SSL_CTX *ctx = SSL_CTX_new (TLS_client_method ());
    signal (SIGPIPE, SIG_IGN);
    for (int i = 0; i < KEY_CLIENTS; i++) {
        clients[i] = SSL_new (ctx);
        SSL_set_fd (clients[i], zt_client (port));
        CHECK_EQ (SSL_connect (clients[i]), 1);
        CHECK_EQ (SSL_write (clients[i], "\x10\0\0\0", 4), 4); /* a message that goes on */
    }
    for (int round = 0; round < KEY_ROUNDS; round++)
        for (int i = 0; i < KEY_CLIENTS; i++) {
            for (int n = 0; n < 14; n++) {
                CHECK_EQ (SSL_key_update (clients[i], SSL_KEY_UPDATE_REQUESTED), 1);
                CHECK_EQ (SSL_do_handshake (clients[i]), 1);
            }
            CHECK_EQ (SSL_write (clients[i], "", 1), 1);
        }
    pause ();
    return 0;
}

/* Garbage cannot be counted byte by byte. What lies between two collections is little. */
static void changes_of_keys (void)
{
    char port[16];
    long most = 0;
    zt_fast_t f = open_server ();
    zt_set_int (f.s, ZLINK_STREAM_CLOSE_TIMEOUT, 500); /* what they sent may go unread */
    both_t before = settled (f.s);
    snprintf (port, sizeof port, "%d", f.port);
    zt_child_t child = zt_spawn (ZT_ARGV ("/proc/self/exe", "change_keys", port));
    for (int i = 0; i < KEY_CLIENTS; i++)
        zt_fast_event (f.s, ZLINK_STREAM_CONNECTED);
    for (int i = 0; i < 500; i++) {
        both_t now = look (f.s);
        long garbage = now.resident - before.resident - (now.told - before.told);
        most = garbage > most ? garbage : most;
        zt_pause_ms (10);
    }
    printf ("%ld KiB more are resident than memory tells\n", most);
    zt_kill (&child);
    for (int i = 0; i < KEY_CLIENTS; i++)
        zt_fast_event (f.s, ZLINK_STREAM_DISCONNECTED);
#if ZT_SCALE == 1
    CHECK (most <= KEY_MOST_KIB);
    ZT_UNTIL (resident_kib () <= before.resident + 2 * SLACK_KIB);
#endif
    zt_close (f.s);
    zt_term (f.ctx);
}
#else
static void changes_of_keys (void)
{
    zt_skip ("OpenSSL was not there when this was built");
}
#endif

static const zt_case_t cases[] = {
  ZT_CASE (changes_of_keys), /* the first, as a larger heap has fewer collections */
  ZT_CASE (first_bytes),
  ZT_CASE (part_of_a_record),
  ZT_CASE (some_records),
  ZT_CASE (many_records),
};

int main (int argc, char **argv)
{
#ifdef HAVE_OPENSSL
    if (argc == 3 && strcmp (argv[1], "change_keys") == 0)
        return change_keys (atoi (argv[2]));
#endif
    if (!zt_has_program ("openssl"))
        return SKIPPED;
    return zt_main (argc, argv, cases, sizeof cases / sizeof *cases);
}
