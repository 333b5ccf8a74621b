/* SPDX-License-Identifier: MPL-2.0 */
#include "ztest.h"
#include "zfast.h"
#include "zmonitor.h"
#include "zws.h"
#include "ztls.h"

#include <stdarg.h>
#include <stdio.h>

#define MORE_ARGUMENTS 16

/* ------------------------------------------------------------- certificates */

static char folder[] = "/tmp/zlink-tls-XXXXXX";

static void remove_folder (void)
{
    char output[64];
    zt_run (ZT_ARGV ("rm", "-rf", folder), output, sizeof output);
}

static void make_certs (void)
{
    static char output[65536];
    CHECK (mkdtemp (folder) != NULL);
    atexit (remove_folder);
    if (zt_run (ZT_ARGV ("sh", "-c", "exec \"$0\" \"$1\" 2>&1", MAKE_CERTS,
                         folder),
                output, sizeof output)
        != 0) {
        printf ("%s\n", output);
        CHECK (!"the certificates are made");
    }
}

const char *zt_cert (const char *file)
{
    static char paths[8][64];
    static unsigned next;
    static bool made;
    if (!made)
        make_certs ();
    made = true;
    char *path = paths[next++ % 8];
    snprintf (path, sizeof paths[0], "%s/%s", folder, file);
    return path;
}

void zt_set_text (void *s, int option, const char *text)
{
    CHECK_OK (zlink_setsockopt (s, option, text, strlen (text)));
}

void zt_set_cert (void *s, const char *name)
{
    char file[32];
    snprintf (file, sizeof file, "%s.pem", name);
    zt_set_text (s, ZLINK_TLS_CERT, zt_cert (file));
    snprintf (file, sizeof file, "%s.key", name);
    zt_set_text (s, ZLINK_TLS_KEY, zt_cert (file));
}

/* ------------------------------------------------------------------ openssl */

zt_child_t zt_s_client (int port, ...)
{
    const char *argv[13 + MORE_ARGUMENTS] = {
      "openssl", "s_client", "-quiet",
      "-nocommands", "-no_ign_eof", "-verify_quiet", "-verify_return_error",
      "-CAfile", zt_cert ("ca.pem")};
    size_t used = 9;
    char address[32];
    va_list more;

    snprintf (address, sizeof address, "127.0.0.1:%d", port);
    argv[used++] = "-connect";
    argv[used++] = address;
    va_start (more, port);
    do
        CHECK (used < sizeof argv / sizeof *argv);
    while ((argv[used++] = va_arg (more, const char *)) != NULL);
    va_end (more);
    return zt_spawn (argv);
}

void zt_expect_exchange (void *s, uint32_t peer, int fd)
{
    char body[16];
    zt_write_frame (fd, "to the server", 13);
    zt_fast_expect (s, peer, "to the server", 13);
    zt_fast_send (s, peer, "to the client", 13);
    CHECK_EQ (zt_read_frame (fd, body, sizeof body), 13);
    CHECK_MEM (body, "to the client", 13);
}

/* ------------------------------------------------------------------ fixture */

void ztls_settings (void *s)
{
    zt_set_cert (s, "server");
}

ztls_t ztls_open (void)
{
    ztls_t t;
    t.ctx = zt_ctx ();
    t.s = zt_fast_socket (t.ctx);
    ztls_settings (t.s);
    t.monitor = zt_monitor (
      t.s, ZLINK_EVENT_ACCEPTED | ZLINK_EVENT_CONNECTION_READY
             | ZLINK_EVENT_HANDSHAKE_FAILED_NO_DETAIL
             | ZLINK_EVENT_HANDSHAKE_FAILED_PROTOCOL
             | ZLINK_EVENT_HANDSHAKE_FAILED_AUTH | ZLINK_EVENT_DISCONNECTED);
    t.port = zt_bind_to (t.s, "tls://127.0.0.1:*");
    t.other = zt_s_client (t.port, NULL);
    t.other_peer = ztls_expect_up (&t);
    return t;
}

void ztls_end (ztls_t *t)
{
    zt_fast_silence (t->s, 0);
    zt_expect_exchange (t->s, t->other_peer, t->other.fd);
    CHECK_EQ (zt_finish (&t->other), 0);
    zt_close (t->s);
    zt_close (t->monitor);
    zt_term (t->ctx);
}

static void expect_failed (ztls_t *t, uint64_t event, uint64_t value,
                           const char *why)
{
    zlink_monitor_event_t up = zt_event (t->monitor, ZLINK_EVENT_ACCEPTED);
    CHECK (strncmp (up.remote_addr, "tls://127.0.0.1:", 16) == 0);
    zlink_monitor_event_t failed;
    CHECK_OK (zlink_monitor_recv (t->monitor, &failed, 0));
    printf ("event 0x%llx, value 0x%llx\n", (unsigned long long) failed.event,
            (unsigned long long) failed.value);
    printf ("%s\n", zlink_error_detail ());
    CHECK_EQ (failed.event, event);
    CHECK (*zlink_error_detail () != '\0');
    CHECK (strstr (zlink_error_detail (), why) != NULL);
    if (value != 0)
        CHECK_EQ (failed.value, value);
    CHECK_STR (failed.remote_addr, up.remote_addr);
    zt_event_value (t->monitor, ZLINK_EVENT_DISCONNECTED,
                    ZLINK_DISCONNECT_HANDSHAKE_FAILED);
}

void ztls_expect_failed (ztls_t *t, uint64_t event, uint64_t value)
{
    expect_failed (t, event, value, "");
}

void ztls_expect_refused (ztls_t *t, const char *why)
{
    expect_failed (t, ZLINK_EVENT_HANDSHAKE_FAILED_AUTH, EACCES, why);
}

uint32_t ztls_expect_up (ztls_t *t)
{
    zt_event_shaken (t->monitor, ZLINK_EVENT_ACCEPTED);
    return zt_fast_event (t->s, ZLINK_STREAM_CONNECTED);
}

void ztls_expect_down (ztls_t *t, uint32_t peer)
{
    CHECK_EQ (zt_fast_event (t->s, ZLINK_STREAM_DISCONNECTED), peer);
    zt_event (t->monitor, ZLINK_EVENT_DISCONNECTED);
}
