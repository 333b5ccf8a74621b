/* SPDX-License-Identifier: MPL-2.0 */
#include "ztest.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

/* A case has so long on a machine that has a processor for each thread that is ready to run, and
 * longer in proportion where it has not: it is to end a test that hangs, not one that is slow. */
#define CASE_LIMIT_MS 60000
#define TICK_MS 100

/* ------------------------------------------------------------------ cases */

static pthread_mutex_t watch_mutex = PTHREAD_MUTEX_INITIALIZER;
static const char *watched_case;
static double watched_ms, watched_since_ms; /* as the limit counts them; when it began */
static const char *_Atomic awaited;

static void *watchdog (void *arg)
{
    (void) arg;
    for (;;) {
        double load;
        zt_pause_ms (TICK_MS);
        if (getloadavg (&load, 1) != 1)
            load = 1;
        load /= (double) sysconf (_SC_NPROCESSORS_ONLN);
        pthread_mutex_lock (&watch_mutex);
        watched_ms += TICK_MS / (load > 1 ? load : 1);
        if (watched_case && watched_ms > CASE_LIMIT_MS) {
            const char *condition = atomic_load (&awaited);
            fprintf (stderr, "%s: not done after %.0f s%s%s\n", watched_case,
                     (zt_now_ms () - watched_since_ms) / 1000, condition ? ", waiting for " : "",
                     condition ? condition : "");
            alarm (10); /* what prints them may hang as well */
            zlink_has ("transitions");
            abort ();
        }
        pthread_mutex_unlock (&watch_mutex);
    }
    return NULL;
}

static void watch (const char *name)
{
    pthread_mutex_lock (&watch_mutex);
    watched_case = name;
    watched_ms = 0;
    watched_since_ms = zt_now_ms ();
    pthread_mutex_unlock (&watch_mutex);
}

static bool selected (const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp (argv[i], name) == 0)
            return true;
    return argc < 2;
}

static atomic_bool skipped;

void zt_skip (const char *format, ...)
{
    char reason[256];
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (reason, sizeof reason, format, arguments);
    va_end (arguments);
    printf ("skipped %s: %s\n", watched_case ? watched_case : "a part", reason);
    atomic_store (&skipped, true);
}

int zt_main (int argc, char **argv, const zt_case_t *cases, size_t count)
{
    int ran = 0;
    pthread_t thread = zt_thread (watchdog, NULL);
    pthread_detach (thread);
    setvbuf (stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < count; i++) {
        if (!selected (cases[i].name, argc, argv))
            continue;
        double start = zt_now_ms ();
        watch (cases[i].name);
        atomic_store (&skipped, false);
        cases[i].run ();
        watch (NULL);
        if (!atomic_load (&skipped))
            printf ("ok %s (%.0f ms)\n", cases[i].name, zt_now_ms () - start);
        ran++;
    }
    if (ran == 0)
        fprintf (stderr, "no such case\n");
    return ran > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ----------------------------------------------------------------- checks */

static void fail (const char *file, int line, const char *expr, int err)
{
    fprintf (stderr, "%s:%d: failed: %s; errno %d (%s)\n", file, line, expr,
             err, zlink_strerror (err));
    fflush (NULL);
    _exit (EXIT_FAILURE);
}

void zt_check (bool ok, const char *file, int line, const char *expr)
{
    if (!ok)
        fail (file, line, expr, errno);
}

void zt_check_eq (
  long long actual, long long expected, const char *file, int line,
  const char *expr)
{
    int err = errno;
    if (actual == expected)
        return;
    fprintf (stderr, "found %lld, expected %lld\n", actual, expected);
    fail (file, line, expr, err);
}

void zt_check_mem (const void *actual, const void *expected, size_t size,
                   const char *file, int line, const char *expr)
{
    const uint8_t *a = actual, *e = expected;
    for (size_t i = 0; i < size; i++) {
        if (a[i] == e[i])
            continue;
        fprintf (stderr, "byte %zu of %zu: found 0x%02x, expected 0x%02x\n", i,
                 size, a[i], e[i]);
        fail (file, line, expr, errno);
    }
}

void zt_check_str (const char *actual, const char *expected, const char *file,
                   int line, const char *expr)
{
    int err = errno;
    if (actual && strcmp (actual, expected) == 0)
        return;
    fprintf (stderr, "found \"%s\", expected \"%s\"\n",
             actual ? actual : "(null)", expected);
    fail (file, line, expr, err);
}

void zt_check_range (double actual, double low, double high, const char *file,
                     int line, const char *expr)
{
    if (actual >= low && actual <= high)
        return;
    fprintf (stderr, "found %.1f\n", actual);
    fail (file, line, expr, errno);
}

void zt_check_fail (bool failed, int err, const char *file, int line,
                    const char *expr)
{
    int found = errno;
    if (!failed) {
        fprintf (stderr, "the call succeeded\n");
        fail (file, line, expr, found);
    }
    if (found == err && zlink_errno () == err)
        return;
    fprintf (stderr, "errno %d, zlink_errno %d, expected %d (%s)\n", found,
             zlink_errno (), err, zlink_strerror (err));
    fail (file, line, expr, found);
}

void zt_poll_pause (const char *file, int line, const char *expr)
{
    static _Thread_local char text[512];

    if (!expr) {
        atomic_store (&awaited, (const char *) NULL);
        return;
    }
    snprintf (text, sizeof text, "%s:%d: %s", file, line, expr);
    atomic_store (&awaited, text);
    zt_pause_ms (1);
}

/* ---------------------------------------------------------------- process */

double zt_now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec * 1e3 + (double) now.tv_nsec / 1e6;
}

