/* SPDX-License-Identifier: MPL-2.0 */
/* Whom a tls socket trusts, with openssl at the other end: authorities and
 * revocation lists, certificates of all sorts, and the words for what is wrong. */
#include "ztest.h"
#include "zfast.h"
#include "zmonitor.h"
#include "zws.h"
#include "ztls.h"

#include <stdio.h>

static const char *const versions[] = {"-tls1_2", "-tls1_3"};

/* ------------------------------------------------------------------ servers */

/* Binds one more port, where clients need a certificate of these authorities. */
static int bind_for (ztls_t *t, const char *authorities)
{
    zt_set_text (t->s, ZLINK_TLS_CA, zt_cert (authorities));
    zt_set_int (t->s, ZLINK_TLS_REQUIRE_CLIENT_CERT, 1);
    return zt_bind_to (t->s, "tls://127.0.0.1:*");
}

static zt_child_t client_with (int port, const char *name, const char *version)
{
    char cert[32], key[32];
    snprintf (cert, sizeof cert, "%s.pem", name);
    snprintf (key, sizeof key, "%s.key", name);
    return zt_s_client (port, version, "-cert", zt_cert (cert), "-key",
                        zt_cert (key), NULL);
}

static void expect_taken (ztls_t *t, int port, const char *name)
{
    for (int i = 0; i < 2; i++) {
        printf ("%s %s\n", name, versions[i]);
        zt_child_t client = client_with (port, name, versions[i]);
        uint32_t peer = ztls_expect_up (t);
        zt_expect_exchange (t->s, peer, client.fd);
        CHECK_EQ (zt_finish (&client), 0);
        ztls_expect_down (t, peer);
    }
}

static void expect_refused (ztls_t *t, int port, const char *name,
                            const char *why)
{
    for (int i = 0; i < 2; i++) {
        printf ("%s %s\n", name, versions[i]);
        zt_child_t client = client_with (port, name, versions[i]);
        ztls_expect_refused (t, why);
        zt_kill (&client);
    }
}

static void clients_are_revoked (void)
{
    static const char *const files[] = {"revoked-ca.pem", "v1-ca.pem"};
    ztls_t t = ztls_open ();
    for (int i = 0; i < 2; i++) {
        int port = bind_for (&t, files[i]);
        expect_taken (&t, port, "client");
        expect_refused (&t, port, "lost", "revoked the certificate of \"CN=lost\"");
    }
    ztls_end (&t);
}

/* A list that is over is none, and an authority of the file without one vouches
 * for nobody. */
static void lists_are_missing (void)
{
    ztls_t t = ztls_open ();
    int port = bind_for (&t, "over-ca.pem");
    expect_refused (&t, port, "client", "held until 2020-01-02");
    port = bind_for (&t, "both-ca.pem");
    expect_taken (&t, port, "client");
    expect_refused (&t, port, "stranger", "none that");
    ztls_end (&t);
}

/* TLS_CA set again counts for connections that come from then on, also for a
 * client that resumes what it had before. */
static void lists_are_reloaded (void)
{
    char session[64];
    ztls_t t = ztls_open ();
    snprintf (session, sizeof session, "%s", zt_cert ("session"));
    zt_set_text (t.s, ZLINK_TLS_CA, zt_cert ("revoked-ca.pem"));
    int unasked = t.port, port = bind_for (&t, "ca.pem");
    expect_taken (&t, port, "lost");
    for (int i = 0; i < 2; i++) {
        zt_set_text (t.s, ZLINK_TLS_CA, zt_cert ("ca.pem"));
        zt_child_t client = zt_s_client (
          port, versions[i], "-cert", zt_cert ("lost.pem"), "-key",
          zt_cert ("lost.key"), "-sess_out", session, NULL);
        uint32_t peer = ztls_expect_up (&t);
        zt_expect_exchange (t.s, peer, client.fd);
        CHECK_EQ (zt_finish (&client), 0);
        ztls_expect_down (&t, peer);
        CHECK (access (session, R_OK) == 0);

        zt_set_text (t.s, ZLINK_TLS_CA, zt_cert ("revoked-ca.pem"));
        client = zt_s_client (port, versions[i], "-cert", zt_cert ("lost.pem"),
                              "-key", zt_cert ("lost.key"), "-sess_in", session,
                              NULL);
        ztls_expect_refused (&t, "revoked");
        zt_kill (&client);
        CHECK_EQ (unlink (session), 0);
    }
    /* What asks for no certificate goes on so, and a bad file changes nothing. */
    const char *nowhere = zt_cert ("nowhere.pem");
    CHECK_FAIL (zlink_setsockopt (t.s, ZLINK_TLS_CA, nowhere, strlen (nowhere)),
                EINVAL);
    expect_refused (&t, port, "lost", "revoked");
    expect_taken (&t, unasked, "stranger");
    ztls_end (&t);
}

