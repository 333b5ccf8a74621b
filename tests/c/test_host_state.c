/* SPDX-License-Identifier: MPL-2.0 */
/* Loading and using the library changes nothing of the process and the calling
 * thread that they have not asked for. */
#include "hostdl.h"

#include <dirent.h>
#include <fcntl.h>
#include <fenv.h>
#include <locale.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>

extern char **environ;

/* -------------------------------------------------------------- snapshots */

/* The kernel's own view, but for the two signals that glibc takes for itself
 * with the first thread. */
static void describe_signals (FILE *out)
{
    sigset_t mask;
    stack_t stack;
    for (int number = 1; number <= 64; number++) {
        struct
        {
            void *handler;
            unsigned long flags;
            void *restorer;
            uint64_t mask;
        } action;
        if (number != 32 && number != 33
            && syscall (SYS_rt_sigaction, number, NULL, &action, 8) == 0)
            fprintf (out, "signal %d: %p %#lx %p %#llx\n", number,
                     action.handler, action.flags, action.restorer,
                     (unsigned long long) action.mask);
    }
    pthread_sigmask (SIG_SETMASK, NULL, &mask);
    for (int number = 1; number <= 64; number++)
        if (sigismember (&mask, number) == 1)
            fprintf (out, "blocked: %d\n", number);
    sigaltstack (NULL, &stack);
    fprintf (out, "signal stack: %p %d %zu\n", stack.ss_sp, stack.ss_flags,
             stack.ss_size);
}

static void describe_limits (FILE *out)
{
    for (int i = 0; i < (int) RLIM_NLIMITS; i++) {
        struct rlimit limit;
        if (getrlimit ((__rlimit_resource_t) i, &limit) == 0)
            fprintf (out, "limit %d: %llu %llu\n", i,
                     (unsigned long long) limit.rlim_cur,
                     (unsigned long long) limit.rlim_max);
    }
    for (int i = ITIMER_REAL; i <= ITIMER_PROF; i++) {
        struct itimerval timer;
        getitimer ((__itimer_which_t) i, &timer);
        fprintf (out, "timer %d: %ld\n", i, (long) timer.it_interval.tv_sec);
    }
}

static void describe_process (FILE *out)
{
    char text[4096];
    mode_t mask = umask (0);
    umask (mask);
    fprintf (out, "umask: %o\ncwd: %s\n", mask, getcwd (text, sizeof text));
    fprintf (out, "environment: %p\n", (void *) environ);
    for (char **entry = environ; *entry; entry++)
        fprintf (out, "%p %s\n", (void *) *entry, *entry);
    fprintf (out, "personality: %#x\n", (unsigned) personality (0xffffffff));
    fprintf (out, "dumpable: %d\n", prctl (PR_GET_DUMPABLE));
    fprintf (out, "subreaper etc.: %d %d\n", prctl (PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
             prctl (PR_GET_THP_DISABLE, 0, 0, 0, 0));
    fprintf (out, "group, session: %d %d\n", getpgrp (), getsid (0));
    fprintf (out, "locale: %s %s\n", setlocale (LC_ALL, NULL),
             localeconv ()->decimal_point);
    fprintf (out, "half: %.1f\n", 0.5);
}

static void describe_thread (FILE *out)
{
    char name[16];
    cpu_set_t cpus;
    struct sched_param param;
    unsigned mxcsr = 0;
    unsigned short x87 = 0;
    CPU_ZERO (&cpus);
    sched_getaffinity (0, sizeof cpus, &cpus);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET (cpu, &cpus))
            fprintf (out, "cpu %d\n", cpu);
    sched_getparam (0, &param);
    fprintf (out, "scheduling: %d %d %d\n", sched_getscheduler (0),
             param.sched_priority, getpriority (PRIO_PROCESS, 0));
    prctl (PR_GET_NAME, name);
    fprintf (out, "name: %s\ntimer slack: %d\n", name, prctl (PR_GET_TIMERSLACK));
#ifdef __x86_64__
    __asm__ ("stmxcsr %0" : "=m"(mxcsr));
    __asm__ ("fnstcw %0" : "=m"(x87));
    mxcsr &= ~0x3fu; /* exceptions that any sum may raise */
#endif
    fprintf (out, "rounding: %d %#x %#x\n", fegetround (), mxcsr, x87);
}

/* Descriptors and their flags; those of a context are there while it lives. */
static void describe_descriptors (FILE *out)
{
    DIR *dir = opendir ("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir (dir));) {
        int fd = atoi (entry->d_name);
        if (entry->d_name[0] != '.' && fd != dirfd (dir))
            fprintf (out, "descriptor %d: %#x %#x\n", fd, fcntl (fd, F_GETFD),
                     fcntl (fd, F_GETFL));
    }
    closedir (dir);
}

static char *describe (bool descriptors)
{
    char *text;
    size_t size;
    FILE *out = open_memstream (&text, &size);
    describe_signals (out);
    describe_limits (out);
    describe_process (out);
    describe_thread (out);
    if (descriptors)
        describe_descriptors (out);
    fclose (out);
    return text;
}

/* The one expected; ends the case with the first line that differs. */
static void compare (char *expected, char *found, const char *stage)
{
    char *at, *other;
    if (strcmp (expected, found) != 0) {
        for (;;) {
            char *line = strtok_r (expected, "\n", &at);
            char *now = strtok_r (found, "\n", &other);
            expected = found = NULL;
            if (line && now && strcmp (line, now) == 0)
                continue;
            fprintf (stderr, "%s: %s; before: %s\n", stage, now ? now : "less",
                     line ? line : "less");
            _exit (1);
        }
    }
    free (found);
}

