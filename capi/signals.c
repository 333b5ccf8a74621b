/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Go's runtime takes SIGURG, to preempt its threads, and SIGPIPE. zlink needs
 * neither: it is built without preemption by signals
 * (cmake/ZlinkLibrary.cmake), and it writes with MSG_NOSIGNAL. So the host gets
 * both back as they were before the library was loaded, and no wait of its
 * threads ends with EINTR for a signal that it does not handle.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "hot.h"

enum
{
    COUNT = 2
};

static const int numbers[COUNT] = {SIGURG, SIGPIPE};
static struct sigaction before[COUNT];

/* Before Go's constructor: those with a priority come first. */
__attribute__ ((constructor (101))) static void remember (void)
{
    for (int i = 0; i < COUNT; i++)
        sigaction (numbers[i], NULL, &before[i]);
}

/* Whether a handler is code of this library. */
static bool ours (const struct sigaction *action)
{
    Dl_info handler, self;
    return (action->sa_flags & SA_SIGINFO)
           && dladdr ((void *) action->sa_sigaction, &handler)
           && dladdr ((void *) numbers, &self)
           && handler.dli_fbase == self.dli_fbase;
}

static void give_back (void)
{
    for (int i = 0; i < COUNT; i++) {
        struct sigaction now;
        if (sigaction (numbers[i], NULL, &now) == 0 && ours (&now))
            sigaction (numbers[i], &before[i], NULL);
    }
}

void zl_give_signals_back (void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once (&once, give_back);
}
