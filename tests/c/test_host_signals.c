/* SPDX-License-Identifier: MPL-2.0 */
/* Signals of the host go to the host's handlers, on its threads and stacks, as
 * if the library were not there. What the kernel holds of them is compared in
 * test_host_state.c. */
#include "hostdl.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

enum
{
    STACK_BYTES = 128 << 10
};

static atomic_int handled;
static pid_t handled_on, sender;
static uintptr_t handled_at; /* in the stack */

static pid_t thread_id (void)
{
    return (pid_t) syscall (SYS_gettid);
}

static void note (void)
{
    handled_on = thread_id ();
    handled_at = (uintptr_t) __builtin_frame_address (0);
    atomic_fetch_add (&handled, 1);
}

static void handle (int number)
{
    (void) number;
    note ();
}

static void inform (int number, siginfo_t *info, void *context)
{
    (void) number;
    (void) context;
    sender = info->si_pid;
    note ();
}

static void set_handler (int number, int flags)
{
    struct sigaction action;
    memset (&action, 0, sizeof action);
    action.sa_flags = flags;
    if (flags & SA_SIGINFO)
        action.sa_sigaction = inform;
    else
        action.sa_handler = handle;
    CHECK (sigaction (number, &action, NULL) == 0);
}

static bool can_handle (int number)
{
    return number != SIGKILL && number != SIGSTOP && number != 32 && number != 33;
}

static void block (int how, int number)
{
    sigset_t set;
    sigemptyset (&set);
    sigaddset (&set, number);
    CHECK (pthread_sigmask (how, &set, NULL) == 0);
}

/* Sends every signal to the process while its only thread blocks it: it waits
 * for that thread, whatever other threads there are. */
static void every_signal_waits_for_the_host (const char *stage)
{
    for (int number = 1; number <= SIGRTMAX; number++) {
        sigset_t pending;
        if (!can_handle (number))
            continue;
        int before = handled;
        block (SIG_BLOCK, number);
        CHECK (kill (getpid (), number) == 0);
        usleep (200);
        sigpending (&pending);
        if (handled != before || sigismember (&pending, number) != 1)
            fprintf (stderr, "%s: signal %d\n", stage, number);
        CHECK (handled == before && sigismember (&pending, number) == 1);
        sender = handled_on = 0;
        block (SIG_UNBLOCK, number);
        CHECK (handled == before + 1 && handled_on == thread_id ());
        CHECK (number % 2 == 0 || sender == getpid ());
    }
}

static void set_handlers (void)
{
    for (int number = 1; number <= SIGRTMAX; number++)
        if (can_handle (number))
            set_handler (number, number % 2 ? SA_SIGINFO : 0);
}

static void handlers_from_before_loading (void)
{
    set_handlers ();
    hd_stages (every_signal_waits_for_the_host);
}

static void set_and_send (const char *stage)
{
    set_handlers ();
    every_signal_waits_for_the_host (stage);
    for (int number = 1; number <= SIGRTMAX; number++)
        if (can_handle (number))
            signal (number, SIG_DFL);
}

static void handlers_from_after_loading (void)
{
    hd_stages (set_and_send);
}

