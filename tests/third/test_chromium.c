/* SPDX-License-Identifier: MPL-2.0 */
/* A page in Chromium; what happened is read from the page. */
#include "ztest.h"
#include "ztls.h"
#include "zchrome.h"
#include "zweb.h"

#include <stdio.h>

#define PAGE "file://" SOURCE_DIR "/peer.html"
#define ECHOED "echoed 24 code 4001 clean"

static void expect_said (zt_page_t *page, const char *function,
                         const char *endpoint, const char *said)
{
    char call[256];
    snprintf (call, sizeof call, "%s('%s')", function, endpoint);
    CHECK_STR (zt_page_eval (page, call), said);
}

static void exchange (void)
{
    zweb_t w = zweb_open ();
    zt_chrome_t chrome = zt_chrome_open (zt_cert ("ca.pem"));
    zt_page_t page = zt_page_open (&chrome, PAGE);
    expect_said (&page, "echo", w.ws, ECHOED);
    zweb_expect_peer (&w, ZLINK_DISCONNECT_REMOTE);
    expect_said (&page, "echo", w.wss, ECHOED);
    zweb_expect_peer (&w, ZLINK_DISCONNECT_REMOTE);
    zt_chrome_close (&chrome);
    zweb_close (&w);
}

static void codes_of_the_server (void)
{
    zweb_t w = zweb_open ();
    zt_chrome_t chrome = zt_chrome_open (NULL);
    zt_page_t page = zt_page_open (&chrome, PAGE);
    expect_said (&page, "bye", w.ws, "open code 1000 clean");
    zweb_expect_peer (&w, ZLINK_DISCONNECT_LOCAL);
    expect_said (&page, "text", w.ws, "open code 1003 clean");
    zweb_expect_peer (&w, ZLINK_DISCONNECT_TRANSPORT_ERROR);
    expect_said (&page, "tooLong", w.ws, "open code 1009 clean");
    zweb_expect_peer (&w, ZLINK_DISCONNECT_TRANSPORT_ERROR);
    zt_chrome_close (&chrome);
    zweb_close (&w);
}

/* A certificate that the browser does not know, and a path that is not there. */
static void refused (void)
{
    zweb_t w = zweb_open ();
    zt_chrome_t chrome = zt_chrome_open (NULL);
    zt_page_t page = zt_page_open (&chrome, PAGE);
    expect_said (&page, "wait", w.wss, "never open");
    zweb_expect_failed (&w);
    *strrchr (w.ws, '/') = '\0';
    expect_said (&page, "wait", w.ws, "never open");
    zweb_expect_failed (&w);
    zt_chrome_close (&chrome);
    zweb_close (&w);
}

/* A browser that is gone is a peer that is gone. */
static void browser_goes (void)
{
    zweb_t w = zweb_open ();
    zt_chrome_t chrome = zt_chrome_open (NULL);
    zt_page_t page = zt_page_open (&chrome, PAGE);
    char call[256];
    snprintf (call, sizeof call,
              "new Promise(r => open('%s').onopen = () => r('open'))", w.ws);
    CHECK_STR (zt_page_eval (&page, call), "open");
    zt_chrome_close (&chrome);
    zweb_expect_peer (&w, ZLINK_DISCONNECT_REMOTE);
    zweb_close (&w);
}

static const zt_case_t cases[] = {
  ZT_CASE (exchange),
  ZT_CASE (codes_of_the_server),
  ZT_CASE (refused),
  ZT_CASE (browser_goes),
};

int main (int argc, char **argv)
{
    if (!zt_has_program ("openssl") || !zt_has_program ("chromium")
        || !zt_has_program ("certutil"))
        return SKIPPED;
    return zt_main (argc, argv, cases, sizeof cases / sizeof *cases);
}
