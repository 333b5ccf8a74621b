/* SPDX-License-Identifier: MPL-2.0 */
/* curl, which speaks HTTP, against ws and wss ports. */
#include "ztest.h"
#include "zmonitor.h"
#include "zws.h"
#include "ztls.h"
#include "zweb.h"

#include <stdio.h>
#include <string.h>

#define CURL "curl", "--silent", "--show-error", "--include", "--max-time", "20"
#define UPGRADE                                                              \
    "--http1.1", "-H", "Connection: Upgrade", "-H", "Upgrade: websocket",    \
      "-H", "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: " ZWS_KEY

/* The https:// or http:// address of an endpoint, in a buffer of the thread. */
static const char *url_of (const char *endpoint)
{
    static _Thread_local char url[160];
    snprintf (url, sizeof url, "http%s", endpoint + 2); /* ws -> http */
    return url;
}

/* The status of the answer that a curl command prints. */
static int status_of (const char *const argv[], char *output, size_t cap)
{
    int status = 0;
    zt_run (argv, output, cap);
    if (sscanf (output, "HTTP/1.%*d %d", &status) != 1)
        printf ("%s\n", output);
    return status;
}

/* HTTP that asks for nothing but a page gets an error that says why. */
static void no_upgrade (void)
{
    char output[4096];
    zweb_t w = zweb_open ();
    CHECK_EQ (status_of (ZT_ARGV (CURL, url_of (w.ws)), output, sizeof output),
              426);
    CHECK (strstr (output, "upgrade") != NULL);
    zweb_expect_failed (&w);
    CHECK_EQ (status_of (ZT_ARGV (CURL, "--cacert", zt_cert ("ca.pem"),
                                  "--http1.1", url_of (w.wss)),
                         output, sizeof output),
              426);
    zweb_expect_failed (&w);
    /* As a client that would rather speak HTTP/2. */
    CHECK_EQ (status_of (ZT_ARGV (CURL, "--cacert", zt_cert ("ca.pem"),
                                  url_of (w.wss)),
                         output, sizeof output),
              426);
    zweb_expect_failed (&w);
    zweb_close (&w);
}

static void other_requests (void)
{
    char output[4096], url[200];
    zweb_t w = zweb_open ();
    snprintf (url, sizeof url, "%s/else", url_of (w.ws));
    CHECK_EQ (status_of (ZT_ARGV (CURL, UPGRADE, url), output, sizeof output),
              404);
    zweb_expect_failed (&w);
    CHECK_EQ (status_of (ZT_ARGV (CURL, UPGRADE, "-d", "a=b", url_of (w.ws)),
                         output, sizeof output),
              405);
    zweb_expect_failed (&w);
    zweb_close (&w);
}

/* After a 101 curl reads on until the server closes, and then prints. */
static void expect_upgraded (zweb_t *w, const char *const argv[])
{
    char header[ZWS_HEADER_CAP];
    zt_child_t curl = zt_spawn (argv);
    zlink_monitor_event_t up = zt_event (w->monitor, ZLINK_EVENT_CONNECTION_READY);
    CHECK_OK (zlink_stream_close_peer (w->s, zt_id_number (&up.routing_id)));
    zws_read_header (curl.fd, header);
    CHECK (strncmp (header, "HTTP/1.1 101 ", 13) == 0);
    CHECK_STR (zws_field (header, "Sec-WebSocket-Accept"), ZWS_ACCEPT);
    CHECK (zws_field (header, "Sec-WebSocket-Extensions") == NULL);
    zt_finish (&curl);
    zt_event_value (w->monitor, ZLINK_EVENT_DISCONNECTED,
                    ZLINK_DISCONNECT_LOCAL);
}

static void upgrade (void)
{
    zweb_t w = zweb_open ();
    expect_upgraded (&w, ZT_ARGV (CURL, UPGRADE, url_of (w.ws)));
    expect_upgraded (&w, ZT_ARGV (CURL, UPGRADE, "--cacert",
                                  zt_cert ("ca.pem"), url_of (w.wss)));
    zweb_close (&w);
}

/* https to ws, http to wss, and an authority that curl does not know. */
static void wrong_transport (void)
{
    char output[4096], url[200];
    zweb_t w = zweb_open ();
    snprintf (url, sizeof url, "https%s", w.ws + 2);
    CHECK (zt_run (ZT_ARGV (CURL, url), output, sizeof output) != 0);
    zweb_expect_failed (&w);
    snprintf (url, sizeof url, "http%s", w.wss + 3);
    status_of (ZT_ARGV (CURL, url), output, sizeof output);
    zweb_expect_failed (&w);
    CHECK (zt_run (ZT_ARGV (CURL, url_of (w.wss)), output, sizeof output) != 0);
    zweb_expect_failed (&w);
    zweb_close (&w);
}

static const zt_case_t cases[] = {
  ZT_CASE (no_upgrade),
  ZT_CASE (other_requests),
  ZT_CASE (upgrade),
  ZT_CASE (wrong_transport),
};

int main (int argc, char **argv)
{
    if (!zt_has_program ("openssl") || !zt_has_program ("curl"))
        return SKIPPED;
    return zt_main (argc, argv, cases, sizeof cases / sizeof *cases);
}
