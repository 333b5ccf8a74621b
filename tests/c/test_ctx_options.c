/* SPDX-License-Identifier: MPL-2.0 */
/* Context options, and what they do to the io threads. */
#include "ztest.h"

#include <dirent.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>

#define COUNT(table) (sizeof (table) / sizeof *(table))
#define UNREADABLE INT_MIN

static const struct
{
    const char *name;
    int option, initial, min, max;
} table[] = {
#define OPTION(name) #name, ZLINK_##name
  {OPTION (IO_THREADS), ZLINK_IO_THREADS_DFLT, 0, INT_MAX},
  {OPTION (MAX_SOCKETS), ZLINK_MAX_SOCKETS_DFLT, 1, 65535},
  {OPTION (MAX_MSGSZ), INT_MAX, 0, INT_MAX},
  {OPTION (BLOCKY), 1, 0, 1},
  {OPTION (IPV6), 0, 0, 1},
  {OPTION (THREAD_SCHED_POLICY), ZLINK_THREAD_SCHED_POLICY_DFLT, 0, INT_MAX},
  {OPTION (THREAD_NAME_PREFIX), -1, 0, INT_MAX},
  {OPTION (THREAD_AFFINITY_CPU_ADD), UNREADABLE, 0, 1023},
#undef OPTION
};

static int get (void *ctx, int option)
{
    errno = 0;
    int value = zlink_ctx_get (ctx, option);
    CHECK_EQ (errno, 0); /* also when the value is -1 */
    return value;
}

/* Refused, with a sentence that names the option. */
static void check_refused (void *ctx, int option, int value)
{
    char number[16];
    snprintf (number, sizeof number, "option %d", option);
    CHECK_FAIL (zlink_ctx_set (ctx, option, value), EINVAL);
    CHECK (strstr (zlink_error_detail (), number) != NULL);
}

static void ranges (void)
{
    for (size_t i = 0; i < COUNT (table); i++) {
        int option = table[i].option, min = table[i].min, max = table[i].max;
        bool readable = table[i].initial != UNREADABLE;
        void *ctx = zt_ctx ();

        printf ("%s\n", table[i].name);
        if (readable)
            CHECK_EQ (get (ctx, option), table[i].initial);
        else
            CHECK_FAIL (zlink_ctx_get (ctx, option), EINVAL);
        CHECK_OK (zlink_ctx_set (ctx, option, min));
        if (readable)
            CHECK_EQ (get (ctx, option), min);
        CHECK_OK (zlink_ctx_set (ctx, option, max));
        check_refused (ctx, option, min - 1);
        check_refused (ctx, option, INT_MIN);
        if (max < INT_MAX && option != ZLINK_MAX_SOCKETS)
            check_refused (ctx, option, max + 1);
        if (readable)
            CHECK_EQ (get (ctx, option), max);
        zt_term (ctx);
    }
}

/* More sockets than there can be is as many as there can be. */
static void max_sockets_is_cut (void)
{
    static const int more[] = {65536, 100000, INT_MAX};
    void *ctx = zt_ctx ();

    for (size_t i = 0; i < COUNT (more); i++) {
        CHECK_OK (zlink_ctx_set (ctx, ZLINK_MAX_SOCKETS, 1));
        CHECK_OK (zlink_ctx_set (ctx, ZLINK_MAX_SOCKETS, more[i]));
        CHECK_EQ (get (ctx, ZLINK_MAX_SOCKETS), 65535);
    }
    zt_term (ctx);
}

/* Number 3 is SOCKET_LIMIT when read and THREAD_PRIORITY when set. */
static void other_options (void)
{
    void *ctx = zt_ctx ();

    CHECK_EQ (get (ctx, ZLINK_SOCKET_LIMIT), 65535);
    CHECK_OK (zlink_ctx_set (ctx, ZLINK_THREAD_PRIORITY, 5));
    CHECK_EQ (get (ctx, ZLINK_SOCKET_LIMIT), 65535);
    check_refused (ctx, ZLINK_THREAD_PRIORITY, -1);
    CHECK_EQ (get (ctx, ZLINK_MSG_T_SIZE), sizeof (zlink_msg_t));
    check_refused (ctx, ZLINK_MSG_T_SIZE, 64);

    /* A processor can be removed when it was added, once. */
    check_refused (ctx, ZLINK_THREAD_AFFINITY_CPU_REMOVE, 0);
    CHECK_OK (zlink_ctx_set (ctx, ZLINK_THREAD_AFFINITY_CPU_ADD, 0));
    CHECK_OK (zlink_ctx_set (ctx, ZLINK_THREAD_AFFINITY_CPU_ADD, 0));
    CHECK_OK (zlink_ctx_set (ctx, ZLINK_THREAD_AFFINITY_CPU_REMOVE, 0));
    check_refused (ctx, ZLINK_THREAD_AFFINITY_CPU_REMOVE, 0);
    CHECK_FAIL (zlink_ctx_get (ctx, ZLINK_THREAD_AFFINITY_CPU_REMOVE), EINVAL);
    zt_term (ctx);
}

static bool known (int option)
{
    return (option >= ZLINK_IO_THREADS && option <= ZLINK_THREAD_NAME_PREFIX)
           || option == ZLINK_IPV6 || option == ZLINK_BLOCKY;
}

