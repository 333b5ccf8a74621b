/* SPDX-License-Identifier: MPL-2.0 */
/* The first call that needs Go starts it: loading starts nothing, forks before it
 * are as if the library were not there, and limits give errors. */
#include "hostdl.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

static int entries (const char *folder)
{
    int count = 0;
    DIR *dir = opendir (folder);
    for (struct dirent *entry; (entry = readdir (dir));)
        count += entry->d_name[0] != '.';
    closedir (dir);
    return count;
}

static int threads (void) { return entries ("/proc/self/task"); }
static int descriptors (void) { return entries ("/proc/self/fd"); }

static void use (void)
{
    hd_server_t server = hd_open ();
    hd_exchange (&server);
    hd_close (&server);
}

static void loading_starts_nothing (void)
{
    int had_threads = threads (), had_descriptors = descriptors ();
    zlink_msg_t msg;
    hd_load (RTLD_NOW);
    void *counter = zl.atomic_counter_new ();
    zl.version (NULL, NULL, NULL);
    CHECK (zl.msg_init (&msg) == 0 && zl.msg_close (&msg) == 0);
    zl.atomic_counter_destroy (&counter);
    CHECK (threads () == had_threads && descriptors () == had_descriptors);
    use ();
    CHECK (threads () > had_threads);
}

/* ----------------------------------------------------------------- limits */

static void set_soft (int resource, rlim_t value)
{
    struct rlimit limit;
    CHECK (getrlimit (resource, &limit) == 0);
    limit.rlim_cur = value < limit.rlim_max ? value : limit.rlim_max;
    CHECK (setrlimit (resource, &limit) == 0);
}

/* Limits of threads count those of the user, and do not bind root. */
static void become_nobody (void)
{
    uid_t user = 61000 + (uid_t) getpid () % 4000;
    if (getuid () == 0)
        CHECK (setgroups (0, NULL) == 0 && setgid (user) == 0 && setuid (user) == 0);
}

static void refused (int error, const char *word)
{
    void *ctx = zl.ctx_new ();
    CHECK (ctx == NULL && errno == error);
    CHECK (strstr (zl.error_detail (), word) != NULL);
}

static void too_few_threads (void)
{
    hd_load (RTLD_NOW);
    become_nobody ();
    for (rlim_t more = 0; more < 6; more++) {
        set_soft (RLIMIT_NPROC, 1 + more);
        refused (EAGAIN, "threads");
        HD_UNTIL (threads () == 1); /* the kernel forgets them in its time */
    }
    set_soft (RLIMIT_NPROC, RLIM_INFINITY);
    use ();
}

static void too_little_address_space (void)
{
#ifdef __SANITIZE_ADDRESS__
    printf ("skipped too_little_address_space: AddressSanitizer needs TiB of it\n");
    return;
#endif
    hd_load (RTLD_NOW);
    for (rlim_t mib = 128; mib <= 1024; mib *= 2) {
        set_soft (RLIMIT_AS, mib << 20);
        refused (ENOMEM, "address space");
    }
    set_soft (RLIMIT_AS, RLIM_INFINITY);
    use ();
}

/* At each limit a context works or is refused; nothing ends the process. */
static void no_thread_for_io (void)
{
    bool bound = false;
    hd_load (RTLD_NOW);
    become_nobody ();
    void *ctx = zl.ctx_new ();
    CHECK (ctx != NULL);
    for (rlim_t more = 0; !bound; more++) {
        void *s = zl.socket (ctx, ZLINK_STREAM);
        set_soft (RLIMIT_NPROC, (rlim_t) threads () + more);
        bound = zl.bind (s, "tcp://127.0.0.1:*") == 0;
        CHECK (bound || (errno == EMTHREAD && strstr (zl.error_detail (), "threads")));
        CHECK (bound || more < 100);
        CHECK (zl.close (s) == 0);
    }
    CHECK (zl.ctx_term (ctx) == 0);
}

enum
{
    LEFT_TO_GO = 32 << 20 /* of 128; something else may have been mapped meanwhile */
};

static rlim_t address_space (void)
{
    unsigned long pages = 0;
    FILE *file = fopen ("/proc/self/statm", "r");
    CHECK (file && fscanf (file, "%lu", &pages) == 1);
    fclose (file);
    return (rlim_t) pages * (rlim_t) sysconf (_SC_PAGESIZE);
}

