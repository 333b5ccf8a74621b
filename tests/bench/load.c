/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What it costs to load the library, and what happens where threads or address
 * space are short.
 * usage: load LIBRARY
 *
 * Each line is a process of its own. As root it becomes another user before it
 * bounds the number of threads, as that bound does not hold for root.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *library;

static int entries (const char *folder)
{
    int n = 0;
    DIR *d = opendir (folder);
    while (d && readdir (d))
        n++;
    if (d)
        closedir (d);
    return n;
}

static void *open_library (void)
{
    void *lib = dlopen (library, RTLD_NOW);
    if (lib == NULL) {
        printf ("dlopen: %s\n", dlerror ());
        exit (1);
    }
    return lib;
}

static void first_call (void *lib)
{
    typedef void *ctx_new_fn (void);
    typedef const char *detail_fn (void);
    ctx_new_fn *ctx_new = (ctx_new_fn *) (size_t) dlsym (lib, "zlink_ctx_new");
    detail_fn *detail = (detail_fn *) (size_t) dlsym (lib, "zlink_error_detail");
    errno = 0;
    if (ctx_new ())
        printf ("a context; ");
    else
        printf ("NULL, %s (%s); ", errno == EAGAIN ? "EAGAIN" : errno == ENOMEM ? "ENOMEM"
                                                                                : strerror (errno),
                detail ());
}

static void count (void)
{
    int threads = entries ("/proc/self/task"), files = entries ("/proc/self/fd");
    void *lib = open_library ();
    printf ("dlopen: +%d threads, +%d descriptors; ", entries ("/proc/self/task") - threads,
            entries ("/proc/self/fd") - files);
    first_call (lib);
    printf ("with it +%d threads, +%d descriptors; ", entries ("/proc/self/task") - threads,
            entries ("/proc/self/fd") - files);
}

static void bound (int what, rlim_t n)
{
    struct rlimit most = {n, n};
    if (setrlimit (what, &most))
        perror ("setrlimit");
}

static void without_threads (void)
{
    bound (RLIMIT_NPROC, 1);
    if (getuid () == 0 && setuid (65534))
        perror ("setuid");
    void *lib = open_library ();
    printf ("loaded; the first call: ");
    fflush (stdout);
    first_call (lib);
}

static void without_space (void)
{
    bound (RLIMIT_AS, 128 << 20);
    void *lib = open_library ();
    printf ("loaded; the first call: ");
    fflush (stdout);
    first_call (lib);
}

static void forked (void)
{
    void *lib = open_library ();
    if (fork () == 0) {
        printf ("in a child of a process that has loaded it: ");
        first_call (lib);
        fflush (stdout);
        _exit (0);
    }
    wait (NULL);
}

static void in_a_process (const char *what, void (*run) (void))
{
    int status;
    printf ("load %s: ", what);
    fflush (stdout);
    pid_t pid = fork ();
    if (pid == 0) {
        alarm (20);
        if (freopen ("/dev/null", "w", stderr) == NULL)
            exit (1);
        run ();
        fflush (stdout);
        _exit (0);
    }
    waitpid (pid, &status, 0);
    if (WIFSIGNALED (status))
        printf ("ended by signal %d (%s)\n", WTERMSIG (status), strsignal (WTERMSIG (status)));
    else
        printf ("ended with %d\n", WEXITSTATUS (status));
    fflush (stdout);
}

int main (int argc, char **argv)
{
    if (argc < 2) {
        fprintf (stderr, "usage: load LIBRARY\n");
        return 2;
    }
    library = argv[1];
    in_a_process ("costs", count);
    in_a_process ("without threads", without_threads);
    in_a_process ("in 128 MiB of address space", without_space);
    in_a_process ("and fork", forked);
    return 0;
}
