/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Memory that clients over TLS make a server take without a message.
 * usage: tls_attacks keys|hello|start|big CERTIFICATE KEY
 *
 * keys: 4 clients change their keys, ask for the server's change, and read nothing.
 * hello: 2,000 clients begin a handshake with a ClientHello, and no more.
 * start: the same, with the first bytes of one.
 * big: the same, with 12 KB of a record of 16 KB.
 * Resident memory and the statistic memory are told before, in an attack of 10 s,
 * and afterwards.
 */
#include "measure.h"

#include <fcntl.h>
#include <openssl/ssl.h>

enum { KEY_CLIENTS = 4, CLIENTS = 2000, ATTACK_S = 10 };

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

/* begin sends so many bytes of a first flight to the server, for each client. */
static void begin (int port, size_t most)
{
    static unsigned char bytes[12000] = {0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, 3, 3};
    size_t size = sizeof bytes;
    if (most != sizeof bytes) {
        SSL *ssl = new_client ();
        BIO *out = BIO_new (BIO_s_mem ());
        SSL_set_bio (ssl, BIO_new (BIO_s_mem ()), out);
        SSL_connect (ssl);
        size = (size_t) BIO_read (out, bytes, sizeof bytes);
    }
    for (int i = 0; i < CLIENTS; i++)
        if (send (dial (port), bytes, size < most ? size : most, 0) < 0)
            fail ("send");
    pause ();
}

static void hello (int port) { begin (port, 4096); }
static void start (int port) { begin (port, 40); }
static void big (int port) { begin (port, 12000); }

static void tell (void *s, const char *when, double before)
{
    zlink_stream_stats_t stats = stats_of (s);
    printf ("; %s resident +%.1f MB, memory %.1f MB", when, resident_mb () - before, (double) stats.memory / 1e6);
    fflush (stdout);
}

int main (int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run) (int port);
    } attacks[] = {{"keys", keys}, {"hello", hello}, {"start", start}, {"big", big}};
    size_t which = 0;
    while (which < 4 && argc > 3 && strcmp (attacks[which].name, argv[1]))
        which++;
    if (argc < 4 || which == 4) {
        fprintf (stderr, "usage: tls_attacks keys|hello|start|big CERTIFICATE KEY\n");
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
    sleep_ms (ATTACK_S * 1000 / 2);
    tell (s, "after 5 s", before);
    sleep_ms (ATTACK_S * 1000 / 2);
    tell (s, "after 10 s", before);
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
