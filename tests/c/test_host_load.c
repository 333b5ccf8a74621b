/* SPDX-License-Identifier: MPL-2.0 */
/* Loading and "unloading", the threads that the library has, and what the
 * environment may say to Go. */
#include "hostdl.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

static void use (void)
{
    hd_server_t server = hd_open ();
    hd_exchange (&server);
    hd_close (&server);
}

/* ---------------------------------------------------------------- loading */

static void load_and_close (int flags)
{
    void *first = NULL;
    for (int i = 0; i < 3; i++) {
        void *library = hd_load (flags);
        CHECK (i == 0 || library == first);
        first = library;
        use ();
        CHECK (dlclose (library) == 0);
    }
}

static void loaded_locally (void) { load_and_close (RTLD_NOW | RTLD_LOCAL); }
static void loaded_globally (void) { load_and_close (RTLD_NOW | RTLD_GLOBAL); }
static void loaded_lazily (void) { load_and_close (RTLD_LAZY); }

static void *load_in_thread (void *arg)
{
    load_and_close (RTLD_NOW);
    return arg;
}

static void loaded_by_a_thread (void)
{
    pthread_t thread;
    for (int i = 0; i < 2; i++) {
        CHECK (pthread_create (&thread, NULL, load_in_thread, NULL) == 0);
        pthread_join (thread, NULL);
    }
    load_and_close (RTLD_NOW);
}

static void *wait_for_message (void *server)
{
    uint8_t buf[8];
    CHECK (zl.recv (server, buf, sizeof buf, 0) == -1 && errno == ETERM);
    CHECK (zl.close (server) == 0);
    return NULL;
}

/* Code that threads run is not unloaded under them. */
static void closed_while_in_use (void)
{
    pthread_t thread;
    void *library = hd_load (RTLD_NOW);
    hd_server_t server = hd_open ();
    CHECK (pthread_create (&thread, NULL, wait_for_message, server.socket) == 0);
    usleep (20000);
    CHECK (dlclose (library) == 0);
    CHECK (zl.ctx_term (server.ctx) == 0);
    pthread_join (thread, NULL);
    close (server.client);
    hd_load (RTLD_NOW);
    use ();
}

/* ---------------------------------------------------------------- threads */

/* More than doc/host.md counts, as Go decides when it starts another one: its own,
 * and up to twice as many as its scheduler has processors. */
static int go_threads (int io_threads)
{
    int processors = (int) sysconf (_SC_NPROCESSORS_ONLN);
    if (processors < 4)
        processors = 4;
    if (processors < io_threads + 2)
        processors = io_threads + 2;
    return 4 + 2 * processors + io_threads;
}

static int threads (void)
{
    int count = 0;
    DIR *dir = opendir ("/proc/self/task");
    for (struct dirent *entry; (entry = readdir (dir));)
        count += entry->d_name[0] != '.';
    closedir (dir);
    return count;
}

/* Prints and checks how many threads there are beside the host's. */
static void expect_threads (const char *stage, int least, int most)
{
    int count = threads () - 1;
    printf ("  %s: %d threads\n", stage, count);
    CHECK (count >= least && count <= most);
}

static void threads_without_a_context (void)
{
    zlink_msg_t msg;
    CHECK (threads () == 1);
    hd_load (RTLD_NOW);
    expect_threads ("loaded", 0, 0);
    void *counter = zl.atomic_counter_new ();
    zl.version (NULL, NULL, NULL);
    CHECK (zl.msg_init (&msg) == 0 && zl.msg_close (&msg) == 0);
    expect_threads ("after calls without a context", 0, 0);
    zl.atomic_counter_destroy (&counter);
    void *ctx = zl.ctx_new ();
    expect_threads ("with a context", 1, go_threads (0));
    CHECK (zl.ctx_term (ctx) == 0);
}

