/* SPDX-License-Identifier: MPL-2.0 */
/* Two pages of an example in Chromium chat with each other. */
#include "ztest.h"
#include "zchild.h"
#include "zchrome.h"

#include <stdio.h>

#define PAGES "file://" SOURCE_DIR "/../../examples/"
#define PAGE PAGES "browser-chat/chat.html"
/* Long enough to be compressed. */
#define TEN "0123456789"
#define LONG_LINE TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define TEXT_PAGE PAGES "browser-text/chat.html"

static zt_child_t start_server (const char *program, char endpoint[128])
{
    zt_child_t server = zt_spawn (ZT_ARGV (program, "ws://127.0.0.1:*"));
    size_t size = 0;
    do
        zt_read (server.fd, endpoint + size, 1);
    while (endpoint[size++] != '\n');
    endpoint[size - 1] = '\0';
    return server;
}

static zt_page_t open_chat (zt_chrome_t *chrome, const char *file, const char *endpoint)
{
    char url[512], connected[160];
    snprintf (url, sizeof url, "%s#%s", file, endpoint);
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

static void chat_with (const char *program, const char *file)
{
    char endpoint[128];
    zt_child_t server = start_server (program, endpoint);
    zt_chrome_t chrome = zt_chrome_open (NULL);
    zt_page_t ann = open_chat (&chrome, file, endpoint);
    zt_page_t bob = open_chat (&chrome, file, endpoint);
    type (&ann, "ann", "hello, bob");
    expect_lines (&ann, "ann: hello, bob");
    expect_lines (&bob, "ann: hello, bob");
    type (&bob, "bob", "grüße, 世界");
    expect_lines (&ann, "ann: hello, bob/bob: grüße, 世界");
    expect_lines (&bob, "ann: hello, bob/bob: grüße, 世界");
    type (&ann, "ann", LONG_LINE);
    expect_lines (&bob, "ann: hello, bob/bob: grüße, 世界/ann: " LONG_LINE);
    zt_chrome_close (&chrome);
    zt_kill (&server);
}

static void two_pages_chat (void)
{
    chat_with (CHAT_SERVER, PAGE);
}

/* Without a length in front, in text, and compressed. */
static void two_pages_chat_in_text (void)
{
    chat_with (TEXT_CHAT, TEXT_PAGE);
}

/* A page whose server comes back is connected again. */
static void server_restarts (void)
{
    char endpoint[128];
    zt_child_t server = start_server (CHAT_SERVER, endpoint);
    zt_chrome_t chrome = zt_chrome_open (NULL);
    zt_page_t ann = open_chat (&chrome, PAGE, endpoint);
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
  ZT_CASE (two_pages_chat_in_text),
  ZT_CASE (server_restarts),
};

int main (int argc, char **argv)
{
    if (!zt_has_program ("chromium"))
        return SKIPPED;
    return zt_main (argc, argv, cases, sizeof cases / sizeof *cases);
}
