/* SPDX-License-Identifier: MPL-2.0 */
/* zlink as the client of openssl s_server. */
#include "ztest.h"
#include "zfast.h"
#include "zmonitor.h"
#include "zws.h"
#include "ztls.h"

#include <stdarg.h>
#include <stdio.h>

#define AUTH ZLINK_EVENT_HANDSHAKE_FAILED_AUTH
#define PAUSE_MS 20

/* A client socket and the server that it dials. */
typedef struct dial_t
{
    void *ctx, *s, *monitor;
    int port;
    zt_child_t server;
} dial_t;

/* Starts a server that shows a certificate, with more arguments up to NULL. */
static dial_t open_dial (const char *certificate, ...)
{
    dial_t d;
    char address[32], cert[32], key[32];
    const char *argv[24] = {"openssl", "s_server", "-quiet"};
    size_t used = 3;
    va_list more;

    d.ctx = zt_ctx ();
    d.s = zt_fast_socket (d.ctx);
    zt_set_int (d.s, ZLINK_RECONNECT_IVL, PAUSE_MS);
    zt_set_int (d.s, ZLINK_TLS_TRUST_SYSTEM, 0);
    zt_set_text (d.s, ZLINK_TLS_CA, zt_cert ("ca.pem"));
    d.monitor = zt_monitor (d.s, ZLINK_EVENT_ALL);
    d.port = zt_free_port ();
    snprintf (address, sizeof address, "127.0.0.1:%d", d.port);
    snprintf (cert, sizeof cert, "%s.pem", certificate);
    snprintf (key, sizeof key, "%s.key", certificate);
    argv[used++] = "-accept";
    argv[used++] = address;
    argv[used++] = "-cert";
    argv[used++] = zt_cert (cert);
    argv[used++] = "-key";
    argv[used++] = zt_cert (key);
    va_start (more, certificate);
    while ((argv[used++] = va_arg (more, const char *)) != NULL)
        CHECK (used < sizeof argv / sizeof *argv);
    va_end (more);
    d.server = zt_spawn (argv);
    return d;
}

static void close_dial (dial_t *d)
{
    zt_close (d->s);
    zt_close (d->monitor);
    zt_term (d->ctx);
    zt_kill (&d->server);
}

static zlink_monitor_event_t wait_for (dial_t *d, uint64_t event)
{
    zlink_monitor_event_t e;
    do {
        CHECK_OK (zlink_monitor_recv (d->monitor, &e, 0));
        CHECK (e.event != ZLINK_EVENT_CONNECTION_READY || e.event == event);
    } while (e.event != event);
    return e;
}

static void expect_refused (dial_t *d)
{
    zlink_monitor_event_t up = wait_for (d, ZLINK_EVENT_CONNECTED);
    CHECK_STR (up.remote_addr, zt_endpoint_of ("tls", d->port));
    zt_event_value (d->monitor, AUTH, EACCES);
    zt_event_value (d->monitor, ZLINK_EVENT_DISCONNECTED,
                    ZLINK_DISCONNECT_HANDSHAKE_FAILED);
    zt_event_value (d->monitor, ZLINK_EVENT_CONNECT_RETRIED, PAUSE_MS);
    zt_fast_silence (d->s, 0);
}

static void expect_served (dial_t *d)
{
    uint32_t peer = zt_fast_event (d->s, ZLINK_STREAM_CONNECTED);
    zt_expect_exchange (d->s, peer, d->server.fd);
    zt_expect_exchange (d->s, peer, d->server.fd);
}

static void dial (dial_t *d)
{
    CHECK_OK (zlink_connect (d->s, zt_endpoint_of ("tls", d->port)));
}

/* ---------------------------------------------------------------- exchange */

static void both_versions (void)
{
    static const char *const versions[] = {"-tls1_2", "-tls1_3"};
    for (int i = 0; i < 2; i++) {
        dial_t d = open_dial ("server", versions[i], NULL);
        dial (&d);
        expect_served (&d);
        close_dial (&d);
    }
}

/* A server that dies is dialled again, and its successor served. */
static void server_restarts (void)
{
    dial_t d = open_dial ("server", NULL);
    dial (&d);
    uint32_t peer = zt_fast_event (d.s, ZLINK_STREAM_CONNECTED);
    zt_expect_exchange (d.s, peer, d.server.fd);
    zt_kill (&d.server);
    CHECK_EQ (zt_fast_event (d.s, ZLINK_STREAM_DISCONNECTED), peer);
    char address[32];
    snprintf (address, sizeof address, "127.0.0.1:%d", d.port);
    d.server = zt_spawn (
      ZT_ARGV ("openssl", "s_server", "-quiet", "-accept", address, "-cert",
               zt_cert ("server2.pem"), "-key", zt_cert ("server2.key")));
    expect_served (&d);
    close_dial (&d);
}