/* Files as editors write them, and a certificate that Go does not parse. */
static void own_certificates (void)
{
    static const char *const names[] = {"bom", "negative", "character", "spelt", "weak"};
    ztls_t t = ztls_open ();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int k = 0; k < 2; k++) {
            printf ("%s\n", names[i]);
            zt_set_cert (t.s, names[i]);
            char address[32];
            snprintf (address, sizeof address, "127.0.0.1:%d", t.port);
            zt_child_t client = zt_spawn (
              ZT_ARGV ("openssl", "s_client", "-quiet", "-nocommands",
                       "-no_ign_eof", "-verify_quiet", versions[k],
                       "-cipher", "DEFAULT:@SECLEVEL=0", "-connect", address));
            uint32_t peer = ztls_expect_up (&t);
            zt_expect_exchange (t.s, peer, client.fd);
            CHECK_EQ (zt_finish (&client), 0);
            ztls_expect_down (&t, peer);
        }
    ztls_end (&t);
}

/* A client that speaks one suite of TLS 1.2. */
static zt_child_t client_of_suite (int port, const char *suite)
{
    return zt_s_client (port, "-tls1_2", "-cipher", suite, NULL);
}

/* TLS_CIPHERS adds what is not there by default. */
static void suites (void)
{
    static const char *const more[] = {"ECDHE-RSA-AES128-SHA", "AES128-SHA",
                                       "AES256-GCM-SHA384"};
    ztls_t t = ztls_open ();
    zt_set_cert (t.s, "rsa");
    int port = zt_bind_to (t.s, "tls://127.0.0.1:*");
    for (int i = 0; i < 3; i++) {
        zt_child_t client = client_of_suite (port, more[i]);
        ztls_expect_failed (&t, ZLINK_EVENT_HANDSHAKE_FAILED_PROTOCOL,
                            ZLINK_PROTOCOL_ERROR_ZMP_CRYPTOGRAPHIC);
        CHECK (zt_finish (&client) != 0);
    }
    zt_set_text (t.s, ZLINK_TLS_CIPHERS,
                 "DEFAULT:ECDHE-RSA-AES128-SHA:AES128-SHA:"
                 "TLS_RSA_WITH_AES_256_GCM_SHA384");
    port = zt_bind_to (t.s, "tls://127.0.0.1:*");
    for (int i = 0; i < 4; i++) {
        zt_child_t client = client_of_suite (
          port, i < 3 ? more[i] : "ECDHE-RSA-AES128-GCM-SHA256");
        uint32_t peer = ztls_expect_up (&t);
        zt_expect_exchange (t.s, peer, client.fd);
        CHECK_EQ (zt_finish (&client), 0);
        ztls_expect_down (&t, peer);
    }
    ztls_end (&t);
}

/* ------------------------------------------------------------------ clients */

typedef struct dial_t
{
    void *ctx, *s, *monitor;
    zt_child_t server;
} dial_t;

