/* SPDX-License-Identifier: MPL-2.0 */
/* ipc: paths, names in the abstract space, and the files they leave. */
#include "ztest.h"
#include "zfast.h"
#include "zipc.h"
#include "zmonitor.h"

#include <fcntl.h>

/* A plain client of that name is served. */
static void expect_service (void *s, const char *name)
{
    char body[8];
    int fd = client (name);
    CHECK (fd >= 0);
    uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    zt_write_frame (fd, "hello", 5);
    zt_fast_expect (s, peer, "hello", 5);
    zt_fast_send (s, peer, "world", 5);
    CHECK_EQ (zt_read_frame (fd, body, sizeof body), 5);
    CHECK_MEM (body, "world", 5);
    close (fd);
    CHECK_EQ (zt_fast_event (s, ZLINK_STREAM_DISCONNECTED), peer);
}

/* The last failed call said something about the path or name. */
static void expect_detail (const char *about)
{
    printf ("%s\n", zlink_error_detail ());
    CHECK (strstr (zlink_error_detail (), about) != NULL);
}

/* -------------------------------------------------------------------- names */

static void file_of_a_path (void)
{
    make_folder ();
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    struct stat info;
    CHECK_OK (zlink_bind (s, endpoint));
    CHECK_STR (last_endpoint (s), endpoint);
    CHECK_OK (lstat (path, &info));
    CHECK (S_ISSOCK (info.st_mode));
    expect_service (s, path);
    CHECK_OK (zlink_unbind (s, endpoint));
    CHECK (!exists (path));

    /* And of close, and of termination. */
    CHECK_OK (zlink_bind (s, endpoint));
    expect_service (s, path);
    zt_close (s);
    zt_term (ctx);
    CHECK (!exists (path));
    remove_folder ();
}

static void relative_path (void)
{
    char before[256];
    make_folder ();
    CHECK (getcwd (before, sizeof before) != NULL);
    CHECK_OK (chdir (folder));
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    CHECK_OK (zlink_bind (s, "ipc://server"));
    CHECK_STR (last_endpoint (s), "ipc://server");
    expect_service (s, path);
    zt_close (s);
    zt_term (ctx);
    CHECK (!exists (path));
    CHECK_OK (chdir (before));
    remove_folder ();
}

static void abstract_name (void)
{
    char name[32], other[64];
    snprintf (name, sizeof name, "@zlink-test-%d", (int) getpid ());
    snprintf (other, sizeof other, "ipc://%s", name);
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx), *t = zt_fast_socket (ctx);
    CHECK_OK (zlink_bind (s, other));
    CHECK_STR (last_endpoint (s), other);
    CHECK (!exists (name));
    expect_service (s, name);
    CHECK_FAIL (zlink_bind (t, other), EADDRINUSE);
    CHECK_OK (zlink_unbind (s, other));
    CHECK_EQ (client (name), -1);
    CHECK_OK (zlink_bind (t, other));
    expect_service (t, name);
    zt_close (s);
    zt_close (t);
    zt_term (ctx);
}

/* "*" is a new path each time; nothing of it stays. */
static void any_path (void)
{
    char first[256], second[256], parent[256];
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    CHECK_OK (zlink_bind (s, "ipc://*"));
    strcpy (first, last_endpoint (s));
    CHECK_OK (zlink_bind (s, "ipc://*"));
    strcpy (second, last_endpoint (s));
    printf ("%s\n", first);
    CHECK (strncmp (first, "ipc:///", 7) == 0);
    CHECK (strcmp (first, second) != 0);
    expect_service (s, first + 6);
    expect_service (s, second + 6);
    CHECK_OK (zlink_unbind (s, first));
    CHECK (!exists (first + 6));
    CHECK (exists (second + 6));
    zt_close (s);
    zt_term (ctx);
    CHECK (!exists (second + 6));
    /* A folder that was made for it goes, too. */
    strcpy (parent, second + 6);
    *strrchr (parent, '/') = '\0';
    CHECK (strcmp (parent, "/tmp") == 0 || !exists (parent));
}

static void longest_names (void)
{
    struct sockaddr_un address;
    char name[300], text[320];
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    make_folder ();
    for (size_t length = 100; length <= 200; length++) {
        memset (name, 'p', sizeof name);
        memcpy (name, path, strlen (path));
        name[length] = '\0';
        snprintf (text, sizeof text, "ipc://%s", name);
        int rc = zlink_bind (s, text);
        CHECK (rc == 0 || errno == ENAMETOOLONG || errno == EINVAL);
        CHECK_EQ (rc == 0, length < sizeof address.sun_path);
        if (rc == 0) {
            CHECK_STR (last_endpoint (s), text);
            expect_service (s, name);
            CHECK_OK (zlink_unbind (s, text));
        } else {
            expect_detail ("long");
            CHECK_EQ (zlink_connect (s, text), -1);
        }
    }
    zt_close (s);
    zt_term (ctx);
    remove_folder ();
}