static void unknown_options (void)
{
    static const int far[] = {-1, INT_MIN, 9999, INT_MAX};
    void *ctx = zt_ctx ();

    for (int option = 0; option < 300; option++)
        if (!known (option)) {
            check_refused (ctx, option, 1);
            CHECK_FAIL (zlink_ctx_get (ctx, option), EINVAL);
        }
    for (size_t i = 0; i < COUNT (far); i++) {
        check_refused (ctx, far[i], 1);
        CHECK_FAIL (zlink_ctx_get (ctx, far[i]), EINVAL);
    }
    zt_term (ctx);
}

/* BLOCKY and IPV6 are what new sockets start with. */
static void defaults_of_sockets (void)
{
    void *ctx = zt_ctx ();
    void *before = zt_socket (ctx);

    CHECK_OK (zlink_ctx_set (ctx, ZLINK_BLOCKY, 0));
    CHECK_OK (zlink_ctx_set (ctx, ZLINK_IPV6, 1));
    void *after = zt_socket (ctx);
    CHECK_EQ (zt_get_int (before, ZLINK_LINGER), -1);
    CHECK_EQ (zt_get_int (before, ZLINK_IPV6), 0);
    CHECK_EQ (zt_get_int (after, ZLINK_LINGER), 0);
    CHECK_EQ (zt_get_int (after, ZLINK_IPV6), 1);
    zt_set_int (after, ZLINK_LINGER, -1);
    CHECK_EQ (zt_get_int (after, ZLINK_LINGER), -1);
    zt_close (before);
    zt_close (after);
    zt_term (ctx);
}

/* The process's thread with this name; 0: there is none. */
static pid_t thread_named (const char *name)
{
    char path[64], found[32];
    pid_t thread = 0;
    DIR *dir = opendir ("/proc/self/task");

    CHECK (dir != NULL);
    for (struct dirent *entry; (entry = readdir (dir)) != NULL;) {
        int number = atoi (entry->d_name);
        snprintf (path, sizeof path, "/proc/self/task/%d/comm", number);
        FILE *file = number > 0 ? fopen (path, "r") : NULL;
        if (!file)
            continue;
        if (fgets (found, sizeof found, file)) {
            found[strcspn (found, "\n")] = '\0';
            if (strcmp (found, name) == 0)
                thread = number;
        }
        fclose (file);
    }
    closedir (dir);
    return thread;
}

static void io_threads (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    struct sched_param param;
    cpu_set_t all, set;
    int last = CPU_SETSIZE - 1;

    CHECK_OK (sched_getaffinity (0, sizeof all, &all));
    while (!CPU_ISSET (last, &all))
        last--;
    CHECK_OK (zlink_ctx_set (ctx, ZLINK_THREAD_NAME_PREFIX, 47));
    CHECK_OK (zlink_ctx_set (ctx, ZLINK_THREAD_AFFINITY_CPU_ADD, last));
    CHECK_OK (zlink_ctx_set (ctx, ZLINK_THREAD_SCHED_POLICY, SCHED_RR));
    CHECK_OK (zlink_ctx_set (ctx, ZLINK_THREAD_PRIORITY, 3));
    CHECK_OK (zlink_ctx_set (ctx, ZLINK_IO_THREADS, 3));
    CHECK_EQ (thread_named ("47/ZLINKbg/IO/0"), 0);
    zt_bind (s);
    ZT_UNTIL (thread_named ("47/ZLINKbg/IO/0") != 0);
    pid_t thread = thread_named ("47/ZLINKbg/IO/0");
    ZT_UNTIL (sched_getaffinity (thread, sizeof set, &set) == 0
              && CPU_COUNT (&set) == 1);
    CHECK (CPU_ISSET (last, &set));
    if (geteuid () != 0) {
        zt_skip ("policy and priority need root");
    } else {
        ZT_UNTIL (sched_getscheduler (thread) == SCHED_RR);
        CHECK_OK (sched_getparam (thread, &param));
        CHECK_EQ (param.sched_priority, 3);
    }
    /* The threads are there now. */
    check_refused (ctx, ZLINK_IO_THREADS, 2);
    CHECK_EQ (get (ctx, ZLINK_IO_THREADS), 3);
    zt_close (s);
    zt_term (ctx);
}

/* AFFINITY names the threads that serve a socket. */
static void affinity (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    uint64_t mask = 4;

    CHECK_OK (zlink_ctx_set (ctx, ZLINK_IO_THREADS, 2));
    CHECK_OK (zlink_ctx_set (ctx, ZLINK_THREAD_NAME_PREFIX, 48));
    CHECK_OK (zlink_setsockopt (s, ZLINK_AFFINITY, &mask, sizeof mask));
    CHECK_FAIL (zlink_bind (s, "tcp://127.0.0.1:*"), EMTHREAD);
    CHECK (strstr (zlink_error_detail (), "AFFINITY 0x4") != NULL);
    CHECK_FAIL (zlink_connect (s, "tcp://127.0.0.1:9"), EMTHREAD);
    mask = 2;
    CHECK_OK (zlink_setsockopt (s, ZLINK_AFFINITY, &mask, sizeof mask));
    zt_bind (s);
    ZT_UNTIL (thread_named ("48/ZLINKbg/IO/1") != 0);
    CHECK_EQ (thread_named ("48/ZLINKbg/IO/0"), 0);
    zt_close (s);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (ranges),
  ZT_CASE (max_sockets_is_cut),
  ZT_CASE (other_options),
  ZT_CASE (unknown_options),
  ZT_CASE (defaults_of_sockets),
  ZT_CASE (io_threads),
  ZT_CASE (affinity),
};

ZT_MAIN (cases)
