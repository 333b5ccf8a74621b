/* SPDX-License-Identifier: MPL-2.0 */
/* The statistics of a context through a local socket (zlink_ctx_set_admin). */
#include "ztest.h"
#include "zfast.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define ANSWER_MAX (1 << 16)

static char path[64];

static void new_path (void)
{
    static int n;
    snprintf (path, sizeof path, "/tmp/zlink-admin-%d-%d", (int) getpid (), n++);
}

static int reader (void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK (fd >= 0);
    memcpy (at.sun_path, path, strlen (path) + 1);
    CHECK_OK (connect (fd, (struct sockaddr *) &at, sizeof at));
    return fd;
}

/* Asks, and stores the line that comes. */
static void ask (int fd, char answer[ANSWER_MAX])
{
    size_t size = 0;
    CHECK_EQ (send (fd, "stats\n", 6, MSG_NOSIGNAL), 6);
    do {
        ssize_t n = recv (fd, answer + size, ANSWER_MAX - 1 - size, 0);
        CHECK (n > 0);
        size += (size_t) n;
    } while (answer[size - 1] != '\n');
    answer[size] = '\0';
}

static void tells_of_all_sockets (void)
{
    static char answer[ANSWER_MAX];
    void *ctx = zt_ctx (), *first = zt_fast_socket (ctx), *second = zt_fast_socket (ctx);
    struct stat file;
    new_path ();
    CHECK_OK (zlink_ctx_set_admin (ctx, path));
    CHECK_OK (stat (path, &file));
    CHECK_EQ (file.st_mode, S_IFSOCK | 0600);
    zt_connect (second, zt_bind (first));
    zt_fast_event (first, ZLINK_STREAM_CONNECTED);
    zt_fast_event (second, ZLINK_STREAM_CONNECTED);
    int fd = reader ();
    ask (fd, answer);
    CHECK (strstr (answer, "{\"version\":1,\"pid\":") == answer);
    CHECK (strstr (answer, "\"kind\":\"listen\",\"endpoint\":\"tcp://127.0.0.1:") != NULL);
    CHECK (strstr (answer, "\"kind\":\"dial\",\"endpoint\":\"tcp://127.0.0.1:") != NULL);
    CHECK (strstr (answer, "\"accepted\":1,\"dialled\":0") != NULL);
    CHECK (strstr (answer, "\"accepted\":0,\"dialled\":1") != NULL);
    CHECK (strstr (answer, "\"role\":\"") != NULL);
    zt_close (second);
    zt_close (first);
    zt_term (ctx);
    CHECK_EQ (recv (fd, answer, sizeof answer, 0), 0); /* the context's end closes it */
    CHECK_EQ (close (fd), 0);
    CHECK_FAIL (stat (path, &file), ENOENT);
}

static void begins_and_ends (void)
{
    void *ctx = zt_ctx (), *other = zt_ctx ();
    struct stat file;
    new_path ();
    CHECK_OK (zlink_ctx_set_admin (ctx, NULL));
    CHECK_OK (zlink_ctx_set_admin (ctx, path));
    CHECK_FAIL (zlink_ctx_set_admin (other, path), EADDRINUSE);
    CHECK (strstr (zlink_error_detail (), path) != NULL);
    CHECK_OK (zlink_ctx_set_admin (ctx, ""));
    CHECK_FAIL (stat (path, &file), ENOENT);
    CHECK_OK (zlink_ctx_set_admin (other, path));
    CHECK_FAIL (zlink_ctx_set_admin (ctx, "@name"), EINVAL);
    CHECK_FAIL (zlink_ctx_set_admin (ctx, "/nowhere/at/all"), ENOENT);
    CHECK_FAIL (zlink_ctx_set_admin ((void *) path, path), EFAULT);
    CHECK_OK (zlink_ctx_shutdown (ctx));
    CHECK_FAIL (zlink_ctx_set_admin (ctx, path), ETERM);
    zt_term (ctx);
    zt_term (other);
    CHECK_FAIL (stat (path, &file), ENOENT);
}

static const zt_case_t cases[] = {
  ZT_CASE (tells_of_all_sockets),
  ZT_CASE (begins_and_ends),
};

ZT_MAIN (cases)