/* zlink_disconnect writes what is queued, and ends the stream in order. */
static void disconnect (void)
{
    char body[8];
    dial_t d = open_dial ("server", "-naccept", "1", NULL);
    dial (&d);
    uint32_t peer = zt_fast_event (d.s, ZLINK_STREAM_CONNECTED);
    zt_fast_send (d.s, peer, "bye", 3);
    CHECK_OK (zlink_disconnect (d.s, zt_endpoint_of ("tls", d.port)));
    CHECK_EQ (zt_read_frame (d.server.fd, body, sizeof body), 3);
    CHECK_EQ (zt_fast_event (d.s, ZLINK_STREAM_DISCONNECTED), peer);
    zt_expect_eof (d.server.fd); /* it has accepted once, so it ends */
    close_dial (&d);
}

/* ------------------------------------------------------------ certificates */

static void server_is_not_accepted (void)
{
    static const char *const names[] = {"impostor", "expired", "elsewhere"};
    static const char *const versions[] = {"-tls1_2", "-tls1_3"};
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 2; k++) {
            printf ("%s %s\n", names[i], versions[k]);
            dial_t d = open_dial (names[i], versions[k], NULL);
            dial (&d);
            expect_refused (&d); /* and again: */
            expect_refused (&d);
            close_dial (&d);
        }
}

/* TLS_VERIFY 0 takes any of them. */
static void unverified (void)
{
    static const char *const names[] = {"impostor", "expired", "elsewhere"};
    for (int i = 0; i < 3; i++) {
        dial_t d = open_dial (names[i], NULL);
        zt_set_int (d.s, ZLINK_TLS_VERIFY, 0);
        dial (&d);
        expect_served (&d);
        close_dial (&d);
    }
}

/* TLS_HOSTNAME is the name to verify and the one that the server is asked
 * for; by default that is the endpoint's host. */
static void names_of_servers (void)
{
    dial_t d = open_dial ("server", "-servername", "elsewhere.example",
                          "-servername_fatal", "-cert2",
                          zt_cert ("elsewhere.pem"), "-key2",
                          zt_cert ("elsewhere.key"), NULL);
    zt_set_text (d.s, ZLINK_TLS_HOSTNAME, "elsewhere.example");
    dial (&d);
    expect_served (&d);
    close_dial (&d);

    char endpoint[64];
    d = open_dial ("impostor", "-servername", "localhost", "-servername_fatal",
                   "-cert2", zt_cert ("server.pem"), "-key2",
                   zt_cert ("server.key"), NULL);
    snprintf (endpoint, sizeof endpoint, "tls://localhost:%d", d.port);
    CHECK_OK (zlink_connect (d.s, endpoint));
    expect_served (&d);
    close_dial (&d);

    d = open_dial ("server", NULL);
    zt_set_text (d.s, ZLINK_TLS_HOSTNAME, "not.here.example");
    dial (&d);
    expect_refused (&d);
    close_dial (&d);
}

/* A server that wants a certificate gets it. */
static void certificate_of_the_client (void)
{
    static const char *const versions[] = {"-tls1_2", "-tls1_3"};
    for (int i = 0; i < 2; i++) {
        dial_t d =
          open_dial ("server", versions[i], "-Verify", "1", "-verify_quiet",
                     "-verify_return_error", "-CAfile", zt_cert ("ca.pem"),
                     NULL);
        zt_set_cert (d.s, "client");
        dial (&d);
        expect_served (&d);
        close_dial (&d);
    }
}

/* The next connection's handshake fails without a word about certificates. */
static void expect_failed (dial_t *d)
{
    wait_for (d, ZLINK_EVENT_HANDSHAKE_FAILED_PROTOCOL);
    zt_event_value (d->monitor, ZLINK_EVENT_DISCONNECTED,
                    ZLINK_DISCONNECT_HANDSHAKE_FAILED);
    zt_fast_silence (d->s, 0);
}

/* One without a certificate is refused. In TLS 1.2 the server does not say for
 * what; in TLS 1.3 the client has finished its handshake when the refusal
 * comes. */