/* Dials a server that shows a certificate. */
static dial_t dial (const char *name, const char *version,
                    const char *authorities, int verify)
{
    dial_t d;
    char address[32], cert[32], key[32];
    snprintf (cert, sizeof cert, "%s.pem", name);
    snprintf (key, sizeof key, "%s.key", name);
    printf ("%s %s %s\n", name, version, authorities);
    d.ctx = zt_ctx ();
    d.s = zt_fast_socket (d.ctx);
    zt_set_int (d.s, ZLINK_RECONNECT_IVL, 20);
    zt_set_int (d.s, ZLINK_TLS_TRUST_SYSTEM, 0);
    zt_set_int (d.s, ZLINK_TLS_VERIFY, verify);
    zt_set_text (d.s, ZLINK_TLS_CA, zt_cert (authorities));
    d.monitor = zt_monitor (d.s, ZLINK_EVENT_HANDSHAKE_FAILED_AUTH
                                   | ZLINK_EVENT_HANDSHAKE_FAILED_PROTOCOL
                                   | ZLINK_EVENT_CONNECTION_READY);
    int port = zt_free_port ();
    snprintf (address, sizeof address, "127.0.0.1:%d", port);
    d.server = zt_spawn (ZT_ARGV ("openssl", "s_server", "-quiet", "-accept",
                                  address, "-cert", zt_cert (cert), "-key",
                                  zt_cert (key), version, "-cipher",
                                  "DEFAULT:@SECLEVEL=0"));
    CHECK_OK (zlink_connect (d.s, zt_endpoint_of ("tls", port)));
    return d;
}

static void end (dial_t *d)
{
    zt_close (d->s);
    zt_close (d->monitor);
    zt_term (d->ctx);
    zt_kill (&d->server);
}

static void expect_connected (const char *name, const char *authorities,
                              int verify)
{
    for (int i = 0; i < 2; i++) {
        dial_t d = dial (name, versions[i], authorities, verify);
        zt_event (d.monitor, ZLINK_EVENT_CONNECTION_READY);
        uint32_t peer = zt_fast_event (d.s, ZLINK_STREAM_CONNECTED);
        zt_expect_exchange (d.s, peer, d.server.fd);
        end (&d);
    }
}

static void expect_not_connected (const char *name, const char *authorities,
                                  uint64_t event, const char *why)
{
    for (int i = 0; i < 2; i++) {
        dial_t d = dial (name, versions[i], authorities, 1);
        zt_event (d.monitor, event);
        printf ("%s\n", zlink_error_detail ());
        CHECK (strstr (zlink_error_detail (), why) != NULL);
        end (&d);
    }
}

