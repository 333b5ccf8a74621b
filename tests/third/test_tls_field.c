/* SPDX-License-Identifier: MPL-2.0 */
/* Several certificates, ALPN, tickets of several processes, staples and the lowest version, with
 * openssl as the client. */
#include "ztest.h"
#include "zfast.h"
#include "zmonitor.h"
#include "zws.h"
#include "ztls.h"

#include <stdio.h>
#include <stdlib.h>

#define OUTPUT 16384

/* What openssl s_client says to a port with these arguments. It sends a message, and goes when the
 * server ends the connection. */
static const char *said (int port, const char *arguments)
{
    static char output[OUTPUT];
    char command[1024];
    snprintf (command, sizeof command,
              "printf '\\0\\0\\0\\5hello' | openssl s_client -ign_eof -connect 127.0.0.1:%d "
              "-CAfile %s %s 2>&1 | tr '\\0' ' '",
              port, zt_cert ("ca.pem"), arguments);
    zt_run (ZT_ARGV ("sh", "-c", command), output, sizeof output);
    return output;
}

static void expect_said (int port, const char *arguments, const char *words)
{
    const char *all = said (port, arguments);
    if (!strstr (all, words))
        printf ("%s: %s is not in:\n%s\n", arguments, words, all);
    CHECK (strstr (all, words) != NULL);
}

/* The path of a certificate's file, for a list of several. */
static void path_of (const char *file, char path[64])
{
    snprintf (path, 64, "%s", zt_cert (file));
}

/* ------------------------------------------------------------ another process */

#define LISTED "TLS-SNI TLS-ALPN TLS-Peer-Subject"

/* A server of a process of its own: SERVE CERT KEY CA TICKETS. It writes its port, answers each
 * message with what it knows of the client, and ends the connection. */
static _Noreturn void serve (char **argv)
{
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    zt_set_text (s, ZLINK_TLS_CERT, argv[0]);
    zt_set_text (s, ZLINK_TLS_KEY, argv[1]);
    zt_set_text (s, ZLINK_TLS_CA, argv[2]);
    zt_set_int (s, ZLINK_TLS_REQUIRE_CLIENT_CERT, 1);
    zt_set_text (s, ZLINK_STREAM_TLS_TICKET_KEYS, argv[3]);
    zt_set_text (s, ZLINK_STREAM_TLS_ALPN, "chat");
    zt_set_text (s, ZLINK_STREAM_PROPERTIES, LISTED);
    printf ("%d\n", zt_bind_to (s, "tls://127.0.0.1:*"));
    fflush (stdout);
    for (;;) {
        char text[256];
        zlink_msg_t msg;
        CHECK_OK (zlink_msg_init (&msg));
        CHECK (zlink_msg_recv (&msg, s, 0) >= 0);
        if (zlink_msg_get (&msg, ZLINK_STREAM_EVENT) == ZLINK_STREAM_DATA) {
            uint32_t peer = zlink_msg_routing_id (&msg);
            int size = snprintf (text, sizeof text, "%s, %s, %s;", zlink_msg_gets (&msg, "TLS-SNI"),
                                 zlink_msg_gets (&msg, "TLS-ALPN"),
                                 zlink_msg_gets (&msg, "TLS-Peer-Subject"));
            zt_fast_send (s, peer, text, (size_t) size);
            CHECK_OK (zlink_stream_close_peer (s, peer));
        }
        zlink_msg_close (&msg);
    }
}

typedef struct process_t
{
    zt_child_t child;
    int port;
} process_t;

static process_t start (const char *tickets)
{
    char cert[64], key[64], line[16] = "";
    path_of ("server.pem", cert);
    path_of ("server.key", key);
    process_t p = {zt_spawn (ZT_ARGV ("/proc/self/exe", "SERVE", cert, key, zt_cert ("ca.pem"), tickets)), 0};
    for (size_t n = 0; n < sizeof line - 1 && !strchr (line, '\n'); n++)
        CHECK_EQ (read (p.child.fd, line + n, 1), 1);
    p.port = atoi (line);
    CHECK (p.port > 0);
    return p;
}

/* A client shows this ticket and gets another one; "" is none. Returns whether the session was
 * resumed. The server knows the client in both cases. */