/* As many sockets as there are io threads, and as many again. */
static void use_io_threads (int io_threads)
{
    hd_server_t servers[8];
    char stage[64];
    int count = 2 * io_threads;
    void *ctx = zl.ctx_new ();
    CHECK (zl.ctx_set (ctx, ZLINK_IO_THREADS, io_threads) == 0);
    for (int i = 0; i < count; i++)
        servers[i] = hd_open_in (ctx);
    snprintf (stage, sizeof stage, "%d io threads, bound", io_threads);
    expect_threads (stage, 2, go_threads (io_threads));
    for (int i = 0; i < 100 * count; i++)
        hd_exchange (&servers[i % count]);
    snprintf (stage, sizeof stage, "%d io threads, under load", io_threads);
    expect_threads (stage, 2, go_threads (io_threads));
    for (int i = 0; i < count; i++) {
        close (servers[i].client);
        CHECK (zl.close (servers[i].socket) == 0);
    }
    CHECK (zl.ctx_term (ctx) == 0);
    expect_threads ("terminated", 1, go_threads (io_threads));
}

static void threads_of_contexts (void)
{
    hd_load (RTLD_NOW);
    use_io_threads (1);
    use_io_threads (2);
    use_io_threads (4);
    for (int i = 0; i < 50; i++)
        use ();
    expect_threads ("50 more contexts", 1, go_threads (4));
}

/* ------------------------------------------------------------ environment */

static char program[4096];

static void traffic (void)
{
    hd_load (RTLD_NOW);
    hd_server_t server = hd_open ();
    for (int i = 0; i < 500; i++)
        hd_exchange (&server);
    usleep (20000); /* time for reports that Go could be asked for */
    hd_close (&server);
}

/* Runs the case above with one variable: it passes, and writes nothing else. */
static void run_with (const char *variable)
{
    static const char expected[] = "ok traffic\n";
    char *argv[] = {program, (char *) hd_library, "traffic", NULL};
    char *env[] = {(char *) variable, "ASAN_OPTIONS=detect_leaks=0", NULL};
    char output[1024];
    ssize_t size, got;
    int ends[2];
    CHECK (pipe (ends) == 0);
    pid_t child = fork ();
    if (child == 0) {
        dup2 (ends[1], 1);
        dup2 (ends[1], 2);
        close (ends[0]);
        close (ends[1]);
        execve (program, argv, env);
        _exit (127);
    }
    close (ends[1]);
    for (size = 0; size < (ssize_t) sizeof output - 1; size += got) {
        got = read (ends[0], output + size, sizeof output - 1 - (size_t) size);
        if (got <= 0)
            break;
    }
    close (ends[0]);
    output[size] = '\0';
    CHECK (waitpid (child, NULL, 0) == child);
    if (strcmp (output, expected) != 0)
        fprintf (stderr, "with %s: %s\n", variable, output);
    CHECK (strcmp (output, expected) == 0);
}

/* They are meant for programs in Go. */
static void variables_for_go (void)
{
    CHECK (readlink ("/proc/self/exe", program, sizeof program - 1) > 0);
    run_with ("GOMAXPROCS=1");
    run_with ("GOMAXPROCS=none");
    run_with ("GOGC=1");
    run_with ("GOGC=off");
    run_with ("GOMEMLIMIT=1");
    run_with ("GOMEMLIMIT=many");
    run_with ("GOTRACEBACK=crash");
    run_with ("GODEBUG=, =,garbage=,=9,asyncpreemptoff=0,gcshrinkstackoff=0");
    run_with ("GODEBUG=schedtrace=1,scheddetail=1,gctrace=1,inittrace=1");
}

static const hd_case_t cases[] = {
  HD_CASE (loaded_locally),
  HD_CASE (loaded_globally),
  HD_CASE (loaded_lazily),
  HD_CASE (loaded_by_a_thread),
  HD_CASE (closed_while_in_use),
  HD_CASE (threads_without_a_context),
  HD_CASE (threads_of_contexts),
  HD_CASE (traffic),
  HD_CASE (variables_for_go),
};

HD_MAIN (cases)