/* TLS_VERIFY 0 takes what crypto/x509 does not parse. */
static void any_certificate (void)
{
    static const char *const names[] = {"negative", "character", "spelt", "weak"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        expect_connected (names[i], "ca.pem", 0);
}

/* A negative serial number is no reason to refuse what is right. */
static void negative_serial (void)
{
    expect_connected ("negative", "ca.pem", 1);
}

static void servers_are_revoked (void)
{
    expect_connected ("server", "revoked-ca.pem", 1);
    expect_not_connected ("lostserver", "revoked-ca.pem",
                          ZLINK_EVENT_HANDSHAKE_FAILED_AUTH, "revoked");
    expect_connected ("lostserver", "revoked-ca.pem", 0);
}

/* zlink_error_detail has the reason, until the thread's next event. */
static void reasons (void)
{
    const uint64_t auth = ZLINK_EVENT_HANDSHAKE_FAILED_AUTH;
    expect_not_connected ("impostor", "ca.pem", auth, "unknown authority");
    expect_not_connected ("expired", "ca.pem", auth, "expired");
    expect_not_connected ("elsewhere", "ca.pem", auth, "127.0.0.1");
    expect_not_connected ("client", "ca.pem", auth, "IP SANs");
    expect_not_connected ("character", "ca.pem",
                          ZLINK_EVENT_HANDSHAKE_FAILED_PROTOCOL,
                          "invalid PrintableString");

    /* What the peer objects to is told by a word of TLS. */
    ztls_t t = ztls_open ();
    zt_set_cert (t.s, "impostor");
    for (int i = 0; i < 2; i++) {
        zt_child_t client = zt_s_client (t.port, versions[i], NULL);
        ztls_expect_refused (&t, "remote error: tls: unknown certificate authority");
        CHECK (zt_finish (&client) != 0);
    }
    ztls_end (&t);
}

static void expect_subject (dial_t d, const char *subject)
{
    zt_event (d.monitor, ZLINK_EVENT_CONNECTION_READY);
    CHECK_STR (zlink_error_detail (), subject);
    end (&d);
}

/* With CONNECTION_READY zlink_error_detail is whose certificate it is, if that was
 * verified. */
static void subjects (void)
{
    ztls_t t = ztls_open ();
    int port = bind_for (&t, "ca.pem");
    for (int i = 0; i < 2; i++) {
        zt_child_t client = client_with (port, "client", versions[i]);
        zt_event (t.monitor, ZLINK_EVENT_ACCEPTED);
        CHECK_STR (zlink_error_detail (), "");
        zlink_monitor_event_t ready =
          zt_event (t.monitor, ZLINK_EVENT_CONNECTION_READY);
        CHECK_EQ (ready.routing_id.size, 4);
        CHECK_STR (zlink_error_detail (), "CN=client");
        uint32_t peer = zt_fast_event (t.s, ZLINK_STREAM_CONNECTED);
        CHECK_EQ (zt_finish (&client), 0);
        ztls_expect_down (&t, peer);
        CHECK_STR (zlink_error_detail (), "the peer closed the connection");

        client = zt_s_client (t.port, versions[i], NULL);
        peer = ztls_expect_up (&t);
        CHECK_STR (zlink_error_detail (), "");
        CHECK_EQ (zt_finish (&client), 0);
        ztls_expect_down (&t, peer);

        expect_subject (dial ("server", versions[i], "ca.pem", 1), "CN=server");
        expect_subject (dial ("server", versions[i], "ca.pem", 0), "");
    }
    ztls_end (&t);
}

/* A client of TLS 1.3 is up when the server refuses it: the end has the words. */
static void reason_of_a_late_refusal (void)
{
    zlink_monitor_event_t e;
    ztls_t t = ztls_open ();
    int port = bind_for (&t, "ca.pem");
    void *s = zt_fast_socket (t.ctx);
    zt_set_int (s, ZLINK_RECONNECT_IVL, -1);
    zt_set_int (s, ZLINK_TLS_VERIFY, 0);
    zt_set_cert (s, "stranger");
    void *monitor = zt_monitor (s, ZLINK_EVENT_DISCONNECTED);
    CHECK_OK (zlink_connect (s, zt_endpoint_of ("tls", port)));
    ztls_expect_refused (&t, "unknown authority");
    CHECK_OK (zlink_monitor_recv (monitor, &e, 0));
    CHECK_EQ (e.value, ZLINK_DISCONNECT_TRANSPORT_ERROR);
    printf ("%s\n", zlink_error_detail ());
    CHECK (strstr (zlink_error_detail (), "unknown certificate authority") != NULL);
    zt_close (s);
    zt_close (monitor);
    ztls_end (&t);
}

static const zt_case_t cases[] = {
  ZT_CASE (clients_are_revoked),
  ZT_CASE (lists_are_missing),
  ZT_CASE (lists_are_reloaded),
  ZT_CASE (own_certificates),
  ZT_CASE (suites),
  ZT_CASE (any_certificate),
  ZT_CASE (negative_serial),
  ZT_CASE (servers_are_revoked),
  ZT_CASE (reasons),
  ZT_CASE (subjects),
  ZT_CASE (reason_of_a_late_refusal),
};

int main (int argc, char **argv)
{
    if (!zt_has_program ("openssl"))
        return SKIPPED;
    return zt_main (argc, argv, cases, sizeof cases / sizeof *cases);
}