static char *all_before, *before;

static void compare_stage (const char *stage)
{
    bool in_use = strcmp (stage, "with a context") == 0
                  || strcmp (stage, "after traffic") == 0;
    compare (in_use ? before : all_before, describe (!in_use), stage);
}

static void handler (int number) { (void) number; }

static void inform (int number, siginfo_t *info, void *context)
{
    (void) number;
    (void) info;
    (void) context;
}

/* -------------------------------------------------------------------- cases */

static void expect_no_change (void)
{
    before = describe (false);
    all_before = describe (true);
    hd_stages (compare_stage);
}

static void an_ordinary_process (void)
{
    expect_no_change ();
}

/* Every signal has a handler, with flags in all combinations that matter. */
static void handlers_everywhere (void)
{
    static const int flags[] = {0, SA_RESTART, SA_ONSTACK,
                                SA_SIGINFO, SA_RESETHAND, SA_NODEFER | SA_ONSTACK};
    for (int number = 1; number <= SIGRTMAX; number++) {
        struct sigaction action;
        memset (&action, 0, sizeof action);
        action.sa_flags = flags[number % 6];
        if (action.sa_flags & SA_SIGINFO)
            action.sa_sigaction = inform;
        else
            action.sa_handler = handler;
        sigaddset (&action.sa_mask, 1 + number % 31);
        sigaction (number, &action, NULL); /* not all can be handled */
    }
    expect_no_change ();
}

static void signals_ignored (void)
{
    for (int number = 1; number <= SIGRTMAX; number++)
        signal (number, SIG_IGN);
    expect_no_change ();
}

static void signals_blocked (void)
{
    sigset_t all;
    sigfillset (&all);
    pthread_sigmask (SIG_SETMASK, &all, NULL);
    expect_no_change ();
}

static void a_signal_stack (void)
{
    static char memory[64 << 10];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
    CHECK (sigaltstack (&stack, NULL) == 0);
    expect_no_change ();
}

/* A process that has set all that it can. */
static void a_peculiar_process (void)
{
    struct rlimit files = {64, 1000};
    cpu_set_t cpus;
    struct itimerval timer = {{3000, 0}, {3000, 0}};
    CHECK (setrlimit (RLIMIT_NOFILE, &files) == 0);
    CHECK (setrlimit (RLIMIT_CORE, &(struct rlimit) {4096, 8192}) == 0);
    umask (027);
    CHECK (chdir ("/") == 0);
    CHECK (setenv ("HOST_OWN", "1", 1) == 0);
    CHECK (setlocale (LC_ALL, "C.UTF-8") != NULL);
    CHECK (prctl (PR_SET_TIMERSLACK, 77777) == 0);
    CHECK (prctl (PR_SET_DUMPABLE, 0) == 0);
    CHECK (prctl (PR_SET_NAME, "peculiar") == 0);
    CHECK (setpriority (PRIO_PROCESS, 0, 3) == 0);
    CHECK (setitimer (ITIMER_REAL, &timer, NULL) == 0);
    CPU_ZERO (&cpus);
    CPU_SET (sched_getcpu (), &cpus);
    CHECK (sched_setaffinity (0, sizeof cpus, &cpus) == 0);
    CHECK (sched_setscheduler (0, SCHED_BATCH, &(struct sched_param) {0}) == 0);
    CHECK (personality (ADDR_NO_RANDOMIZE) >= 0);
    CHECK (fesetround (FE_UPWARD) == 0);
    expect_no_change ();
}

/* A decimal comma, if the machine has such a locale. */
static void a_decimal_comma (void)
{
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "pl_PL.UTF-8"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (setlocale (LC_ALL, names[i])) {
            CHECK (strcmp (localeconv ()->decimal_point, ",") == 0);
            expect_no_change ();
            return;
        }
    hd_skip ("no such locale is installed");
}

/* Standard streams that do not block stay so, nobody waits for them on the
 * host's behalf, and nobody writes to them. */
static void non_blocking_stdio (void)
{
    int ends[2], errors = dup (2);
    char text[16];
    CHECK (pipe (ends) == 0);
    for (int fd = 0; fd <= 2; fd++) {
        CHECK (dup2 (ends[fd != 0], fd) == fd);
        CHECK (fcntl (fd, F_SETFL, O_NONBLOCK) == 0);
    }
    stderr = fdopen (errors, "w");
    setbuf (stderr, NULL);
    printf ("kept in the buffer");
    expect_no_change ();
    CHECK (read (0, text, sizeof text) == -1 && errno == EAGAIN);
}

/* The library opens nothing where the host has closed its standard input. */
static void closed_stdin (void)
{
    char text[16];
    close (0);
    hd_load (RTLD_NOW);
    for (int i = 0; i < 2000; i++) { /* some ms: it does not do so later either */
        CHECK (open ("/dev/null", O_RDONLY) == 0);
        close (0);
    }
    CHECK (open ("/proc/self/comm", O_RDONLY) == 0);
    hd_server_t server = hd_open ();
    hd_exchange (&server);
    CHECK (read (0, text, sizeof text) > 0);
    hd_close (&server);
}

static const hd_case_t cases[] = {
  HD_CASE (an_ordinary_process),
  HD_CASE (handlers_everywhere),
  HD_CASE (signals_ignored),
  HD_CASE (signals_blocked),
  HD_CASE (a_signal_stack),
  HD_CASE (a_peculiar_process),
  HD_CASE (a_decimal_comma),
  HD_CASE (non_blocking_stdio),
  HD_CASE (closed_stdin),
};

HD_MAIN (cases)