void zt_pause_ms (int ms)
{
    struct timespec rest = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep (&rest, &rest) == -1 && errno == EINTR) {
    }
}

size_t zt_fd_count (void)
{
    DIR *dir = opendir ("/proc/self/fd");
    CHECK (dir != NULL);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir (dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir (dir);
    return count - 1;
}

size_t zt_rss_kb (void)
{
    size_t total, resident, files;
    FILE *file = fopen ("/proc/self/statm", "r");
    CHECK (file != NULL);
    CHECK_EQ (fscanf (file, "%zu %zu %zu", &total, &resident, &files), 3);
    fclose (file);
    return (resident - files) * (size_t) sysconf (_SC_PAGESIZE) / 1024;
}

void zt_raise_nofile (void)
{
    struct rlimit limit;
    CHECK_OK (getrlimit (RLIMIT_NOFILE, &limit));
    limit.rlim_cur = limit.rlim_max;
    CHECK_OK (setrlimit (RLIMIT_NOFILE, &limit));
}

static int highest_descriptor (void)
{
    int highest = 0;
    DIR *dir = opendir ("/proc/self/fd");
    CHECK (dir != NULL);
    for (struct dirent *entry; (entry = readdir (dir)) != NULL;)
        if (atoi (entry->d_name) > highest)
            highest = atoi (entry->d_name);
    CHECK_OK (closedir (dir));
    return highest;
}

/* A place that was below the limit and is freed late, by what an earlier case has closed, would
 * be room for one more: so it looks again, until nothing was free for a while. */
void zt_fill_descriptors (zt_full_t *full)
{
    enum
    {
        ABOVE = 8,
        QUIET_MS = 50
    };
    const int most = (int) (sizeof full->fds / sizeof full->fds[0]);
    CHECK_OK (getrlimit (RLIMIT_NOFILE, &full->limit));
    struct rlimit limit = full->limit;
    limit.rlim_cur = (rlim_t) highest_descriptor () + ABOVE;
    CHECK_OK (setrlimit (RLIMIT_NOFILE, &limit));
    full->count = 0;
    for (int before = -1; before != full->count; zt_pause_ms (QUIET_MS)) {
        before = full->count;
        while (full->count < most && (full->fds[full->count] = dup (0)) >= 0)
            full->count++;
        CHECK (full->count < most);
        CHECK_EQ (errno, EMFILE);
    }
}

void zt_free_descriptors (const zt_full_t *full)
{
    CHECK_OK (setrlimit (RLIMIT_NOFILE, &full->limit));
    for (int i = 0; i < full->count; i++)
        CHECK_OK (close (full->fds[i]));
}

pthread_t zt_thread (void *(*run) (void *), void *arg)
{
    pthread_t thread;
    CHECK_OK (pthread_create (&thread, NULL, run, arg));
    return thread;
}

void zt_join (pthread_t thread)
{
    CHECK_OK (pthread_join (thread, NULL));
}

/* ------------------------------------------------------------------- data */

static uint8_t pattern (size_t i, uint32_t seed)
{
    uint32_t x = (uint32_t) i * 2654435761u + seed * 40503u;
    return (uint8_t) ((x >> 16) % 254 + 2);
}

void zt_fill (void *buf, size_t size, uint32_t seed)
{
    uint8_t *bytes = buf;
    for (size_t i = 0; i < size; i++)
        bytes[i] = pattern (i, seed);
}

bool zt_filled (const void *buf, size_t size, uint32_t seed)
{
    const uint8_t *bytes = buf;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != pattern (i, seed)) {
            fprintf (stderr, "byte %zu of %zu: found 0x%02x, expected 0x%02x\n",
                     i, size, bytes[i], pattern (i, seed));
            return false;
        }
    return true;
}

uint32_t zt_random (uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

void zt_put32 (void *buf, uint32_t value)
{
    uint8_t *bytes = buf;
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t) (value >> (24 - 8 * i));
}

uint32_t zt_get32 (const void *buf)
{
    const uint8_t *bytes = buf;
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 8 | bytes[i];
    return value;
}
