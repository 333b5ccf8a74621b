/* SPDX-License-Identifier: MPL-2.0 */
/* A host program with habits of its own, one per argument; test_host.sh says
 * how each must end. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "zlink.h"

enum
{
    HANDLER_STACK = 64 << 10
};

static volatile sig_atomic_t handled;
static pthread_t handled_on;

static void *open_server (void **context)
{
    *context = zlink_ctx_new ();
    void *s = zlink_socket (*context, ZLINK_STREAM);
    if (!s || zlink_bind (s, "tcp://127.0.0.1:*") != 0)
        exit (99);
    return s;
}

static void close_server (void *s, void *context)
{
    if (zlink_close (s) != 0 || zlink_ctx_term (context) != 0)
        exit (98);
}

/* Uses much of whatever stack it runs on. */
static void handler (int number)
{
    volatile char much[HANDLER_STACK];
    memset ((void *) much, number, sizeof much);
    handled += much[HANDLER_STACK / 2] == number;
    handled_on = pthread_self ();
}

static void handle (int number)
{
    struct sigaction action;
    memset (&action, 0, sizeof action);
    action.sa_handler = handler;
    sigaction (number, &action, NULL);
}

/* A handler without a stack of its own runs hundreds of times while its thread
 * waits in the library, and each ends a receive. */
static int timer_signals (void)
{
    void *context, *s = open_server (&context);
    struct itimerval every = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    int interrupted = 0;
    char buf[8];
    handle (SIGALRM);
    setitimer (ITIMER_REAL, &every, NULL);
    while (interrupted < 300)
        interrupted += zlink_recv (s, buf, sizeof buf, 0) < 0 && errno == EINTR;
    setitimer (ITIMER_REAL, &never, NULL);
    close_server (s, context);
    return handled >= 300 ? 0 : 1;
}

/* Signals for the process come to its own threads, also when those of the
 * library idle beside them. */
static int process_signals (const int *numbers, int count)
{
    void *context, *s = open_server (&context);
    for (int i = 0; i < count; i++) {
        handled = 0;
        handle (numbers[i]);
        kill (getpid (), numbers[i]);
        for (int wait_ms = 0; !handled && wait_ms < 5000; wait_ms++)
            usleep (1000);
        if (!handled || !pthread_equal (handled_on, pthread_self ()))
            return 1;
    }
    close_server (s, context);
    return 0;
}

/* A peer that is gone raises no SIGPIPE, but the host's own pipe does. */
static int broken_pipe (void)
{
    void *context, *s = open_server (&context);
    int ends[2];
    if (pipe (ends) != 0)
        return 1;
    close_server (s, context);
    close (ends[0]);
    (void) !write (ends[1], "x", 1); /* ends the process */
    return 1;
}

/* ---------------------------------------------------------------- crashes */

static int crash (void)
{
    void *context;
    open_server (&context);
    *(volatile int *) (uintptr_t) handled = 1; /* NULL */
    return 1;
}

static int crash_before_any_call (void)
{
    *(volatile int *) (uintptr_t) handled = 1;
    return 1;
}

static void *crash_thread (void *socket)
{
    char buf[8];
    zlink_recv (socket, buf, sizeof buf, ZLINK_DONTWAIT);
    *(volatile int *) (uintptr_t) handled = 1;
    return NULL;
}

static int crash_in_thread (void)
{
    void *context;
    pthread_t thread;
    if (pthread_create (&thread, NULL, crash_thread, open_server (&context)) != 0)
        return 1;
    pthread_join (thread, NULL);
    return 1;
}

static int division (void)
{
    void *context;
    open_server (&context);
    return 1000 / (int) handled;
}

static int give_up (void)
{
    void *context;
    open_server (&context);
    abort ();
}

static int end_by_signal (void)
{
    void *context;
    open_server (&context);
    raise (SIGTERM);
    return 1;
}

/* Runs itself in an empty folder, where the kernel leaves a core if the name
 * pattern is a plain one. */