/* A peer that reads nothing is sent more than the process may have. */
static void memory_runs_out (void)
{
    static uint8_t body[30000];
    uint8_t id[4] = {0, 0, 0, 1};
#ifdef __SANITIZE_ADDRESS__
    printf ("skipped memory_runs_out: AddressSanitizer needs TiB of address space\n");
    return;
#endif
    hd_load (RTLD_NOW);
    hd_server_t server = hd_open_unbounded ();
    set_soft (RLIMIT_AS, address_space () + (200u << 20));
    for (;;) {
        if (zl.send (server.socket, id, 4, ZLINK_SNDMORE | ZLINK_DONTWAIT) == 4
            && zl.send (server.socket, body, sizeof body, ZLINK_DONTWAIT) > 0)
            continue;
        CHECK (errno == ENOMEM);
        break;
    }
    /* What Go's heap may need is still there. */
    void *left = mmap (NULL, LEFT_TO_GO, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK (left != MAP_FAILED && munmap (left, LEFT_TO_GO) == 0);
    set_soft (RLIMIT_AS, RLIM_INFINITY);
    use ();
    hd_close (&server);
}

/* -------------------------------------------------------------- first calls */

static pthread_barrier_t barrier;

static void *call_at_once (void *arg)
{
    pthread_barrier_wait (&barrier);
    use ();
    return arg;
}

static void first_calls_at_once (void)
{
    pthread_t callers[8];
    hd_load (RTLD_NOW);
    pthread_barrier_init (&barrier, NULL, 8);
    for (int i = 0; i < 8; i++)
        CHECK (pthread_create (&callers[i], NULL, call_at_once, NULL) == 0);
    for (int i = 0; i < 8; i++)
        pthread_join (callers[i], NULL);
}

static atomic_int ticks;

static void tick (int number)
{
    (void) number;
    atomic_fetch_add (&ticks, 1);
}

/* They come to the caller, before or after, and its mask is as it was. */
static void signals_at_the_first_call (void)
{
    struct sigaction action = {.sa_handler = tick};
    struct itimerval often = {{0, 100}, {0, 100}}, never = {{0, 0}, {0, 0}};
    sigset_t before, after;
    hd_load (RTLD_NOW);
    sigemptyset (&before);
    sigaddset (&before, SIGUSR2);
    pthread_sigmask (SIG_SETMASK, &before, NULL);
    sigaction (SIGALRM, &action, NULL);
    setitimer (ITIMER_REAL, &often, NULL);
    HD_UNTIL (atomic_load (&ticks) > 0);
    void *ctx = zl.ctx_new ();
    int then = atomic_load (&ticks);
    HD_UNTIL (atomic_load (&ticks) > then);
    setitimer (ITIMER_REAL, &never, NULL);
    pthread_sigmask (SIG_SETMASK, NULL, &after);
    CHECK (ctx != NULL);
    for (int number = 1; number < NSIG; number++)
        CHECK (sigismember (&after, number) == (number == SIGUSR2));
    CHECK (zl.ctx_term (ctx) == 0);
    use ();
}

/* ----------------------------------------------------------------- children */

static void expect_end (pid_t child, int code)
{
    int status;
    CHECK (child > 0 && waitpid (child, &status, 0) == child);
    CHECK (WIFEXITED (status) && WEXITSTATUS (status) == code);
}

static void refuses (void)
{
    CHECK (zl.ctx_new () == NULL && errno == ENOTSUP);
    _exit (6);
}

static void forks_before_the_first_call (void)
{
    hd_load (RTLD_NOW);
    for (int i = 0; i < 5; i++) {
        pid_t child = fork ();
        if (child == 0) {
            use ();
            if (fork () == 0)
                refuses ();
            int status;
            CHECK (wait (&status) > 0 && status == 6 << 8);
            _exit (i);
        }
        expect_end (child, i);
    }
    use ();
    pid_t child = fork ();
    if (child == 0)
        refuses ();
    expect_end (child, 6);
    use ();
}

/* As daemon () does, with the library loaded. */
static void daemons (void)
{
    int ends[2], status = -1;
    hd_load (RTLD_NOW);
    CHECK (pipe (ends) == 0);
    pid_t child = fork ();
    if (child == 0) {
        setsid ();
        if (fork () > 0)
            _exit (0);
        use ();
        status = 7;
        CHECK (write (ends[1], &status, sizeof status) == sizeof status);
        _exit (0);
    }
    expect_end (child, 0);
    close (ends[1]);
    CHECK (read (ends[0], &status, sizeof status) == sizeof status && status == 7);
}

enum
{
    WORKERS = 4,
    CLIENTS = 40
};

/* A worker of the server below: echoes until its parent ends it. */
static void work (int listener)
{
    uint8_t id[4], body[64];
    void *s = zl.socket (zl.ctx_new (), ZLINK_STREAM);
    CHECK (zl.setsockopt (s, ZLINK_USE_FD, &listener, sizeof listener) == 0);
    CHECK (zl.bind (s, "tcp://127.0.0.1:*") == 0);
    for (;;) {
        CHECK (zl.recv (s, id, 4, 0) == 4);
        int size = zl.recv (s, body, sizeof body, 0);
        if (size > 1) {
            zl.send (s, id, 4, ZLINK_SNDMORE);
            zl.send (s, body, (size_t) size, 0);
        }
    }
}

/* A parent that opens the listener, and children that accept on it. */
static void prefork_servers (void)
{
    static const char frame[] = "\0\0\0\5hello";
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t size = sizeof addr;
    pid_t workers[WORKERS];
    char answer[9];
    hd_load (RTLD_NOW);
    int listener = socket (AF_INET, SOCK_STREAM, 0);
    addr.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    CHECK (bind (listener, (struct sockaddr *) &addr, sizeof addr) == 0);
    CHECK (listen (listener, 100) == 0);
    CHECK (getsockname (listener, (struct sockaddr *) &addr, &size) == 0);
    for (int i = 0; i < WORKERS; i++)
        if ((workers[i] = fork ()) == 0)
            work (listener);
    for (int i = 0; i < CLIENTS; i++) {
        int client = socket (AF_INET, SOCK_STREAM, 0);
        CHECK (connect (client, (struct sockaddr *) &addr, sizeof addr) == 0);
        CHECK (write (client, frame, 9) == 9);
        CHECK (recv (client, answer, 9, MSG_WAITALL) == 9);
        CHECK (memcmp (answer, frame, 9) == 0);
        close (client);
    }
    for (int i = 0; i < WORKERS; i++) {
        CHECK (waitpid (workers[i], NULL, WNOHANG) == 0);
        kill (workers[i], SIGKILL);
        waitpid (workers[i], NULL, 0);
    }
}

static void nothing (int id, void *arg)
{
    (void) id;
    (void) arg;
}

static atomic_bool stop;

/* Holds the lock of the timers as often as it can; that needs no Go. */
static void *set_timers (void *arg)
{
    do {
        void *timers = zl.timers_new ();
        CHECK (zl.timers_add (timers, 1000, nothing, NULL) > 0);
        CHECK (zl.timers_destroy (&timers) == 0);
    } while (!arg && !atomic_load (&stop));
    return NULL;
}

static void forks_beside_timers (void)
{
    pthread_t thread;
    hd_load (RTLD_NOW);
    CHECK (pthread_create (&thread, NULL, set_timers, NULL) == 0);
    for (int i = 0; i < 200; i++) {
        pid_t child = fork ();
        if (child == 0) {
            set_timers ("once");
            _exit (6);
        }
        expect_end (child, 6);
    }
    atomic_store (&stop, true);
    pthread_join (thread, NULL);
}

static void *first_call (void *arg)
{
    use ();
    return arg;
}

/* The fork comes before, during or after the start in another thread. */
static void fork_beside_the_first_call (int delay_us)
{
    pthread_t caller;
    hd_load (RTLD_NOW);
    CHECK (pthread_create (&caller, NULL, first_call, NULL) == 0);
    usleep ((useconds_t) delay_us);
    pid_t child = fork ();
    if (child == 0) {
        void *ctx = zl.ctx_new ();
        CHECK (ctx != NULL || errno == ENOTSUP);
        CHECK (!ctx || zl.ctx_term (ctx) == 0);
        _exit (6);
    }
    expect_end (child, 6);
    pthread_join (caller, NULL);
}

static void forks_beside_the_first_call (void)
{
#ifdef __SANITIZE_ADDRESS__
    printf ("skipped forks_beside_the_first_call: AddressSanitizer does not free its "
            "locks in a child\n");
    return;
#endif
    for (int i = 0; i < 40; i++) {
        pid_t child = fork ();
        if (child == 0) {
            fork_beside_the_first_call (50 * i);
            _exit (0);
        }
        expect_end (child, 0);
    }
}

static const hd_case_t cases[] = {
  HD_CASE (loading_starts_nothing),
  HD_CASE (too_few_threads),
  HD_CASE (too_little_address_space),
  HD_CASE (no_thread_for_io),
  HD_CASE (memory_runs_out),
  HD_CASE (first_calls_at_once),
  HD_CASE (signals_at_the_first_call),
  HD_CASE (forks_before_the_first_call),
  HD_CASE (daemons),
  HD_CASE (prefork_servers),
  HD_CASE (forks_beside_the_first_call),
  HD_CASE (forks_beside_timers),
};

HD_MAIN (cases)
