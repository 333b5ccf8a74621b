/* SPDX-License-Identifier: MPL-2.0 */
/* zlink.js in Node.js and in a page of Chromium, on servers of each framing. */
#include "ztest.h"
#include "zfast.h"
#include "ztls.h"
#include "zchrome.h"
#include "zchild.h"
#include "zws.h"

#include <stdio.h>

#define PAGE "file://" CLIENT_DIR "/test/peer.html"
#define NO_WEBSOCKET 77 /* exit code of node.sh */

typedef struct server_t
{
    void *ctx, *s;
    pthread_t thread;
    int framing;
    char ws[64], wss[64];
} server_t;

/* Sends a message back as it came, or closes its peer; false: the context is shut down. */
static bool serve_one (void *s)
{
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    int size = zlink_msg_recv (&msg, s, 0);
    if (size < 0)
        CHECK_EQ (errno, ETERM);
    else if (zlink_msg_get (&msg, ZLINK_STREAM_EVENT) != ZLINK_STREAM_DATA)
        ;
    else if (size == 3 && memcmp (zlink_msg_data (&msg), "bye", 3) == 0)
        CHECK_OK (zlink_stream_close_peer (s, zlink_msg_routing_id (&msg)));
    else if (zlink_msg_send (&msg, s, 0) == -1)
        CHECK (errno == EHOSTUNREACH || errno == ETERM);
    CHECK_OK (zlink_msg_close (&msg));
    return size >= 0;
}

static void *serve (void *s)
{
    while (serve_one (s)) {
    }
    return NULL;
}

static server_t server_open (int framing)
{
    server_t server = {.framing = framing};
    server.ctx = zt_ctx ();
    server.s = zt_fast_socket (server.ctx);
    zt_set_int (server.s, ZLINK_STREAM_FRAMING, framing);
    zt_set_cert (server.s, "server");
    snprintf (server.ws, sizeof server.ws, "ws://127.0.0.1:%d/peer", zt_bind_to (server.s, "ws://127.0.0.1:*/peer"));
    snprintf (server.wss, sizeof server.wss, "wss://127.0.0.1:%d/peer",
              zt_bind_to (server.s, "wss://127.0.0.1:*/peer"));
    server.thread = zt_thread (serve, server.s);
    return server;
}

static void server_close (server_t *server)
{
    CHECK_OK (zlink_ctx_shutdown (server->ctx));
    zt_join (server->thread);
    zt_close (server->s);
    zt_term (server->ctx);
}

#define ECHOED "echoed 12, code 1000, clean true, undefined, null"
#define TOO_LONG "1000 bytes, then: a message of 1001 bytes came, and maxSize is 1000, code 4009, 0 left"
#define WRONG "the connection is not open; a body is a string, an ArrayBuffer or a view of one; %s; " \
              "there is no framing 2 over WebSocket; 4001"
#define NEVER "cannot connect to there; 1006; null"
#define PIECES "cut 32 ways"

enum
{
    servers = 3
};

/* A server of each framing, and what peer.js is to say of it. */
static void open_servers (server_t server[servers], char said[servers][1024])
{
    static const int framings[servers] = {ZLINK_STREAM_FRAMING_LENGTH, ZLINK_STREAM_FRAMING_MESSAGES,
                                          ZLINK_STREAM_FRAMING_HEADERS};
    for (int i = 0; i < servers; i++) {
        server[i] = server_open (framings[i]);
        snprintf (said[i], sizeof said[i], ECHOED " | " ECHOED " | " TOO_LONG " | " WRONG " | " NEVER " | " PIECES,
                  framings[i] == ZLINK_STREAM_FRAMING_HEADERS ? "a header has at most 65535 bytes"
                                                              : "only HEADERS has headers");
    }
}

static void close_servers (server_t server[servers])
{
    for (int i = 0; i < servers; i++)
        server_close (&server[i]);
}

/* Leaves the case out if there is no such program. */
static bool has (const char *program)
{
    bool there = zt_has_program (program);
    if (!there)
        zt_skip ("there is no %s", program);
    return there;
}

static void node (void)
{
    char output[16];
    if (!has ("node"))
        return;
    if (zt_run (ZT_ARGV (SOURCE_DIR "/node.sh", "-e", ""), output, sizeof output) == NO_WEBSOCKET) {
        zt_skip ("this node has no WebSocket");
        return;
    }
    server_t server[servers];
    char said[servers][1024], all[4096], wanted[4096];
    open_servers (server, said);
    setenv ("NODE_EXTRA_CA_CERTS", zt_cert ("ca.pem"), 1);
    CHECK_EQ (zt_run (ZT_ARGV (SOURCE_DIR "/node.sh", CLIENT_DIR "/test/peer.js", server[0].ws, server[0].wss, "0",
                               server[1].ws, server[1].wss, "1", server[2].ws, server[2].wss, "3"),
                      all, sizeof all),
              0);
    unsetenv ("NODE_EXTRA_CA_CERTS");
    snprintf (wanted, sizeof wanted, "%s\n%s\n%s\n", said[0], said[1], said[2]);
    CHECK_STR (all, wanted);
    close_servers (server);
}

static void chromium (void)
{
    server_t server[servers];
    char said[servers][1024], call[256];
    if (!has ("chromium") || !has ("certutil"))
        return;
    open_servers (server, said);
    zt_chrome_t chrome = zt_chrome_open (zt_cert ("ca.pem"));
    zt_page_t page = zt_page_open (&chrome, PAGE);
    for (int i = 0; i < servers; i++) {
        snprintf (call, sizeof call, "everything('%s', '%s', %d)", server[i].ws, server[i].wss, server[i].framing);
        CHECK_STR (zt_page_eval (&page, call), said[i]);
    }
    zt_chrome_close (&chrome);
    close_servers (server);
}

static const zt_case_t cases[] = {
  ZT_CASE (node),
  ZT_CASE (chromium),
};

int main (int argc, char **argv)
{
    if (!zt_has_program ("openssl"))
        return SKIPPED;
    return zt_main (argc, argv, cases, sizeof cases / sizeof *cases);
}
