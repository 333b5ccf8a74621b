/* SPDX-License-Identifier: MPL-2.0 */
/* Two pages of the example in Chromium chat with each other. */
#include "ztest.h"
#include "zchild.h"
#include "zchrome.h"

#include <stdio.h>

#define PAGE "file://" SOURCE_DIR "/../../examples/browser-chat/chat.html"

static zt_child_t start_server (char endpoint[128])
{
    zt_child_t server = zt_spawn (ZT_ARGV (CHAT_SERVER, "ws://127.0.0.1:*"));
    size_t size = 0;
    do
        zt_read (server.fd, endpoint + size, 1);
    while (endpoint[size++] != '\n');
    endpoint[size - 1] = '\0';
    return server;
}

static zt_page_t open_chat (zt_chrome_t *chrome, const char *endpoint)
{
    char url[512], connected[160];
    snprintf (url, sizeof url, "%s#%s", PAGE, endpoint);
    snprintf (connected, sizeof connected, "connected to %s", endpoint);
    zt_page_t page = zt_page_open (chrome, url);
    ZT_UNTIL (strcmp (zt_page_eval (
                        &page, "document.getElementById('state').textContent"),
                      connected)
              == 0);
    return page;
}

/* Types a line and sends it, as a user does. */
static void type (zt_page_t *page, const char *name, const char *text)
{
    char expression[512];
    snprintf (expression, sizeof expression,
              "document.getElementById('name').value = '%s',"
              "document.getElementById('text').value = '%s',"
              "document.querySelector('button').click(), 'typed'",
              name, text);
    CHECK_STR (zt_page_eval (page, expression), "typed");
}

/* The page comes to show these lines, separated by "/". */
static void expect_lines (zt_page_t *page, const char *lines)
{
    char expression[512];
    snprintf (expression, sizeof expression,
              "document.getElementById('lines').innerText.trim()"
              ".split(String.fromCharCode(10)).join('/') == '%s' ? 'shown' : ''",
              lines);
    ZT_UNTIL (strcmp (zt_page_eval (page, expression), "shown") == 0);
}

static void two_pages_chat (void)
{
    char endpoint[128];
    zt_child_t server = start_server (endpoint);
    zt_chrome_t chrome = zt_chrome_open (NULL);
    zt_page_t ann = open_chat (&chrome, endpoint);
    zt_page_t bob = open_chat (&chrome, endpoint);
    type (&ann, "ann", "hello, bob");
    expect_lines (&ann, "ann: hello, bob");
    expect_lines (&bob, "ann: hello, bob");
    type (&bob, "bob", "grüße, 世界");
    expect_lines (&ann, "ann: hello, bob/bob: grüße, 世界");
    expect_lines (&bob, "ann: hello, bob/bob: grüße, 世界");
    zt_chrome_close (&chrome);
    zt_kill (&server);
}

/* A page whose server comes back is connected again. */
static void server_restarts (void)
{
    char endpoint[128];
    zt_child_t server = start_server (endpoint);
    zt_chrome_t chrome = zt_chrome_open (NULL);
    zt_page_t ann = open_chat (&chrome, endpoint);
    zt_kill (&server);
    ZT_UNTIL (strncmp (zt_page_eval (
                         &ann, "document.getElementById('state').textContent"),
                       "not connected", 13)
              == 0);
    server = zt_spawn (ZT_ARGV (CHAT_SERVER, endpoint));
    ZT_UNTIL (strncmp (zt_page_eval (
                         &ann, "document.getElementById('state').textContent"),
                       "connected", 9)
              == 0);
    type (&ann, "ann", "again");
    expect_lines (&ann, "ann: again");
    zt_chrome_close (&chrome);
    zt_kill (&server);
}

static const zt_case_t cases[] = {
  ZT_CASE (two_pages_chat),
  ZT_CASE (server_restarts),
};

int main (int argc, char **argv)
{
    if (!zt_has_program ("chromium"))
        return SKIPPED;
    return zt_main (argc, argv, cases, sizeof cases / sizeof *cases);
}
