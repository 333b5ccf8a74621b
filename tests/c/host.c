/* SPDX-License-Identifier: MPL-2.0 */
/* A host program with habits of its own, one per argument; test_host.sh says
 * how each must end. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static int crash (void)
{
    void *context;
    open_server (&context);
    *(volatile int *) (uintptr_t) handled = 1; /* NULL */
    return 1;
}

static int no_term (void)
{
    void *context;
    open_server (&context);
    return 7;
}

static int forked (void)
{
    void *context, *s = open_server (&context);
    char buf[8];
    int status;
    pid_t child = fork ();
    if (child == 0) {
        alarm (5);
        int bad = zlink_recv (s, buf, sizeof buf, 0) != -1 || errno != ENOTSUP;
        bad |= zlink_send (s, "1234", 4, ZLINK_SNDMORE) != -1 || errno != ENOTSUP;
        bad |= zlink_ctx_new () != NULL || errno != ENOTSUP;
        bad |= zlink_close (s) != -1 || errno != ENOTSUP;
        bad |= zlink_ctx_term (context) != -1 || errno != ENOTSUP;
        if (bad)
            _exit (1);
        execl ("/bin/true", "true", (char *) NULL);
        _exit (2);
    }
    if (waitpid (child, &status, 0) != child || status != 0)
        return 1;
    close_server (s, context);
    return 0;
}

int main (int argc, char **argv)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGCHLD, SIGURG, SIGUSR1};
    const char *habit = argc == 2 ? argv[1] : "";
    if (strcmp (habit, "timer") == 0)
        return timer_signals ();
    if (strcmp (habit, "process") == 0)
        return process_signals (numbers, 5);
    if (strcmp (habit, "pipe") == 0)
        return broken_pipe ();
    if (strcmp (habit, "crash") == 0)
        return crash ();
    if (strcmp (habit, "no-term") == 0)
        return no_term ();
    if (strcmp (habit, "fork") == 0)
        return forked ();
    return 2;
}
