/* SPDX-License-Identifier: MPL-2.0 */
/* TLS 1.3 with OpenSSL. It reads from and writes to memory that all connections
 * share: what one connection leaves unread, a part of a record, OpenSSL keeps. */
#include "layer.h"
#include "protocol_error.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_SIZE (16 * 1024) /* payload of the longest record */

struct shared
{
    SSL_CTX *context;
    BIO_METHOD *memory;
    const char *host;
    struct span input; /* what is left of the connection's input */
    uint8_t *plain;    /* what decode gave out last */
    size_t plain_size;
    uint8_t *records; /* what is to be sent */
    size_t records_len, records_size;
    bool complained;
};

struct connection
{
    struct shared *shared;
    SSL *ssl;
};

/* ------------------------------------------------------------------- memory */

static int memory_read (BIO *bio, char *bytes, int size)
{
    struct shared *shared = BIO_get_data (bio);
    BIO_clear_retry_flags (bio);
    size_t len = shared->input.len;
    if (len == 0) {
        BIO_set_retry_read (bio);
        return -1;
    }
    if (len > (size_t) size)
        len = (size_t) size;
    memcpy (bytes, shared->input.bytes, len);
    shared->input.bytes += len;
    shared->input.len -= len;
    return (int) len;
}

static int memory_write (BIO *bio, const char *bytes, int len)
{
    struct shared *shared = BIO_get_data (bio);
    size_t needed = shared->records_len + (size_t) len;
    if (needed > shared->records_size) {
        uint8_t *larger = realloc (shared->records, 2 * needed);
        if (!larger)
            return -1;
        shared->records = larger;
        shared->records_size = 2 * needed;
    }
    memcpy (shared->records + shared->records_len, bytes, (size_t) len);
    shared->records_len = needed;
    return len;
}