static int dump_core (const char *program)
{
    char self[4096] = "", pattern[256] = "", folder[] = "/tmp/zlink-core-XXXXXX";
    struct rlimit limit;
    int status, fd = open ("/proc/sys/kernel/core_pattern", O_RDONLY);
    if (fd < 0 || read (fd, pattern, sizeof pattern - 1) <= 0 || !realpath (program, self))
        return 1;
    pattern[strcspn (pattern, "\n")] = '\0';
    getrlimit (RLIMIT_CORE, &limit);
    if (strchr ("|/", pattern[0]) || limit.rlim_max == 0) {
        printf ("skipped: core_pattern %s, hard limit %llu\n", pattern,
                (unsigned long long) limit.rlim_max);
        return 0;
    }
    limit.rlim_cur = limit.rlim_max;
    if (!mkdtemp (folder))
        return 1;
    pid_t child = fork ();
    if (child == 0) {
        if (setrlimit (RLIMIT_CORE, &limit) == 0 && chdir (folder) == 0)
            execl (self, self, "crash", (char *) NULL);
        _exit (1);
    }
    if (waitpid (child, &status, 0) != child)
        return 1;
    char command[128];
    snprintf (command, sizeof command, "ls %s | grep -q core && rm -r %s", folder, folder);
    return WIFSIGNALED (status) && WTERMSIG (status) == SIGSEGV
               && WCOREDUMP (status) && system (command) == 0
             ? 0
             : 1;
}

/* ------------------------------------------------------------------- ends */

static int no_term (void)
{
    void *context;
    open_server (&context);
    return 7;
}

static void *wait_in_recv (void *socket)
{
    char buf[8];
    zlink_recv (socket, buf, sizeof buf, 0);
    return NULL;
}

static void *wait_in_poll (void *socket)
{
    zlink_pollitem_t item = {socket, 0, ZLINK_POLLIN, 0};
    zlink_poll (&item, 1, -1);
    return NULL;
}

static void *wait_in_term (void *context)
{
    zlink_ctx_term (context);
    return NULL;
}

/* Threads that wait in the library for as long as the process lives. */
static void let_threads_wait (void)
{
    void *first, *second, *third, *s = open_server (&first);
    pthread_t thread;
    open_server (&third);
    pthread_create (&thread, NULL, wait_in_recv, s);
    pthread_create (&thread, NULL, wait_in_poll, open_server (&second));
    pthread_create (&thread, NULL, wait_in_term, third);
    usleep (20000);
}

static int return_from_main (void)
{
    let_threads_wait ();
    return 21;
}

static int call_exit (void)
{
    let_threads_wait ();
    exit (22);
}

static int call_quick_exit (void)
{
    let_threads_wait ();
    quick_exit (23);
}

static int call_underscore_exit (void)
{
    let_threads_wait ();
    _exit (24);
}

static void *exit_later (void *arg)
{
    usleep (20000);
    exit (25);
    return arg;
}

/* Another thread ends the process, which main has left. */
static int leave_main (void)
{
    pthread_t thread;
    let_threads_wait ();
    pthread_create (&thread, NULL, exit_later, NULL);
    pthread_exit (NULL);
}

static int exit_while_main_waits (void)
{
    pthread_t thread;
    void *context, *s = open_server (&context);
    pthread_create (&thread, NULL, exit_later, NULL);
    wait_in_recv (s);
    return 1;
}

/* Signals for the process. */
static int several_signals (void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGCHLD, SIGURG, SIGUSR1};
    return process_signals (numbers, 5);
}

static const struct
{
    const char *name;
    int (*run) (void);
} habits[] = {
  {"timer", timer_signals},
  {"process", several_signals},
  {"pipe", broken_pipe},
  {"crash", crash},
  {"crash-early", crash_before_any_call},
  {"crash-thread", crash_in_thread},
  {"division", division},
  {"abort", give_up},
  {"signal", end_by_signal},
  {"no-term", no_term},
  {"return", return_from_main},
  {"exit", call_exit},
  {"quick-exit", call_quick_exit},
  {"_exit", call_underscore_exit},
  {"leave-main", leave_main},
  {"exit-thread", exit_while_main_waits},
};

int main (int argc, char **argv)
{
    const char *habit = argc == 2 ? argv[1] : "";
    if (strcmp (habit, "core") == 0)
        return dump_core (argv[0]);
    for (size_t i = 0; i < sizeof habits / sizeof *habits; i++)
        if (strcmp (habit, habits[i].name) == 0)
            return habits[i].run ();
    return 2;
}
