/* SPDX-License-Identifier: MPL-2.0 */
/* Chromium without a window, and pages in it. Include it after ztest.h. */
#ifndef ZCHROME_H_INCLUDED
#define ZCHROME_H_INCLUDED

#include <sys/types.h>

typedef struct zt_chrome_t
{
    pid_t pid;
    int fd;          /* of the debugging protocol */
    char home[64];   /* a folder of its own */
    unsigned last_id; /* of a command */
} zt_chrome_t;

typedef struct zt_page_t
{
    zt_chrome_t *chrome;
    char session[64];
} zt_page_t;

/* Starts the browser; authority: a certificate that it is to trust, or NULL. */
zt_chrome_t zt_chrome_open (const char *authority);
void zt_chrome_close (zt_chrome_t *chrome);

/* Opens a page and waits until it is complete. */
zt_page_t zt_page_open (zt_chrome_t *chrome, const char *url);

/* The value of an expression, once it is there when it is a promise; the text
 * of the error when it fails. The expression has no double quotes and no
 * backslashes. In a buffer of the thread. */
const char *zt_page_eval (zt_page_t *page, const char *expression);

#endif