static long memory_control (BIO *bio, int command, long number, void *pointer)
{
    (void) bio, (void) number, (void) pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *memory_new (void)
{
    BIO_METHOD *method = BIO_meth_new (BIO_TYPE_SOURCE_SINK, "shared memory");
    if (method
        && (!BIO_meth_set_read (method, memory_read)
            || !BIO_meth_set_write (method, memory_write)
            || !BIO_meth_set_ctrl (method, memory_control))) {
        BIO_meth_free (method);
        return NULL;
    }
    return method;
}

/* ------------------------------------------------------------------- shared */

static void print_error (const char *what)
{
    char text[256];
    ERR_error_string_n (ERR_get_error (), text, sizeof text);
    fprintf (stderr, "%s: %s\n", what, text);
    ERR_clear_error ();
}

/* The server's certificate has to verify against ca, and one cipher is
 * offered, so that no server chooses another one than the rest. */
static SSL_CTX *context_new (const struct options *options)
{
    SSL_CTX *context = SSL_CTX_new (TLS_client_method ());
    if (!context) {
        print_error ("OpenSSL");
        return NULL;
    }
    SSL_CTX_set_verify (context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode (context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_min_proto_version (context, TLS1_3_VERSION);
    /* A connection that is silent holds no buffer. */
    SSL_CTX_set_mode (context, SSL_MODE_RELEASE_BUFFERS);
    if (!SSL_CTX_set_ciphersuites (context, options->tls_cipher))
        print_error (options->tls_cipher);
    else if (!options->tls_ca)
        fprintf (stderr, "TLS_CA is needed: the certificate that the server's "
                         "is verified with\n");
    else if (!SSL_CTX_load_verify_locations (context, options->tls_ca, NULL))
        print_error (options->tls_ca);
    else
        return context;
    SSL_CTX_free (context);
    return NULL;
}

static void finish (void *state)
{
    struct shared *shared = state;
    SSL_CTX_free (shared->context);
    BIO_meth_free (shared->memory);
    free (shared->plain);
    free (shared->records);
    free (shared);
}

static void *prepare (const struct options *options, size_t input_size)
{
    struct shared *shared = calloc (1, sizeof *shared);
    if (!shared)
        return NULL;
    shared->host = options->host;
    /* An input may end a record that OpenSSL holds the rest of. */
    shared->plain_size = input_size + RECORD_SIZE;
    shared->plain = malloc (shared->plain_size);
    shared->memory = memory_new ();
    shared->context = context_new (options);
    if (!shared->plain || !shared->memory || !shared->context) {
        finish (shared);
        return NULL;
    }
    return shared;
}

/* --------------------------------------------------------------- connection */

static void close_connection (void *state)
{
    struct connection *connection = state;
    SSL_free (connection->ssl);
    free (connection);
}

static void *open_connection (void *state)
{
    struct shared *shared = state;
    struct connection *connection = calloc (1, sizeof *connection);
    if (!connection)
        return NULL;
    connection->shared = shared;
    connection->ssl = SSL_new (shared->context);
    BIO *bio = BIO_new (shared->memory);
    if (!connection->ssl || !bio
        || !X509_VERIFY_PARAM_set1_ip_asc (SSL_get0_param (connection->ssl),
                                           shared->host)) {
        BIO_free (bio);
        close_connection (connection);
        return NULL;
    }
    BIO_set_data (bio, shared);
    BIO_set_init (bio, 1);
    SSL_set_bio (connection->ssl, bio, bio);
    SSL_set_connect_state (connection->ssl);
    return connection;
}

/* What a call that returned result ended with. The first failure of a run is
 * explained. */
static int error_of (struct connection *connection, int result)
{
    int error = SSL_get_error (connection->ssl, result);
    if (error == SSL_ERROR_WANT_READ)
        return 0;
    if (error == SSL_ERROR_ZERO_RETURN)
        return TLS_CLOSED;
    long verified = SSL_get_verify_result (connection->ssl);
    if (!connection->shared->complained) {
        if (verified != X509_V_OK)
            fprintf (stderr, "the server's certificate: %s\n",
                     X509_verify_cert_error_string (verified));
        else
            print_error ("TLS");
    }
    connection->shared->complained = true;
    ERR_clear_error ();
    return verified != X509_V_OK ? TLS_CERTIFICATE : TLS_FAILED;
}

static void set_records (const struct shared *shared, struct span *span)
{
    *span = (struct span) {shared->records, shared->records_len};
}

static int handshake (void *state,
                      struct span *input,
                      struct span *answer,
                      bool *done)
{
    struct connection *connection = state;
    struct shared *shared = connection->shared;
    shared->records_len = 0;
    shared->input = *input;
    int result = SSL_do_handshake (connection->ssl);
    *input = shared->input;
    set_records (shared, answer);
    *done = result == 1;
    return *done ? 0 : error_of (connection, result);
}

static int decode (void *state, struct span *data, struct span *answer)
{
    struct connection *connection = state;
    struct shared *shared = connection->shared;
    shared->records_len = 0;
    shared->input = *data;
    *data = (struct span) {shared->plain, 0};
    int got;
    while ((got = SSL_read (connection->ssl, data->bytes + data->len,
                            (int) (shared->plain_size - data->len)))
           > 0)
        data->len += (size_t) got;
    set_records (shared, answer);
    return error_of (connection, got);
}

static int encode (void *state, struct span *data)
{
    struct connection *connection = state;
    connection->shared->records_len = 0;
    int sent = SSL_write (connection->ssl, data->bytes, (int) data->len);
    set_records (connection->shared, data);
    return sent > 0 ? 0 : error_of (connection, sent);
}

static void leave (void *state, struct span *last)
{
    struct connection *connection = state;
    connection->shared->records_len = 0;
    SSL_shutdown (connection->ssl);
    ERR_clear_error ();
    set_records (connection->shared, last);
}

const struct layer_kind layer_tls = {
  .prepare = prepare,
  .finish = finish,
  .open = open_connection,
  .close = close_connection,
  .handshake = handshake,
  .decode = decode,
  .encode = encode,
  .leave = leave,
};
