/* SPDX-License-Identifier: MPL-2.0 */
/* openssl s_client as the client of a tls server, and certificates. */
#include "ztest.h"
#include "zfast.h"
#include "zmonitor.h"
#include "zws.h"
#include "ztls.h"

#include <stdio.h>

#define AUTH ZLINK_EVENT_HANDSHAKE_FAILED_AUTH

static void expect_served (ztls_t *t, zt_child_t client)
{
    uint32_t peer = ztls_expect_up (t);
    zt_expect_exchange (t->s, peer, client.fd);
    CHECK_EQ (zt_finish (&client), 0);
    ztls_expect_down (t, peer);
}

/* ----------------------------------------------------------------- exchange */

static void both_versions (void)
{
    ztls_t t = ztls_open ();
    expect_served (&t, zt_s_client (t.port, "-tls1_2", NULL));
    expect_served (&t, zt_s_client (t.port, "-tls1_3", NULL));
    expect_served (&t, zt_s_client (t.port, "-servername", "localhost", NULL));
    ztls_end (&t);
}

static void suites_of_tls_1_3 (void)
{
    static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                         "TLS_CHACHA20_POLY1305_SHA256"};
    ztls_t t = ztls_open ();
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++)
        expect_served (&t, zt_s_client (t.port, "-tls1_3", "-ciphersuites", suites[i], NULL));
    ztls_end (&t);
}

/* More than a TLS record and the kernel's buffers, both ways. */
static void large_messages (void)
{
    static const size_t sizes[] = {0, 1, 16380, 16384, 16385, 100000, 3000000};
    uint8_t *body = malloc (3000000);
    CHECK (body != NULL);
    ztls_t t = ztls_open ();
    zt_child_t client = zt_s_client (t.port, NULL);
    uint32_t peer = ztls_expect_up (&t);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        zlink_msg_t msg;
        CHECK_OK (zlink_msg_init (&msg));
        zt_fill (body, sizes[i], (uint32_t) i);
        zt_write_frame (client.fd, body, sizes[i]);
        CHECK_EQ (zlink_msg_recv (&msg, t.s, 0), sizes[i]);
        zt_fast_filled (&msg, peer, (uint32_t) i, sizes[i]);
        CHECK_EQ (zlink_msg_send (&msg, t.s, 0), sizes[i]);
        zt_fast_read (client.fd, (uint32_t) i, sizes[i]);
    }
    CHECK_EQ (zt_finish (&client), 0);
    ztls_expect_down (&t, peer);
    free (body);
    ztls_end (&t);
}

static void many_small_messages (void)
{
    enum
    {
        count = 20000,
        size = 40
    };
    uint8_t body[size];
    ztls_t t = ztls_open ();
    zt_child_t client = zt_s_client (t.port, NULL);
    uint32_t peer = ztls_expect_up (&t);
    for (uint32_t i = 0; i < count; i++) {
        zt_fill (body, size, i);
        zt_fast_send (t.s, peer, body, size);
    }
    for (uint32_t i = 0; i < count; i++)
        zt_fast_read (client.fd, i, size);
    for (uint32_t i = 0; i < count; i++) {
        zt_fill (body, size, i);
        zt_write_frame (client.fd, body, size);
        if (i % 100 == 99)
            for (uint32_t k = i - 99; k <= i; k++) {
                zt_fill (body, size, k);
                zt_fast_expect (t.s, peer, body, size);
            }
    }
    CHECK_EQ (zt_finish (&client), 0);
    ztls_expect_down (&t, peer);
    ztls_end (&t);
}

/* What is queued is written, and the client sees the end as an orderly one. */
static void server_closes_a_peer (void)
{
    char body[8];
    ztls_t t = ztls_open ();
    zt_child_t client = zt_s_client (t.port, NULL);
    uint32_t peer = ztls_expect_up (&t);
    zt_fast_send (t.s, peer, "bye", 3);
    CHECK_OK (zlink_stream_close_peer (t.s, peer));
    CHECK_EQ (zt_read_frame (client.fd, body, sizeof body), 3);
    CHECK_MEM (body, "bye", 3);
    zt_expect_eof (client.fd);
    CHECK_EQ (zt_wait (&client), 0);
    ztls_expect_down (&t, peer);
    ztls_end (&t);
}

/* ------------------------------------------------------------- certificates */

/* The server shows a certificate that the client does not accept. */
static void expect_client_refuses (const char *certificate)
{
    ztls_t t = ztls_open ();
    printf ("%s\n", certificate);
    zt_set_cert (t.s, certificate);
    static const char *const versions[] = {"-tls1_2", "-tls1_3"};
    for (int i = 0; i < 2; i++) {
        zt_child_t client =
          zt_s_client (t.port, versions[i], "-verify_ip", "127.0.0.1", NULL);
        ztls_expect_failed (&t, AUTH, EACCES);
        CHECK (zt_finish (&client) != 0);
    }
    ztls_end (&t);
}

static void client_refuses_the_server (void)
{
    expect_client_refuses ("impostor");
    expect_client_refuses ("expired");
    expect_client_refuses ("elsewhere");
}

/* With TLS_REQUIRE_CLIENT_CERT: none, one of an unknown authority, a right
 * one. */