static bool visit (const process_t *p, const char *version, const char *shown, const char *got)
{
    char arguments[512], cert[64], key[64];
    path_of ("client.pem", cert);
    path_of ("client.key", key);
    snprintf (arguments, sizeof arguments, "%s -cert %s -key %s -servername localhost -alpn other,chat -sess_out %s %s %s",
              version, cert, key, got, *shown ? "-sess_in" : "", shown);
    const char *all = said (p->port, arguments);
    if (!strstr (all, "localhost, chat, CN=client;"))
        printf ("%s\n", all);
    CHECK (strstr (all, "localhost, chat, CN=client;") != NULL);
    return strstr (all, "\nReused, ") != NULL;
}

/* Replaces a file of keys by one that has these of the letters: A is the key of 32 times A. */
static void write_keys (const char *file, const char *letters)
{
    char next[80], output[64], command[256];
    snprintf (next, sizeof next, "%s.next", file);
    FILE *f = fopen (next, "w");
    CHECK (f != NULL);
    for (; *letters; letters++) {
        snprintf (command, sizeof command, "printf %%032d 0 | tr 0 %c | openssl base64", *letters);
        CHECK_EQ (zt_run (ZT_ARGV ("sh", "-c", command), output, sizeof output), 0);
        fputs (output, f);
    }
    CHECK_EQ (fclose (f), 0);
    CHECK_EQ (rename (next, file), 0);
}

static void tickets_of_two_processes (void)
{
    static const char *const versions[] = {"-tls1_2", "-tls1_3"};
    char shared[64], newest[64], ticket[64], fresh[64];
    path_of ("shared.keys", shared);
    path_of ("newest.keys", newest);
    path_of ("ticket", ticket);
    path_of ("fresh", fresh);
    for (int i = 0; i < 2; i++) {
        write_keys (shared, "A");
        write_keys (newest, "B");
        process_t one = start (shared), two = start (shared), other = start (newest);
        CHECK (!visit (&one, versions[i], "", ticket));
        CHECK (visit (&one, versions[i], ticket, fresh));
        CHECK (visit (&two, versions[i], ticket, fresh));
        CHECK (!visit (&other, versions[i], ticket, fresh));

        write_keys (shared, "BA"); /* rotated: both read it again by themselves */
        bool rotated = false;
        while (!rotated) {
            CHECK (visit (&two, versions[i], ticket, fresh));
            CHECK (!visit (&two, versions[i], "", fresh));
            rotated = visit (&other, versions[i], fresh, fresh);
        }
        write_keys (shared, "B");
        while (visit (&two, versions[i], ticket, fresh)) {
        }
        zt_kill (&one.child);
        zt_kill (&two.child);
        zt_kill (&other.child);
    }
}

/* ---------------------------------------------------------------- this process */

static void echo_and_close (ztls_t *t)
{
    uint32_t peer = ztls_expect_up (t);
    zt_fast_expect (t->s, peer, "hello", 5);
    CHECK_OK (zlink_stream_close_peer (t->s, peer));
    ztls_expect_down (t, peer);
}

/* Runs a client beside the server. */
typedef struct client_t
{
    int port;
    const char *arguments, *words;
} client_t;

static void *client (void *of)
{
    const client_t *c = of;
    expect_said (c->port, c->arguments, c->words);
    return NULL;
}

static void expect_client (ztls_t *t, int port, const char *arguments, const char *words)
{
    client_t c = {port, arguments, words};
    pthread_t thread = zt_thread (client, &c);
    echo_and_close (t);
    CHECK_EQ (pthread_join (thread, NULL), 0);
}