static void reset_and_send (const char *stage)
{
    struct sigaction now;
    (void) stage;
    set_handler (SIGTERM, SA_RESETHAND);
    int before = handled;
    raise (SIGTERM);
    CHECK (handled == before + 1);
    CHECK (sigaction (SIGTERM, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
}

static void handlers_for_one_time (void)
{
    hd_stages (reset_and_send);
}

/* A blocked signal can be waited for with a descriptor, by the only thread of
 * the host: no other thread may take it, and drop it. */
static void children_reported_by_a_descriptor (void)
{
    sigset_t set;
    struct signalfd_siginfo info;
    sigemptyset (&set);
    sigaddset (&set, SIGCHLD);
    CHECK (pthread_sigmask (SIG_BLOCK, &set, NULL) == 0);
    int fd = signalfd (-1, &set, SFD_CLOEXEC);
    hd_load (RTLD_NOW);
    hd_server_t server = hd_open ();
    for (int i = 0; i < 20; i++) {
        pid_t child = fork ();
        if (child == 0)
            _exit (i);
        hd_exchange (&server);
        CHECK (read (fd, &info, sizeof info) == sizeof info);
        CHECK (info.ssi_pid == (uint32_t) child && info.ssi_status == i);
        CHECK (waitpid (child, NULL, 0) == child);
    }
    hd_close (&server);
}

/* The same for a timer, whose signal would end the process. */
static void a_timer_that_is_waited_for (void)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    struct itimerspec every = {{0, 1000000}, {0, 1000000}};
    sigset_t set;
    timer_t timer;
    sigemptyset (&set);
    sigaddset (&set, SIGRTMIN);
    CHECK (pthread_sigmask (SIG_BLOCK, &set, NULL) == 0);
    CHECK (timer_create (CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK (timer_settime (timer, 0, &every, NULL) == 0);
    hd_load (RTLD_NOW);
    hd_server_t server = hd_open ();
    for (int i = 0; i < 50; i++) {
        hd_exchange (&server);
        CHECK (sigwaitinfo (&set, NULL) == SIGRTMIN);
    }
    hd_close (&server);
}

/* The profiling timer signals the thread that runs, if that takes the signal. */
static void profiling_signals (void)
{
    struct itimerval every = {{0, 1000}, {0, 1000}};
    hd_load (RTLD_NOW);
    hd_server_t server = hd_open ();
    set_handler (SIGPROF, SA_RESTART);
    hd_handlers_run = true;
    CHECK (setitimer (ITIMER_PROF, &every, NULL) == 0);
    for (int last = 0; handled < 30;) {
        hd_exchange (&server);
        if (last != handled)
            CHECK (handled_on == thread_id ());
        last = handled;
    }
    memset (&every, 0, sizeof every);
    CHECK (setitimer (ITIMER_PROF, &every, NULL) == 0);
    hd_close (&server);
}

/* ----------------------------------------------------------------- faults */

static sigjmp_buf recovery;
static void *fault_address;

static void recover (int number, siginfo_t *info, void *context)
{
    (void) context;
    fault_address = info->si_addr;
    siglongjmp (recovery, number);
}

#ifdef __aarch64__ /* where a division by zero gives 0 */
static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP};
#define ILLEGAL "udf #0"
#define BREAKPOINT "brk #0"
#else
static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
#define ILLEGAL "ud2"
#define BREAKPOINT "int3"
#endif

static void fault (int number)
{
    static volatile int zero;
    static volatile uintptr_t nowhere = 64;
    switch (number) {
        case SIGSEGV:
            *(volatile int *) nowhere = 1;
            break;
        case SIGBUS: {
            FILE *file = tmpfile (); /* a page behind its end */
            char *page = mmap (NULL, 4096, PROT_READ, MAP_SHARED, fileno (file), 0);
            CHECK (page != MAP_FAILED && ((volatile char *) page)[0] == 0);
            break;
        }
        case SIGFPE:
            zero = 1000 / zero;
            break;
        case SIGILL:
            __asm__ volatile (ILLEGAL);
            break;
        default:
            __asm__ volatile (BREAKPOINT);
    }
}

static void fault_and_recover (const char *stage)
{
    (void) stage;
    for (volatile size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        int number = sigsetjmp (recovery, 1);
        if (number == 0) {
            fault (faults[i]);
            CHECK (!"the fault was ignored");
        }
        CHECK (number == faults[i]);
        if (number == SIGSEGV)
            CHECK (fault_address == (void *) 64);
    }
}

static void recover_from_faults (int flags)
{
    struct sigaction action;
    memset (&action, 0, sizeof action);
    action.sa_flags = SA_SIGINFO | flags;
    action.sa_sigaction = recover;
    for (volatile size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        CHECK (sigaction (faults[i], &action, NULL) == 0);
}

static void faults_handled (void)
{
    recover_from_faults (0);
    fault_and_recover ("before loading");
    hd_stages (fault_and_recover);
}

static void *use_and_fault (void *server)
{
    static char memory[STACK_BYTES];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
    CHECK (sigaltstack (&stack, NULL) == 0);
    for (int i = 0; i < 10; i++) {
        hd_exchange (server);
        fault_and_recover ("");
    }
    hd_exchange (server);
    return NULL;
}

static void faults_of_a_thread (void)
{
    pthread_t thread;
    hd_load (RTLD_NOW);
    hd_server_t server = hd_open ();
    recover_from_faults (SA_ONSTACK);
    CHECK (pthread_create (&thread, NULL, use_and_fault, &server) == 0);
    pthread_join (thread, NULL);
    hd_close (&server);
}

/* ----------------------------------------------------------------- stacks */

/* Whether the last handler ran on this memory. */
static bool ran_on (const char *memory)
{
    return handled_at - (uintptr_t) memory < STACK_BYTES;
}

static void *interrupt_main (void *arg)
{
    while (handled < 20) {
        pthread_kill (*(pthread_t *) arg, SIGUSR1);
        usleep (1000);
    }
    return NULL;
}

/* A handler runs on the stack that the host has for it, also while its thread
 * waits in the library. */
static void handlers_on_the_hosts_stack (void)
{
    static char memory[STACK_BYTES];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
    pthread_t thread, self = pthread_self ();
    uint8_t buf[8];
    hd_load (RTLD_NOW);
    hd_server_t server = hd_open ();
    set_handler (SIGUSR1, SA_ONSTACK);
    raise (SIGUSR1);
    CHECK (!ran_on (memory)); /* there is no such stack yet */
    CHECK (handled_at - (uintptr_t) &stack + STACK_BYTES < 2 * STACK_BYTES);
    CHECK (sigaltstack (&stack, NULL) == 0);
    CHECK (pthread_create (&thread, NULL, interrupt_main, &self) == 0);
    while (handled < 20) {
        CHECK (zl.recv (server.socket, buf, sizeof buf, 0) == -1 && errno == EINTR);
        CHECK (ran_on (memory));
    }
    pthread_join (thread, NULL);
    hd_close (&server);
}

static pthread_key_t key;
static char thread_memory[STACK_BYTES];
static int rounds;

/* In each round of destructors, so also after those of the library: mask and
 * stack are the thread's, and the library can be called. */
static void at_thread_end (void *server)
{
    sigset_t mask;
    stack_t stack;
    pthread_sigmask (SIG_SETMASK, NULL, &mask);
    CHECK (sigismember (&mask, SIGUSR2) == 1 && sigismember (&mask, SIGUSR1) == 0);
    CHECK (sigaltstack (NULL, &stack) == 0);
    CHECK (stack.ss_sp == thread_memory && stack.ss_flags == 0);
    if (++rounds < 3)
        pthread_setspecific (key, server);
    if (rounds % 2 == 0)
        hd_exchange (server);
}

static void *own_stack (void *server)
{
    stack_t stack = {.ss_sp = thread_memory, .ss_size = sizeof thread_memory}, now;
    hd_exchange (server);
    CHECK (sigaltstack (NULL, &now) == 0 && now.ss_flags == SS_DISABLE);
    CHECK (sigaltstack (&stack, NULL) == 0);
    block (SIG_BLOCK, SIGUSR2);
    hd_exchange (server);
    raise (SIGUSR1);
    CHECK (ran_on (thread_memory));
    pthread_setspecific (key, server);
    return NULL;
}

static void threads_end_as_they_are (void)
{
    pthread_t thread;
    CHECK (pthread_key_create (&key, at_thread_end) == 0);
    hd_load (RTLD_NOW);
    hd_server_t server = hd_open ();
    set_handler (SIGUSR1, SA_ONSTACK);
    CHECK (pthread_create (&thread, NULL, own_stack, &server) == 0);
    pthread_join (thread, NULL);
    CHECK (rounds == 3);
    hd_close (&server);
}

/* ------------------------------------------------------------------- pipes */

/* The library's own writes to a peer that is gone raise no SIGPIPE. */
static void peers_that_are_gone (void)
{
    struct linger at_once = {1, 0};
    set_handler (SIGPIPE, 0);
    hd_load (RTLD_NOW);
    for (int i = 0; i < 20; i++) {
        hd_server_t server = hd_open ();
        uint8_t id[4], body[8];
        CHECK (write (server.client, "\0\0\0\1x", 5) == 5);
        CHECK (zl.recv (server.socket, id, 4, 0) == 4);
        CHECK (zl.recv (server.socket, body, 8, 0) == 1);
        setsockopt (server.client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        if (i % 2)
            shutdown (server.client, SHUT_RDWR);
        close (server.client);
        server.client = -1;
        while (zl.send (server.socket, id, 4, ZLINK_SNDMORE) == 4
               && zl.send (server.socket, "hello", 5, 0) == 5)
            ;
        CHECK (errno == EHOSTUNREACH);
        hd_close (&server);
    }
    CHECK (handled == 0);
}

static const hd_case_t cases[] = {
  HD_CASE (handlers_from_before_loading),
  HD_CASE (handlers_from_after_loading),
  HD_CASE (handlers_for_one_time),
  HD_CASE (children_reported_by_a_descriptor),
  HD_CASE (a_timer_that_is_waited_for),
  HD_CASE (profiling_signals),
  HD_CASE (faults_handled),
  HD_CASE (faults_of_a_thread),
  HD_CASE (handlers_on_the_hosts_stack),
  HD_CASE (threads_end_as_they_are),
  HD_CASE (peers_that_are_gone),
};

HD_MAIN (cases)
