/* SPDX-License-Identifier: MPL-2.0 */
/* TLS_CERT and TLS_KEY set again on a bound socket. */
#include "ztest.h"
#include "zfast.h"
#include "zmonitor.h"
#include "zws.h"
#include "ztls.h"

#include <stdio.h>

/* Writes the serial number of the certificate that a port shows. */
static void serial_of (int port, char serial[128])
{
    char command[512];
    snprintf (command, sizeof command,
              "openssl s_client -connect 127.0.0.1:%d -CAfile %s "
              "</dev/null 2>/dev/null | openssl x509 -noout -serial",
              port, zt_cert ("ca.pem"));
    CHECK_EQ (zt_run (ZT_ARGV ("sh", "-c", command), serial, 128), 0);
    CHECK (strncmp (serial, "serial=", 7) == 0);
}

static void serial_of_file (const char *file, char serial[128])
{
    CHECK_EQ (zt_run (ZT_ARGV ("openssl", "x509", "-noout", "-serial", "-in",
                               zt_cert (file)),
                      serial, 128),
              0);
}

/* TLS_CERT and TLS_KEY set again count for new connections; the old ones go
 * on. */
static void certificates_are_reloaded (void)
{
    char first[128], second[128], found[128];
    ztls_t t = ztls_open ();
    serial_of_file ("server.pem", first);
    serial_of_file ("server2.pem", second);
    CHECK (strcmp (first, second) != 0);
    for (int i = 0; i < 3; i++) {
        zt_set_cert (t.s, i % 2 == 0 ? "server" : "server2");
        serial_of (t.port, found);
        CHECK_STR (found, i % 2 == 0 ? first : second);
        ztls_expect_down (&t, ztls_expect_up (&t));
    }
    ztls_end (&t);
}

/* The same names, whose files have a new content: set again, they are read
 * again. */
static void files_are_replaced (void)
{
    char command[512], first[128], second[128], found[128];
    ztls_t t = ztls_open ();
    snprintf (command, sizeof command,
              "cd \"$(dirname %s)\" && cp server.pem live.pem "
              "&& cp server.key live.key",
              zt_cert ("server.pem"));
    CHECK_EQ (zt_run (ZT_ARGV ("sh", "-c", command), found, sizeof found), 0);
    zt_set_cert (t.s, "live");
    serial_of_file ("live.pem", first);
    serial_of (t.port, found);
    ztls_expect_down (&t, ztls_expect_up (&t));
    CHECK_STR (found, first);

    snprintf (command, sizeof command,
              "cd \"$(dirname %s)\" && cp server2.pem live.pem "
              "&& cp server2.key live.key",
              zt_cert ("server.pem"));
    CHECK_EQ (zt_run (ZT_ARGV ("sh", "-c", command), found, sizeof found), 0);
    serial_of_file ("live.pem", second);
    zt_set_cert (t.s, "live");
    serial_of (t.port, found);
    ztls_expect_down (&t, ztls_expect_up (&t));
    CHECK_STR (found, second);
    CHECK (strcmp (first, second) != 0);
    ztls_end (&t);
}

/* A file that cannot be used is refused at the option, and a pair that does not
 * belong together waits for the rest: what was shown is shown on. */
static void unusable_files_change_nothing (void)
{
    char first[128], found[128];
    const char *nowhere = zt_cert ("nowhere.pem"), *cert = zt_cert ("ca.srl");
    ztls_t t = ztls_open ();
    serial_of_file ("server.pem", first);
    CHECK_FAIL (zlink_setsockopt (t.s, ZLINK_TLS_CERT, nowhere, strlen (nowhere)),
                EINVAL);
    CHECK (strstr (zlink_error_detail (), nowhere) != NULL);
    CHECK_FAIL (zlink_setsockopt (t.s, ZLINK_TLS_KEY, cert, strlen (cert)),
                EINVAL);
    CHECK (strstr (zlink_error_detail (), cert) != NULL);
    serial_of (t.port, found);
    ztls_expect_down (&t, ztls_expect_up (&t));
    CHECK_STR (found, first);
    zt_set_text (t.s, ZLINK_TLS_KEY, zt_cert ("server2.key"));
    serial_of (t.port, found);
    ztls_expect_down (&t, ztls_expect_up (&t));
    CHECK_STR (found, first);
    ztls_end (&t);
}

static const zt_case_t cases[] = {
  ZT_CASE (certificates_are_reloaded),
  ZT_CASE (files_are_replaced),
  ZT_CASE (unusable_files_change_nothing),
};

int main (int argc, char **argv)
{
    if (!zt_has_program ("openssl"))
        return SKIPPED;
    return zt_main (argc, argv, cases, sizeof cases / sizeof *cases);
}
