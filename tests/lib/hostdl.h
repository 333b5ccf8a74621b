/* SPDX-License-Identifier: MPL-2.0 */
/*
 * For hosts that load libzlink.so themselves: tests of what it does to a
 * process have to look at that process before. Every case runs in a process of
 * its own that has not loaded it yet.
 */
#ifndef HOSTDL_H_INCLUDED
#define HOSTDL_H_INCLUDED

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlink.h>

typedef struct hd_case_t
{
    const char *name;
    void (*run) (void);
} hd_case_t;

#define HD_CASE(function) {#function, function}
#define HD_MAIN(cases)                                                        \
    int main (int argc, char **argv)                                          \
    {                                                                         \
        return hd_main (argc, argv, cases, sizeof (cases) / sizeof (*cases)); \
    }

/* Ends the case, in its process: it cannot run here. */
void hd_skip (const char *reason);

/* PROGRAM LIBRARY [CASE...] */
int hd_main (int argc, char **argv, const hd_case_t *cases, size_t count);

void hd_check (bool ok, const char *file, int line, const char *expr);
#define CHECK(cond) hd_check ((cond), __FILE__, __LINE__, #cond)

/* Waits for a condition; the parent kills a case that takes too long. */
#define HD_UNTIL(cond) \
    do                 \
        usleep (1000); \
    while (!(cond))

/* The functions of the loaded library. */
extern struct hd_functions
{
    void (*version) (int *, int *, int *);
    void *(*ctx_new) (void);
    int (*ctx_set) (void *, int, int);
    int (*ctx_term) (void *);
    void *(*socket) (void *, int);
    int (*close) (void *);
    int (*bind) (void *, const char *);
    int (*setsockopt) (void *, int, const void *, size_t);
    int (*getsockopt) (void *, int, void *, size_t *);
    int (*send) (void *, const void *, size_t, int);
    int (*recv) (void *, void *, size_t, int);
    int (*msg_init) (zlink_msg_t *);
    int (*msg_close) (zlink_msg_t *);
    void *(*atomic_counter_new) (void);
    void (*atomic_counter_destroy) (void **);
    void *(*timers_new) (void);
    int (*timers_add) (void *, size_t, zlink_timer_fn, void *);
    int (*timers_destroy) (void **);
    const char *(*error_detail) (void);
} zl;

/* The library's path, from the command line. */
extern const char *hd_library;

/* dlopen; fills in zl. */
void *hd_load (int flags);

/* A server with one plain client. */
typedef struct hd_server_t
{
    void *ctx;
    void *socket;
    int client;
} hd_server_t;

/* Set by a case whose signal handlers run while the library waits. */
extern bool hd_handlers_run;

hd_server_t hd_open (void);
hd_server_t hd_open_in (void *ctx);
/* Whose queue of sent messages grows as long as there is memory. */
hd_server_t hd_open_unbounded (void);
/* One message from the client and back. */
void hd_exchange (hd_server_t *server);
void hd_close (hd_server_t *server);

/* Loads the library and uses it, and calls check at every stage. */
void hd_stages (void (*check) (const char *stage));

#endif