static void certificates_of_clients (void)
{
    static const char *const versions[] = {"-tls1_2", "-tls1_3"};
    ztls_t t = ztls_open ();
    zt_set_text (t.s, ZLINK_TLS_CA, zt_cert ("ca.pem"));
    zt_set_int (t.s, ZLINK_TLS_TRUST_SYSTEM, 0);
    zt_set_int (t.s, ZLINK_TLS_REQUIRE_CLIENT_CERT, 1);
    int port = zt_bind_to (t.s, "tls://127.0.0.1:*");
    for (int i = 0; i < 2; i++) {
        zt_child_t client = zt_s_client (port, versions[i], NULL);
        ztls_expect_failed (&t, AUTH, EACCES);
        zt_kill (&client);
        client = zt_s_client (port, versions[i], "-cert",
                              zt_cert ("stranger.pem"), "-key",
                              zt_cert ("stranger.key"), NULL);
        ztls_expect_failed (&t, AUTH, EACCES);
        zt_kill (&client);
        expect_served (&t, zt_s_client (port, versions[i], "-cert",
                                        zt_cert ("client.pem"), "-key",
                                        zt_cert ("client.key"), NULL));
    }
    /* What was bound before has no such need. */
    expect_served (&t, zt_s_client (t.port, NULL));
    ztls_end (&t);
}

/* Encrypted keys, with TLS_PASSWORD and without. */
static void encrypted_keys (void)
{
    static const char *const files[] = {"pkcs8.key", "legacy.key", "sha512.key",
                                        "scrypt.key", "pkcs12.key"};
    for (int i = 0; i < 5; i++) {
        ztls_t t = ztls_open ();
        void *s = zt_fast_socket (t.ctx);
        printf ("%s\n", files[i]);
        zt_set_text (s, ZLINK_TLS_CERT, zt_cert ("server.pem"));
        zt_set_text (s, ZLINK_TLS_KEY, zt_cert (files[i]));
        CHECK_FAIL (zlink_bind (s, "tls://127.0.0.1:*"), EINVAL);
        printf ("%s\n", zlink_error_detail ());
        CHECK (strstr (zlink_error_detail (), zt_cert (files[i])) != NULL);
        zt_set_text (s, ZLINK_TLS_PASSWORD, "wrong");
        CHECK_FAIL (zlink_bind (s, "tls://127.0.0.1:*"), EINVAL);
        printf ("%s\n", zlink_error_detail ());
        CHECK (strstr (zlink_error_detail (), zt_cert (files[i])) != NULL);
        CHECK (strstr (zlink_error_detail (), "wrong") == NULL
               || strstr (zlink_error_detail (), "password") != NULL);
        zt_set_text (s, ZLINK_TLS_PASSWORD, "secret");
        zt_child_t client =
          zt_s_client (zt_bind_to (s, "tls://127.0.0.1:*"), NULL);
        uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
        zt_expect_exchange (s, peer, client.fd);
        CHECK_EQ (zt_finish (&client), 0);
        zt_close (s);
        ztls_end (&t);
    }
}

/* Each says which file it is about, and nothing is bound. */
static void unusable_files (void)
{
    static const struct
    {
        const char *cert, *key, *about;
    } table[] = {
      {"", "", "TLS_CERT"},
      {"server.pem", "", "TLS_KEY"},
      {"", "server.key", "TLS_CERT"},
      {"nowhere.pem", "server.key", "nowhere.pem"},
      {"server.pem", "nowhere.key", "nowhere.key"},
      {"server.key", "server.key", "server.key"},
      {"server.pem", "server.pem", "server.pem"},
      {"server.pem", "server2.key", "server2.key"},
    };
    static const char *const endpoints[] = {"tls://127.0.0.1:*",
                                            "wss://127.0.0.1:*"};
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (int k = 0; k < 2; k++) {
            zt_set_text (s, ZLINK_TLS_CERT,
                         *table[i].cert ? zt_cert (table[i].cert) : "");
            zt_set_text (s, ZLINK_TLS_KEY,
                         *table[i].key ? zt_cert (table[i].key) : "");
            CHECK_FAIL (zlink_bind (s, endpoints[k]), EINVAL);
            printf ("%s\n", zlink_error_detail ());
            CHECK (strstr (zlink_error_detail (), table[i].about) != NULL);
        }
    zt_set_cert (s, "server");
    zt_set_text (s, ZLINK_TLS_CA, zt_cert ("server.key"));
    CHECK_FAIL (zlink_bind (s, endpoints[0]), EINVAL);
    printf ("%s\n", zlink_error_detail ());
    CHECK (strstr (zlink_error_detail (), "server.key") != NULL);
    zt_close (s);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (both_versions),
  ZT_CASE (suites_of_tls_1_3),
  ZT_CASE (large_messages),
  ZT_CASE (many_small_messages),
  ZT_CASE (server_closes_a_peer),
  ZT_CASE (client_refuses_the_server),
  ZT_CASE (certificates_of_clients),
  ZT_CASE (encrypted_keys),
  ZT_CASE (unusable_files),
};

int main (int argc, char **argv)
{
    if (!zt_has_program ("openssl"))
        return SKIPPED;
    return zt_main (argc, argv, cases, sizeof cases / sizeof *cases);
}
