/* SPDX-License-Identifier: MPL-2.0 */
/* Node's built-in WebSocket client. */
#include "ztest.h"
#include "ztls.h"
#include "zweb.h"

#include <stdio.h>

#define NO_WEBSOCKET 77 /* exit code of node.sh */
#define ECHOED "echoed 24 code 4001 clean\n"

/* Whether this Node has a client; Debian's of version 18 has none. */
static bool has_websocket (void)
{
    char output[16];
    if (zt_run (ZT_ARGV (SOURCE_DIR "/node.sh", "-e", ""), output,
                sizeof output)
        != NO_WEBSOCKET)
        return true;
    zt_skip ("this node has no WebSocket");
    return false;
}

/* What a function of peer.js says of an endpoint. */
static void expect_said (const char *function, const char *endpoint,
                         const char *said)
{
    char output[4096];
    CHECK_EQ (zt_run (ZT_ARGV (SOURCE_DIR "/node.sh", SOURCE_DIR "/peer.js",
                               function, endpoint),
                      output, sizeof output),
              0);
    CHECK_STR (output, said);
}

static void exchange (void)
{
    if (!has_websocket ())
        return;
    zweb_t w = zweb_open ();
    expect_said ("echo", w.ws, ECHOED);
    zweb_expect_peer (&w, ZLINK_DISCONNECT_REMOTE);
    setenv ("NODE_EXTRA_CA_CERTS", zt_cert ("ca.pem"), 1);
    expect_said ("echo", w.wss, ECHOED);
    zweb_expect_peer (&w, ZLINK_DISCONNECT_REMOTE);
    unsetenv ("NODE_EXTRA_CA_CERTS");
    zweb_close (&w);
}

static void codes_of_the_server (void)
{
    if (!has_websocket ())
        return;
    zweb_t w = zweb_open ();
    expect_said ("bye", w.ws, "open code 1000 clean\n");
    zweb_expect_peer (&w, ZLINK_DISCONNECT_LOCAL);
    expect_said ("text", w.ws, "open code 1003 clean\n");
    zweb_expect_peer (&w, ZLINK_DISCONNECT_TRANSPORT_ERROR);
    expect_said ("tooLong", w.ws, "open code 1009 clean\n");
    zweb_expect_peer (&w, ZLINK_DISCONNECT_TRANSPORT_ERROR);
    zweb_close (&w);
}

/* A certificate that Node does not know, and a path that is not there. */
static void refused (void)
{
    if (!has_websocket ())
        return;
    zweb_t w = zweb_open ();
    expect_said ("wait", w.wss, "never open\n");
    zweb_expect_failed (&w);
    *strrchr (w.ws, '/') = '\0';
    expect_said ("wait", w.ws, "never open\n");
    zweb_expect_failed (&w);
    zweb_close (&w);
}

static const zt_case_t cases[] = {
  ZT_CASE (exchange),
  ZT_CASE (codes_of_the_server),
  ZT_CASE (refused),
};

int main (int argc, char **argv)
{
    if (!zt_has_program ("node") || !zt_has_program ("openssl"))
        return SKIPPED;
    return zt_main (argc, argv, cases, sizeof cases / sizeof *cases);
}