static void malformed (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    CHECK_EQ (zlink_has ("ipc"), 1);
    CHECK_FAIL (zlink_bind (s, "ipc://"), EINVAL);
    CHECK_FAIL (zlink_connect (s, "ipc://"), EINVAL);
    CHECK_FAIL (zlink_bind (s, "ipc://@"), EINVAL);
    CHECK_FAIL (zlink_connect (s, "ipc://*"), EINVAL);
    CHECK_FAIL (zlink_unbind (s, "ipc:///tmp/nobody"), ENOENT);
    CHECK_FAIL (zlink_disconnect (s, "ipc:///tmp/nobody"), ENOENT);
    zt_close (s);
    zt_term (ctx);
}

/* -------------------------------------------------------------------- files */

/* The file of a server that died is replaced. */
static void stale_file (void)
{
    make_folder ();
    close (server_of (path));
    CHECK (exists (path));
    CHECK_EQ (client (path), -1);
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    CHECK_OK (zlink_bind (s, endpoint));
    expect_service (s, path);
    zt_close (s);
    zt_term (ctx);
    remove_folder ();
}

static void file_in_use (void)
{
    make_folder ();
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx), *t = zt_fast_socket (ctx);
    CHECK_OK (zlink_bind (s, endpoint));
    CHECK_FAIL (zlink_bind (t, endpoint), EADDRINUSE);
    expect_detail (path);
    CHECK_FAIL (zlink_bind (s, endpoint), EADDRINUSE);
    zt_close (t);
    expect_service (s, path); /* undisturbed, and by no probe of the others */
    zt_close (s);
    zt_term (ctx);
    remove_folder ();
}

/* A file that is no socket stays as it is. */
static void other_files (void)
{
    char bytes[8];
    make_folder ();
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    int fd = open (path, O_CREAT | O_RDWR, 0600);
    CHECK_EQ (write (fd, "precious", 8), 8);
    CHECK_FAIL (zlink_bind (s, endpoint), EADDRINUSE);
    expect_detail (path);
    CHECK_EQ (pread (fd, bytes, 8, 0), 8);
    CHECK_MEM (bytes, "precious", 8);
    close (fd);
    CHECK (exists (path));
    CHECK_OK (unlink (path));

    CHECK_OK (mkdir (path, 0700));
    CHECK_FAIL (zlink_bind (s, endpoint), EADDRINUSE);
    CHECK_OK (rmdir (path));

    CHECK_OK (symlink ("/nowhere/at/all", path));
    CHECK_FAIL (zlink_bind (s, endpoint), EADDRINUSE);
    CHECK_OK (unlink (path));
    zt_close (s);
    zt_term (ctx);
    remove_folder ();
}

static void no_folder (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    CHECK_FAIL (zlink_bind (s, "ipc:///nowhere/at/all"), ENOENT);
    expect_detail ("/nowhere/at/all");
    zt_close (s);
    zt_term (ctx);
}

/* Somebody took the file away and listens in its place: that file is not
 * removed. */
static void file_of_a_successor (void)
{
    make_folder ();
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    CHECK_OK (zlink_bind (s, endpoint));
    CHECK_OK (unlink (path));
    int successor = server_of (path);
    zt_close (s);
    zt_term (ctx);
    CHECK (exists (path));
    int fd = client (path);
    CHECK (fd >= 0);
    close (fd);
    close (successor);
    CHECK_OK (unlink (path));
    remove_folder ();
}

/* -------------------------------------------------------------- connections */

static void unbind_leaves_connections (void)
{
    make_folder ();
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    CHECK_OK (zlink_bind (s, endpoint));
    int fd = client (path);
    uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    CHECK_OK (zlink_unbind (s, endpoint));
    CHECK (!exists (path));
    zt_write_frame (fd, "still", 5);
    zt_fast_expect (s, peer, "still", 5);
    close (fd);
    CHECK_EQ (zt_fast_event (s, ZLINK_STREAM_DISCONNECTED), peer);
    zt_close (s);
    zt_term (ctx);
    remove_folder ();
}

/* The next event of this kind. */
static zlink_monitor_event_t wait_for (void *monitor, uint64_t event)
{
    zlink_monitor_event_t e;
    do
        CHECK_OK (zlink_monitor_recv (monitor, &e, 0));
    while (e.event != event);
    return e;
}

