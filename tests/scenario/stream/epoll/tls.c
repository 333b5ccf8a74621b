/* SPDX-License-Identifier: MPL-2.0 */
/* TLS 1.3 by OpenSSL, below the bare echo or below WebSocket. In a handshake OpenSSL
 * reads the descriptor, never more than a record. Later it reads what the loop has
 * read, and writes its records over that, which has been taken by then: one read and
 * one write of the descriptor, whatever the number of records. */
#include "protocol.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_SIZE (16 * 1024) /* payload of the longest record */

struct connection
{
    SSL *ssl;
    bool secure; /* its handshake is done */
    _Alignas (8) uint8_t above[];
};

/* What the thread's present connection reads and writes. */
static _Thread_local const struct channel *channel; /* in a handshake, else NULL */
static _Thread_local struct buffer *records;        /* at and len: not yet taken */
static _Thread_local uint8_t *records_end;
static _Thread_local struct buffer *plain;

static struct protocol protocol;
static const struct protocol *above;
static SSL_CTX *context;
static BIO_METHOD *records_method;
static size_t plain_size;

/* ------------------------------------------------------------------ records */

static int read_records (BIO *bio, char *bytes, int size)
{
    BIO_clear_retry_flags (bio);
    ssize_t got;
    if (channel) {
        got = channel->read (channel->of, bytes, (size_t) size, false);
        if (got >= 0 || errno != EAGAIN)
            return (int) got;
    } else {
        got = records->len < (size_t) size ? (ssize_t) records->len : size;
        memcpy (bytes, records->at, (size_t) got);
        records->at += got;
        records->len -= (size_t) got;
        if (got > 0)
            return (int) got;
    }
    BIO_set_retry_read (bio);
    return -1;
}

static int write_records (BIO *bio, const char *bytes, int len)
{
    (void) bio;
    if (channel)
        return channel->write (channel->of, bytes, (size_t) len) ? len : -1;
    memcpy (records_end, bytes, (size_t) len);
    records_end += len;
    return len;
}

static long control_records (BIO *bio, int command, long number, void *pointer)
{
    (void) bio, (void) number, (void) pointer;
    return command == BIO_CTRL_FLUSH;
}

/* --------------------------------------------------------------- handshakes */

static ssize_t read_plain (void *of, void *bytes, size_t size, bool peek)
{
    int got = peek ? SSL_peek (of, bytes, (int) size)
                   : SSL_read (of, bytes, (int) size);
    if (got <= 0 && SSL_get_error (of, got) == SSL_ERROR_WANT_READ)
        errno = EAGAIN;
    return got;
}

static bool write_plain (void *of, const void *bytes, size_t len)
{
    return SSL_write (of, bytes, (int) len) == (int) len;
}

static bool start (struct connection *connection)
{
    BIO *bio = BIO_new (records_method);
    connection->ssl = SSL_new (context);
    if (!bio || !connection->ssl)
        return false;
    BIO_set_init (bio, 1);
    SSL_set_bio (connection->ssl, bio, bio);
    SSL_set_accept_state (connection->ssl);
    return true;
}

static enum opened shake_hands (struct connection *connection)
{
    if (!connection->ssl && !start (connection))
        return OPENS_NEVER;
    if (!connection->secure) {
        int done = SSL_do_handshake (connection->ssl);
        if (done != 1)
            return SSL_get_error (connection->ssl, done) == SSL_ERROR_WANT_READ
                     ? OPENS_LATER
                     : OPENS_NEVER;
        connection->secure = true;
    }
    struct channel inner = {read_plain, write_plain, connection->ssl};
    return above ? above->open (connection->above, &inner) : OPENED;
}

static enum opened open_tls (void *state, const struct channel *below)
{
    channel = below;
    enum opened opened = shake_hands (state);
    channel = NULL;
    ERR_clear_error ();
    return opened;
}

/* ----------------------------------------------------------------- payloads */

/* Decrypts all that was read. False: the peer breaks the protocol, or said goodbye. */
static bool decrypt (SSL *ssl)
{
    plain->at = plain->bytes + BUFFER_ROOM;
    plain->len = 0;
    for (;;) {
        int got = SSL_read (ssl, plain->at + plain->len,
                            (int) (plain_size - plain->len));
        if (got <= 0)
            return SSL_get_error (ssl, got) == SSL_ERROR_WANT_READ;
        plain->len += (size_t) got;
    }
}

static bool answer_tls (void *state, struct buffer *buffer)
{
    struct connection *connection = state;
    if (!plain)
        plain = malloc (sizeof *plain + BUFFER_ROOM + plain_size);
    records = buffer;
    if (!plain || !decrypt (connection->ssl)
        || (above && !above->answer (connection->above, plain))) {
        ERR_clear_error ();
        return false;
    }
    buffer->at = records_end = buffer->bytes;
    if (plain->len > 0
        && SSL_write (connection->ssl, plain->at, (int) plain->len)
             != (int) plain->len)
        return false;
    buffer->len = (size_t) (records_end - buffer->at);
    return true;
}

static void close_tls (void *state)
{
    struct connection *connection = state;
    SSL_free (connection->ssl);
    connection->ssl = NULL;
}

static void leave_tls (void) { free (plain); }

/* ------------------------------------------------------------------ context */

static SSL_CTX *make_context (const char *certificate, const char *key)
{
    SSL_CTX *made = SSL_CTX_new (TLS_server_method ());
    if (!made || SSL_CTX_use_certificate_chain_file (made, certificate) != 1
        || SSL_CTX_use_PrivateKey_file (made, key, SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp (stderr);
        return NULL;
    }
    SSL_CTX_set_min_proto_version (made, TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode (made, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets (made, 0);
    /* A connection that is silent holds no buffer. */
    SSL_CTX_set_mode (made, SSL_MODE_RELEASE_BUFFERS);
    return made;
}

const struct protocol *tls_protocol (const struct protocol *of,
                                     const char *certificate,
                                     const char *key,
                                     size_t buffer_size)
{
    if (!certificate || !key) {
        fprintf (stderr, "TLS_CERT and TLS_KEY are needed\n");
        return NULL;
    }
    above = of;
    plain_size = buffer_size + RECORD_SIZE;
    context = make_context (certificate, key);
    records_method = BIO_meth_new (BIO_TYPE_SOURCE_SINK, "records");
    if (!context || !records_method
        || !BIO_meth_set_read (records_method, read_records)
        || !BIO_meth_set_write (records_method, write_records)
        || !BIO_meth_set_ctrl (records_method, control_records))
        return NULL;
    protocol = (struct protocol) {
      .state_size =
        sizeof (struct connection) + (above ? above->state_size : 0),
      .open = open_tls,
      .answer = answer_tls,
      .close = close_tls,
      .leave = leave_tls};
    return &protocol;
}
