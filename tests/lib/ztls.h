/* SPDX-License-Identifier: MPL-2.0 */
/* Certificates of make_certs.sh, and openssl as the other end of a connection.
 * Include it after ztest.h. */
#ifndef ZTLS_H_INCLUDED
#define ZTLS_H_INCLUDED

#include "zchild.h"

/* The path of a certificate's file, such as "server.pem"; they are made at the
 * first call, in a folder that is removed at the end. In one of a few buffers
 * of the process. */
const char *zt_cert (const char *file);

void zt_set_text (void *s, int option, const char *text);
/* TLS_CERT and TLS_KEY are name.pem and name.key. */
void zt_set_cert (void *s, const char *name);

/* openssl s_client for a port on 127.0.0.1, which verifies the server by
 * ca.pem and its address, and more arguments, up to NULL. What it gets as input
 * is sent, and what comes is its output. */
zt_child_t zt_s_client (int port, ...);

/* A peer that echoes nothing by itself: a message in each direction. */
void zt_expect_exchange (void *s, uint32_t peer, int fd);

/* A server (mode FAST) and a client that no case may touch. */
typedef struct ztls_t
{
    void *ctx, *s, *monitor;
    int port;
    zt_child_t other;
    uint32_t other_peer;
} ztls_t;

ztls_t ztls_open (void);
/* A socket with the same settings as the server's, but not bound. */
void ztls_settings (void *s);
/* The bystander is as it was; ends everything. */
void ztls_end (ztls_t *t);

/* The next connection of the server fails: this event, this value (0: any),
 * then DISCONNECTED. The application hears nothing. */
void ztls_expect_failed (ztls_t *t, uint64_t event, uint64_t value);
/* As this, about a certificate, and zlink_error_detail has these words. */
void ztls_expect_refused (ztls_t *t, const char *why);
/* The next connection comes up; returns its peer. */
uint32_t ztls_expect_up (ztls_t *t);
/* This peer's end. */
void ztls_expect_down (ztls_t *t, uint32_t peer);

#endif