/* A client that comes first, and sees its server go and come again. */
static void connect_before_bind (void)
{
    make_folder ();
    void *ctx = zt_ctx (), *c = zt_fast_socket (ctx);
    zt_set_int (c, ZLINK_RECONNECT_IVL, 10);
    void *monitor = zt_monitor (c, ZLINK_EVENT_ALL);
    CHECK_OK (zlink_connect (c, endpoint));
    wait_for (monitor, ZLINK_EVENT_CONNECT_RETRIED);
    wait_for (monitor, ZLINK_EVENT_CONNECT_RETRIED);
    for (int i = 0; i < 3; i++) {
        void *s = zt_fast_socket (ctx);
        CHECK_OK (zlink_bind (s, endpoint));
        uint32_t at_c = zt_fast_event (c, ZLINK_STREAM_CONNECTED);
        uint32_t at_s = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
        zlink_monitor_event_t up = wait_for (monitor, ZLINK_EVENT_CONNECTED);
        CHECK_STR (up.remote_addr, endpoint);
        zt_event (monitor, ZLINK_EVENT_CONNECTION_READY);
        zt_fast_send (c, at_c, "ping", 4);
        zt_fast_expect (s, at_s, "ping", 4);
        zt_close (s);
        CHECK_EQ (zt_fast_event (c, ZLINK_STREAM_DISCONNECTED), at_c);
    }
    CHECK_OK (zlink_disconnect (c, endpoint));
    zt_close (c);
    zt_close (monitor);
    zt_term (ctx);
    remove_folder ();
}

static void events_and_peers (void)
{
    make_folder ();
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    void *monitor = zt_monitor (s, ZLINK_EVENT_ALL);
    zlink_peer_info_t info;
    size_t count = 1;
    CHECK_OK (zlink_bind (s, endpoint));
    CHECK_STR (zt_event (monitor, ZLINK_EVENT_LISTENING).local_addr, endpoint);
    int fd = client (path);
    zlink_monitor_event_t up = zt_event_up (monitor, ZLINK_EVENT_ACCEPTED);
    CHECK_STR (up.local_addr, endpoint);
    printf ("remote_addr \"%s\"\n", up.remote_addr);
    CHECK (strncmp (up.remote_addr, "ipc://", 6) == 0);
    uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    CHECK_OK (zlink_socket_peers (s, &info, &count));
    CHECK_EQ (count, 1);
    CHECK_STR (info.remote_addr, up.remote_addr);
    close (fd);
    CHECK_EQ (zt_fast_event (s, ZLINK_STREAM_DISCONNECTED), peer);
    zt_event_value (monitor, ZLINK_EVENT_DISCONNECTED,
                    ZLINK_DISCONNECT_REMOTE);
    CHECK_FAIL (zlink_bind (s, "ipc:///nowhere/at/all"), ENOENT);
    zt_event_value (monitor, ZLINK_EVENT_BIND_FAILED, ENOENT);
    CHECK_OK (zlink_unbind (s, endpoint));
    CHECK_STR (zt_event (monitor, ZLINK_EVENT_CLOSED).local_addr, endpoint);
    zt_close (s);
    zt_monitor_end (monitor);
    zt_term (ctx);
    remove_folder ();
}

/* Sizes from nothing to more than the kernel's buffers, both ways, between
 * sockets of both modes. */
static void sizes (void)
{
    static const size_t table[] = {0, 1, 100, 65536, 200000, 5000000};
    make_folder ();
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx), *c = zt_socket (ctx);
    zlink_routing_id_t at_c;
    uint8_t *body = malloc (5000000);
    CHECK (body != NULL);
    CHECK_OK (zlink_bind (s, endpoint));
    CHECK_OK (zlink_connect (c, endpoint));
    zt_expect_connect (c, &at_c);
    uint32_t at_s = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        zt_fill (body, table[i], (uint32_t) i); /* no 0x00, which closes */
        zt_send (c, &at_c, body, table[i]);
        zt_fast_expect (s, at_s, body, table[i]);
        zt_fast_send (s, at_s, body, table[i]);
        zt_expect (c, &at_c, body, table[i]);
    }
    free (body);
    zt_close (c);
    zt_close (s);
    zt_term (ctx);
    remove_folder ();
}

static const zt_case_t cases[] = {
  ZT_CASE (file_of_a_path),
  ZT_CASE (relative_path),
  ZT_CASE (abstract_name),
  ZT_CASE (any_path),
  ZT_CASE (longest_names),
  ZT_CASE (malformed),
  ZT_CASE (stale_file),
  ZT_CASE (file_in_use),
  ZT_CASE (other_files),
  ZT_CASE (no_folder),
  ZT_CASE (file_of_a_successor),
  ZT_CASE (unbind_leaves_connections),
  ZT_CASE (connect_before_bind),
  ZT_CASE (events_and_peers),
  ZT_CASE (sizes),
};

ZT_MAIN (cases)
