/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Memory that clients over TLS make a server take without a message.
 * usage: tls_attacks keys|start|hello|part|big CERTIFICATE KEY
 *
 * keys: 4 clients change their keys, ask for the server's change, and read nothing.
 * start: 2,000 clients begin a handshake with 40 bytes of a ClientHello, and no more.
 * hello: with a whole ClientHello. part: with 12 KB of a record of 16 KB. big: with
 * 48 KB of a first message of 64 KB.
 * Resident memory and the statistic memory are told before, in the attack (10 s;
 * keys: 40 s), and afterwards.
 */
#include "measure.h"

#include <fcntl.h>
#include <openssl/ssl.h>

enum
{
    KEY_CLIENTS = 4,
    CLIENTS = 2000
};

static SSL *new_client (void)
{
    static SSL_CTX *ctx;
    if (ctx == NULL) {
        ctx = SSL_CTX_new (TLS_client_method ());
        SSL_CTX_set_ciphersuites (ctx, "TLS_AES_128_GCM_SHA256");
    }
    return SSL_new (ctx);
}

/* change_keys blocks when the server does not read any more. */
static void *change_keys (void *arg)
{
    SSL *ssl = new_client ();
    SSL_set_fd (ssl, dial (*(int *) arg));
    if (SSL_connect (ssl) != 1)
        fail ("SSL_connect");
    SSL_write (ssl, "\x10\0\0\0", 4); /* a message that goes on */
    for (;;) {
        for (int i = 0; i < 14; i++)
            if (SSL_key_update (ssl, SSL_KEY_UPDATE_REQUESTED) != 1 || SSL_do_handshake (ssl) != 1)
                return NULL;
        SSL_write (ssl, "", 1);
    }
}

static void keys (int port)
{
    pthread_t threads[KEY_CLIENTS];
    for (int i = 0; i < KEY_CLIENTS; i++)
        pthread_create (&threads[i], NULL, change_keys, &port);
    pause ();
}

/* claim makes bytes of a first message of 64 KB, in records of 16 KB. */
static size_t claim (unsigned char *bytes, size_t most)
{
    static const unsigned char record[] = {0x16, 3, 1, 0x40, 0}, message[] = {1, 0, 0xff, 0, 3, 3};
    for (size_t at = 0; at < most; at += sizeof record + 0x4000)
        memcpy (bytes + at, record, sizeof record);
    memcpy (bytes + sizeof record, message, sizeof message);
    return most;
}

static size_t client_hello (unsigned char *bytes, size_t most)
{
    SSL *ssl = new_client ();
    BIO *out = BIO_new (BIO_s_mem ());
    SSL_set_bio (ssl, BIO_new (BIO_s_mem ()), out);
    SSL_connect (ssl);
    int size = BIO_read (out, bytes, 4096);
    return (size_t) size < most ? (size_t) size : most;
}

/* begin sends the same first bytes to the server, for each client. */
static void begin (int port, const unsigned char *bytes, size_t size)
{
    for (int i = 0; i < CLIENTS; i++) {
        int fd = dial (port);
        for (size_t done = 0; done < size;) {
            ssize_t n = send (fd, bytes + done, size - done, 0);
            if (n < 0)
                break; /* the server has ended it */
            done += (size_t) n;
        }
    }
    pause ();
}

static unsigned char first[64 << 10];

static void start (int port) { begin (port, first, client_hello (first, 40)); }
static void hello (int port) { begin (port, first, client_hello (first, 4096)); }
static void part (int port) { begin (port, first, claim (first, 12000)); }
static void big (int port) { begin (port, first, claim (first, 48000)); }

static void tell (void *s, const char *when, double before)
{
    zlink_stream_stats_t stats = stats_of (s);
    printf ("; %s resident +%.1f MB, memory %.1f MB", when, resident_mb () - before, (double) stats.memory / 1e6);
    fflush (stdout);
}

int main (int argc, char **argv)
{
    static const struct
    {
        const char *name;
        void (*run) (int port);
    } attacks[] = {{"keys", keys}, {"start", start}, {"hello", hello}, {"part", part}, {"big", big}};
    const size_t count = sizeof attacks / sizeof attacks[0];
    size_t which = 0;
    while (which < count && argc > 3 && strcmp (attacks[which].name, argv[1]))
        which++;
    if (argc < 4 || which == count) {
        fprintf (stderr, "usage: tls_attacks keys|start|hello|part|big CERTIFICATE KEY\n");
        return 2;
    }
    many_descriptors ();
    struct child attacker = new_child (attacks[which].run);
    void *ctx = zlink_ctx_new (), *s = fast_socket (ctx);
    certify (s, argv[2], argv[3]);
    set_int (s, ZLINK_LINGER, 0);
    int port = bind_any (s, "tls");
    pthread_t thread;
    pthread_create (&thread, NULL, echo, s);
    sleep_ms (500);
    double before = resident_mb ();
    printf ("tls_attacks %-5s before %.1f MB", argv[1], before);
    start_child (&attacker, port);
    for (int i = 1; i <= 2; i++) {
        char when[20];
        int half = which == 0 ? 20 : 5;
        sleep_ms (half * 1000);
        snprintf (when, sizeof when, "after %d s", i * half);
        tell (s, when, before);
    }
    end_child (&attacker);
    sleep_ms (5000);
    tell (s, "5 s after its end", before);
    sleep_ms (5000);
    tell (s, "10 s", before);
    putchar ('\n');
    zlink_ctx_shutdown (ctx);
    pthread_join (thread, NULL);
    zlink_close (s);
    zlink_ctx_term (ctx);
    return 0;
}