static void certificate_is_missing (void)
{
    dial_t d = open_dial ("server", "-tls1_2", "-Verify", "1", "-verify_quiet",
                          "-verify_return_error", "-CAfile",
                          zt_cert ("ca.pem"), NULL);
    dial (&d);
    expect_failed (&d);
    close_dial (&d);

    d = open_dial ("server", "-tls1_3", "-Verify", "1", "-verify_quiet",
                   "-verify_return_error", "-CAfile", zt_cert ("ca.pem"), NULL);
    dial (&d);
    zlink_monitor_event_t e;
    do
        CHECK_OK (zlink_monitor_recv (d.monitor, &e, 0));
    while (e.event != ZLINK_EVENT_DISCONNECTED);
    CHECK_EQ (e.value, ZLINK_DISCONNECT_TRANSPORT_ERROR);
    close_dial (&d);
}

/* Files that cannot be read: at connect, as at bind. */
static void unusable_files (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    zt_set_text (s, ZLINK_TLS_CA, "/nowhere/ca.pem");
    CHECK_FAIL (zlink_connect (s, "tls://127.0.0.1:1"), EINVAL);
    printf ("%s\n", zlink_error_detail ());
    CHECK (strstr (zlink_error_detail (), "/nowhere/ca.pem") != NULL);
    zt_set_text (s, ZLINK_TLS_CA, "");
    zt_set_text (s, ZLINK_TLS_CERT, zt_cert ("client.pem"));
    zt_set_text (s, ZLINK_TLS_KEY, zt_cert ("server.key"));
    CHECK_FAIL (zlink_connect (s, "wss://127.0.0.1:1"), EINVAL);
    printf ("%s\n", zlink_error_detail ());
    zt_close (s);
    zt_term (ctx);
}

/* -------------------------------------------------------------- no TLS there */

static void plain_server (void)
{
    dial_t d = open_dial ("server", NULL);
    zt_kill (&d.server);
    int port, listener = zt_listen (&port);
    CHECK_OK (zlink_connect (d.s, zt_endpoint_of ("tls", port)));
    int fd = zt_accept (listener);
    zt_write (fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    wait_for (&d, ZLINK_EVENT_CONNECTED);
    zt_event_value (d.monitor, ZLINK_EVENT_HANDSHAKE_FAILED_PROTOCOL,
                    ZLINK_PROTOCOL_ERROR_ZMP_CRYPTOGRAPHIC);
    zt_event_value (d.monitor, ZLINK_EVENT_DISCONNECTED,
                    ZLINK_DISCONNECT_HANDSHAKE_FAILED);
    close (fd);
    fd = zt_accept (listener);
    close (fd);
    wait_for (&d, ZLINK_EVENT_HANDSHAKE_FAILED_NO_DETAIL);
    close (listener);
    zt_close (d.s);
    zt_close (d.monitor);
    zt_term (d.ctx);
}

static void silent_server (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    void *monitor = zt_monitor (s, ZLINK_EVENT_HANDSHAKE_FAILED_NO_DETAIL
                                     | ZLINK_EVENT_DISCONNECTED);
    int port, listener = zt_listen (&port);
    zt_set_int (s, ZLINK_HANDSHAKE_IVL, 100);
    zt_set_int (s, ZLINK_RECONNECT_IVL, PAUSE_MS);
    CHECK_OK (zlink_connect (s, zt_endpoint_of ("tls", port)));
    for (int i = 0; i < 2; i++) {
        int fd = zt_accept (listener);
        zt_event_value (monitor, ZLINK_EVENT_HANDSHAKE_FAILED_NO_DETAIL,
                        ETIMEDOUT);
        zt_event_value (monitor, ZLINK_EVENT_DISCONNECTED,
                        ZLINK_DISCONNECT_HANDSHAKE_FAILED);
        close (fd);
    }
    close (listener);
    zt_close (s);
    zt_close (monitor);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (both_versions),
  ZT_CASE (server_restarts),
  ZT_CASE (disconnect),
  ZT_CASE (server_is_not_accepted),
  ZT_CASE (unverified),
  ZT_CASE (names_of_servers),
  ZT_CASE (certificate_of_the_client),
  ZT_CASE (certificate_is_missing),
  ZT_CASE (unusable_files),
  ZT_CASE (plain_server),
  ZT_CASE (silent_server),
};

int main (int argc, char **argv)
{
    if (!zt_has_program ("openssl"))
        return SKIPPED;
    return zt_main (argc, argv, cases, sizeof cases / sizeof *cases);
}
