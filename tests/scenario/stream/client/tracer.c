/* SPDX-License-Identifier: MPL-2.0 */
#include "tracer.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_MS 5000
#define STOP_MS 10000
#define NAP_MS 10

static void nap (void)
{
    nanosleep (&(struct timespec) {.tv_nsec = NAP_MS * 1000000L}, NULL);
}

/* Everything the tool has printed; to be freed. */
static char *printed (const struct tracer *tracer)
{
    off_t size = lseek (tracer->output, 0, SEEK_END);
    char *text = size < 0 ? NULL : malloc ((size_t) size + 1);
    ssize_t got = text ? pread (tracer->output, text, (size_t) size, 0) : -1;
    if (text)
        text[got < 0 ? 0 : got] = '\0';
    return text;
}

static _Noreturn void exec_tool (const struct tracer *tracer,
                                 long pid,
                                 int control,
                                 int ack)
{
    char target[24], fds[48];
    snprintf (target, sizeof target, "%ld", pid);
    snprintf (fds, sizeof fds, "fd:%d,%d", control, ack);
    prctl (PR_SET_PDEATHSIG, SIGINT);
    dup2 (tracer->output, STDERR_FILENO);
    if (tracer->strace)
        execlp ("strace", "strace", "-f", "-c", "-p", target, (char *) NULL);
    else
        execlp ("perf", "perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter",
                "--delay", "-1", "--control", fds, "-p", target,
                (char *) NULL);
    _exit (127);
}

/* perf counts when it has answered to "enable". */
static bool perf_enabled (const struct tracer *tracer)
{
    struct pollfd answer = {.fd = tracer->ack, .events = POLLIN};
    char text[16];
    return write (tracer->control, "enable\n", 7) == 7
           && poll (&answer, 1, START_MS) == 1
           && read (tracer->ack, text, sizeof text) > 0;
}

/* strace says so when it has attached itself to all threads. */
static bool strace_attached (const struct tracer *tracer)
{
    bool attached = false;
    for (int ms = 0; !attached && ms < START_MS; ms += NAP_MS) {
        nap ();
        char *text = printed (tracer);
        attached = text && strstr (text, " attached") != NULL;
        free (text);
        siginfo_t ended = {0};
        waitid (P_PID, (id_t) tracer->pid, &ended, WEXITED | WNOHANG | WNOWAIT);
        if (ended.si_pid)
            break;
    }
    return attached;
}

static bool counts (const struct tracer *tracer)
{
    return tracer->strace ? strace_attached (tracer) : perf_enabled (tracer);
}

bool tracer_start (struct tracer *tracer, const char *tool, long pid)
{
    int control[2], ack[2];
    *tracer = (struct tracer) {.strace = strcmp (tool, "strace") == 0};
    tracer->output = memfd_create ("tracer", 0);
    if (tracer->output < 0 || pipe (control) != 0)
        return false;
    if (pipe (ack) != 0)
        return false;
    /* The tool is not to hold these ends, or would not see them closed. */
    fcntl (control[1], F_SETFD, FD_CLOEXEC);
    fcntl (ack[0], F_SETFD, FD_CLOEXEC);
    tracer->control = control[1];
    tracer->ack = ack[0];
    signal (SIGPIPE, SIG_IGN);
    tracer->pid = fork ();
    if (tracer->pid == 0)
        exec_tool (tracer, pid, control[0], ack[1]);
    close (control[0]);
    close (ack[1]);
    if (tracer->pid > 0 && counts (tracer))
        return true;
    fprintf (stderr, "%s does not count the system calls of process %ld\n",
             tool, pid);
    tracer_stop (tracer);
    return false;
}

static void end_tool (const struct tracer *tracer)
{
    kill (tracer->pid, SIGINT);
    for (int ms = 0; ms < STOP_MS; ms += NAP_MS) {
        if (waitpid (tracer->pid, NULL, WNOHANG) != 0)
            return;
        nap ();
    }
    kill (tracer->pid, SIGKILL);
    waitpid (tracer->pid, NULL, 0);
}

/* perf: "123,,raw_syscalls:sys_enter,…"; strace: a table with the number of
 * calls in the fourth column, and a last line for the total. */
static double calls_in (const char *text, bool strace)
{
    double calls = -1;
    for (const char *line = text; line; line = strchr (line, '\n')) {
        line += *line == '\n';
        size_t len = strcspn (line, "\n");
        if (!strace && memmem (line, len, ",raw_syscalls:", 14))
            sscanf (line, "%lf", &calls);
        if (strace && len > 6 && strncmp (line + len - 6, " total", 6) == 0)
            sscanf (line, "%*f %*f %*f %lf", &calls);
    }
    return calls;
}

double tracer_stop (struct tracer *tracer)
{
    if (tracer->pid > 0)
        end_tool (tracer);
    char *text = printed (tracer);
    double calls = text ? calls_in (text, tracer->strace) : -1;
    free (text);
    close (tracer->control);
    close (tracer->ack);
    close (tracer->output);
    return calls;
}
