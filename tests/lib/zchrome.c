/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The DevTools protocol over a pipe: commands and answers are JSON that ends
 * with a NUL. What is asked for here are texts without escapes, so they are
 * found by their names.
 */
#include "ztest.h"
#include "zchild.h"
#include "zchrome.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define ANSWER_CAP (1 << 20)

static char answer[ANSWER_CAP];

/* The browser trusts what the certificate database in its home does. */
static void trust (const char *home, const char *authority)
{
    static char output[4096];
    char command[512];
    snprintf (command, sizeof command,
              "mkdir -p %s/.pki/nssdb && cd %s/.pki/nssdb "
              "&& certutil -d sql:. -N --empty-password "
              "&& certutil -d sql:. -A -n test -t C,, -i %s 2>&1",
              home, home, authority);
    if (zt_run (ZT_ARGV ("sh", "-c", command), output, sizeof output) != 0) {
        printf ("%s\n", output);
        CHECK (!"the certificate is trusted");
    }
}

static void run_browser (const zt_chrome_t *chrome, int fd)
{
    char data[128];
    int log;
    snprintf (data, sizeof data, "%s/log", chrome->home);
    log = open (data, O_CREAT | O_WRONLY, 0600);
    snprintf (data, sizeof data, "--user-data-dir=%s/data", chrome->home);
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    setenv ("HOME", chrome->home, 1);
    int from = fcntl (fd, F_DUPFD, 10);
    dup2 (log, 1);
    dup2 (log, 2);
    dup2 (from, 3);
    dup2 (from, 4);
    /* --no-sandbox: root has no sandbox, and the pages are our own. */
    execlp ("chromium", "chromium", "--headless=new", "--no-sandbox",
            "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update",
            data, "--remote-debugging-pipe", "about:blank", (char *) NULL);
    _exit (127);
}

zt_chrome_t zt_chrome_open (const char *authority)
{
    zt_chrome_t chrome;
    int ends[2];
    strcpy (chrome.home, "/tmp/zlink-chrome-XXXXXX");
    CHECK (mkdtemp (chrome.home) != NULL);
    if (authority)
        trust (chrome.home, authority);
    CHECK_OK (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    chrome.last_id = 0;
    fflush (NULL);
    chrome.pid = fork ();
    CHECK (chrome.pid >= 0);
    if (chrome.pid == 0)
        run_browser (&chrome, ends[1]);
    close (ends[1]);
    chrome.fd = ends[0];
    return chrome;
}

/* Reads the next message of the browser. */
static void read_answer (zt_chrome_t *chrome)
{
    size_t size = 0;
    do {
        CHECK (size < ANSWER_CAP);
        zt_read (chrome->fd, answer + size, 1);
    } while (answer[size++] != '\0');
}

/* Sends a command and reads up to its answer. session: "" for the browser. */
static void
command (zt_chrome_t *chrome, const char *session, const char *method,
         const char *params)
{
    static char text[65536];
    char id[32];
    int size = snprintf (text, sizeof text,
                         "{\"id\":%u,%s%s%s\"method\":\"%s\",\"params\":{%s}}",
                         ++chrome->last_id, *session ? "\"sessionId\":\"" : "",
                         session, *session ? "\"," : "", method, params);
    CHECK (size > 0 && (size_t) size < sizeof text);
    zt_write (chrome->fd, text, (size_t) size + 1);
    snprintf (id, sizeof id, "{\"id\":%u,", chrome->last_id);
    do
        read_answer (chrome);
    while (strncmp (answer, id, strlen (id)) != 0);
}

/* The text of that name in the last answer; NULL: there is none. */
static const char *field (const char *name, char *value, size_t cap)
{
    char key[64];
    snprintf (key, sizeof key, "\"%s\":\"", name);
    const char *at = strstr (answer, key);
    if (!at)
        return NULL;
    at += strlen (key);
    snprintf (value, cap, "%.*s", (int) strcspn (at, "\""), at);
    return value;
}

zt_page_t zt_page_open (zt_chrome_t *chrome, const char *url)
{
    zt_page_t page = {chrome, ""};
    char params[1024], target[64];
    snprintf (params, sizeof params, "\"url\":\"%s\"", url);
    command (chrome, "", "Target.createTarget", params);
    CHECK (field ("targetId", target, sizeof target) != NULL);
    snprintf (params, sizeof params, "\"targetId\":\"%s\",\"flatten\":true",
              target);
    command (chrome, "", "Target.attachToTarget", params);
    CHECK (field ("sessionId", page.session, sizeof page.session) != NULL);
    /* The page is about:blank at first. */
    snprintf (params, sizeof params, "%.8s complete", url);
    ZT_UNTIL (strcmp (zt_page_eval (&page, "location.href.slice(0, 8) + ' ' + "
                                           "document.readyState"),
                      params)
              == 0);
    return page;
}

const char *zt_page_eval (zt_page_t *page, const char *expression)
{
    static _Thread_local char value[4096];
    static char params[32768];
    snprintf (params, sizeof params,
              "\"expression\":\"%s\",\"awaitPromise\":true,"
              "\"returnByValue\":true",
              expression);
    command (page->chrome, page->session, "Runtime.evaluate", params);
    if (strstr (answer, "\"exceptionDetails\"") || strstr (answer, "\"error\"")
        || !field ("value", value, sizeof value))
        snprintf (value, sizeof value, "%.4000s", answer);
    return value;
}

void zt_chrome_close (zt_chrome_t *chrome)
{
    int status;
    char output[256];
    kill (chrome->pid, SIGKILL);
    CHECK_EQ (waitpid (chrome->pid, &status, 0), chrome->pid);
    close (chrome->fd);
    zt_run (ZT_ARGV ("rm", "-rf", chrome->home), output, sizeof output);
}
