/* SPDX-License-Identifier: MPL-2.0 */
/* Programs that a test runs. Include it after ztest.h. */
#ifndef ZCHILD_H_INCLUDED
#define ZCHILD_H_INCLUDED

#include <sys/types.h>

/* Whether a program is in the PATH; tells that tests are skipped when not. */
bool zt_has_program (const char *name);

typedef struct zt_child_t
{
    pid_t pid;
    int fd; /* a stream socket that is its standard input and output */
} zt_child_t;

/* Starts argv[0], which ends with NULL. Its standard error is the test's. It
 * dies with the test. */
zt_child_t zt_spawn (const char *const argv[]);
/* Waits for its end and returns its exit code; 128 + n: by signal n. */
int zt_wait (zt_child_t *child);
/* No more input for it, and then its end. */
int zt_finish (zt_child_t *child);
/* Ends it by a signal. */
void zt_kill (zt_child_t *child);

/* Runs a program to its end; returns its exit code and, as a text, the first
 * cap - 1 bytes of its output. */
int zt_run (const char *const argv[], char *output, size_t cap);

/* Runs a program whose arguments are the rest, or starts it. */
#define ZT_ARGV(...) ((const char *const[]) {__VA_ARGS__, NULL})

#endif