static void certificates_by_name (void)
{
    char one[64], key[64], folder[64], list[256], output[16];
    ztls_t t = ztls_open ();
    path_of ("elsewhere.pem", one);
    path_of ("elsewhere.key", key);
    snprintf (list, sizeof list, "%s:%s", one, key);
    zt_set_text (t.s, ZLINK_STREAM_TLS_CERTS, list);
    int port = zt_bind_to (t.s, "tls://127.0.0.1:*");
    expect_client (&t, port, "-servername elsewhere.example", "CN = elsewhere");
    expect_client (&t, port, "-servername localhost", "CN = server");
    expect_client (&t, port, "-noservername", "CN = server");

    /* A folder; what is put into it later counts by itself, and the older listener takes it, too. */
    path_of ("folder", folder);
    CHECK_EQ (zt_run (ZT_ARGV ("mkdir", folder), output, sizeof output), 0);
    CHECK_EQ (zt_run (ZT_ARGV ("cp", one, key, folder), output, sizeof output), 0);
    zt_set_text (t.s, ZLINK_STREAM_TLS_CERTS, folder);
    expect_client (&t, t.port, "-servername elsewhere.example", "CN = elsewhere");
    expect_client (&t, port, "-servername elsewhere.example", "CN = elsewhere");

    snprintf (list, sizeof list, "%s:%s", one, zt_cert ("server2.key"));
    CHECK_FAIL (zlink_setsockopt (t.s, ZLINK_STREAM_TLS_CERTS, list, strlen (list)), EINVAL);
    CHECK (strstr (zlink_error_detail (), "it is not the key of") != NULL);
    ztls_end (&t);
}

static void protocols_and_versions (void)
{
    ztls_t t = ztls_open ();
    zt_set_text (t.s, ZLINK_STREAM_TLS_ALPN, "chat/2 chat/1");
    zt_set_int (t.s, ZLINK_STREAM_TLS_MIN_VERSION, ZLINK_STREAM_TLS_1_3);
    int port = zt_bind_to (t.s, "tls://127.0.0.1:*");
    expect_client (&t, port, "-alpn chat/1,chat/2", "ALPN protocol: chat/2");
    expect_client (&t, port, "", "No ALPN negotiated");
    zt_child_t other = zt_s_client (port, "-alpn", "other", NULL);
    ztls_expect_failed (&t, ZLINK_EVENT_HANDSHAKE_FAILED_PROTOCOL, 0);
    zt_kill (&other);
    zt_child_t old = zt_s_client (port, "-tls1_2", NULL);
    ztls_expect_failed (&t, ZLINK_EVENT_HANDSHAKE_FAILED_PROTOCOL, 0);
    zt_kill (&old);
    expect_client (&t, t.port, "-tls1_2", "Protocol  : TLSv1.2");
    CHECK_FAIL (zlink_setsockopt (t.s, ZLINK_STREAM_TLS_MIN_VERSION, &(int) {11}, sizeof (int)), EINVAL);
    ztls_end (&t);
}

static void staples (void)
{
    ztls_t t = ztls_open ();
    zt_set_text (t.s, ZLINK_STREAM_TLS_OCSP, zt_cert ("server.ocsp"));
    expect_client (&t, t.port, "-status", "OCSP Response Status: successful");
    int port = zt_bind_to (t.s, "tls://127.0.0.1:*");
    expect_client (&t, port, "-status -tls1_2", "Cert Status: good");
    static const struct
    {
        const char *file, *why;
    } table[] = {{"client.ocsp", "it is about none of the server's certificates"},
                 {"server.pem", "there is no answer of OCSP in it"},
                 {"nowhere.ocsp", "cannot read STREAM_TLS_OCSP"}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *file = zt_cert (table[i].file);
        CHECK_FAIL (zlink_setsockopt (t.s, ZLINK_STREAM_TLS_OCSP, file, strlen (file)), EINVAL);
        printf ("%s\n", zlink_error_detail ());
        CHECK (strstr (zlink_error_detail (), table[i].why) != NULL);
        void *s = zt_fast_socket (t.ctx);
        zt_set_cert (s, "server");
        zt_set_text (s, ZLINK_STREAM_TLS_OCSP, zt_cert (table[i].file));
        CHECK_FAIL (zlink_bind (s, "tls://127.0.0.1:*"), EINVAL);
        CHECK (strstr (zlink_error_detail (), table[i].why) != NULL);
        zt_close (s);
    }
    ztls_end (&t);
}

static const zt_case_t cases[] = {
  ZT_CASE (certificates_by_name),
  ZT_CASE (protocols_and_versions),
  ZT_CASE (staples),
  ZT_CASE (tickets_of_two_processes),
};

int main (int argc, char **argv)
{
    if (argc == 6 && strcmp (argv[1], "SERVE") == 0)
        serve (argv + 2);
    if (!zt_has_program ("openssl"))
        return SKIPPED;
    return zt_main (argc, argv, cases, sizeof cases / sizeof *cases);
}
