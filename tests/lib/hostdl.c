/* SPDX-License-Identifier: MPL-2.0 */
#include "hostdl.h"

#include <arpa/inet.h>

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define CASE_LIMIT_MS 60000

struct hd_functions zl;
const char *hd_library;

void hd_check (bool ok, const char *file, int line, const char *expr)
{
    if (ok)
        return;
    fprintf (stderr, "%s:%d: failed: %s; errno %d\n", file, line, expr, errno);
    fflush (NULL);
    _exit (EXIT_FAILURE);
}

/* ------------------------------------------------------------------ cases */

static const char *running; /* the case */

static int run_case (const hd_case_t *test)
{
    int status = 0;
    pid_t child = fork ();
    if (child == 0) {
        test->run ();
        exit (EXIT_SUCCESS);
    }
    for (int ms = 0; waitpid (child, &status, WNOHANG) == 0; ms++) {
        if (ms == CASE_LIMIT_MS) {
            fprintf (stderr, "%s takes too long\n", test->name);
            kill (child, SIGKILL);
        }
        usleep (1000);
    }
    if (WIFSIGNALED (status))
        fprintf (stderr, "%s: signal %d\n", test->name, WTERMSIG (status));
    return status;
}

enum
{
    SKIPPED = 77 /* exit code of a case */
};

void hd_skip (const char *reason)
{
    printf ("skipped %s: %s\n", running, reason);
    exit (SKIPPED);
}

static bool selected (const char *name, int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        if (strcmp (argv[i], name) == 0)
            return true;
    return argc == 2;
}

int hd_main (int argc, char **argv, const hd_case_t *cases, size_t count)
{
    int ran = 0, failed = 0;
    if (argc < 2)
        return 2;
    setvbuf (stdout, NULL, _IOLBF, 0);
    hd_library = realpath (argv[1], NULL); /* cases change the folder */
    CHECK (hd_library != NULL);
    for (size_t i = 0; i < count; i++) {
        if (!selected (cases[i].name, argc, argv))
            continue;
        running = cases[i].name;
        int status = run_case (&cases[i]);
        bool skipped = WIFEXITED (status) && WEXITSTATUS (status) == SKIPPED;
        if (!skipped)
            printf ("%s %s\n", status == 0 ? "ok" : "FAILED", cases[i].name);
        failed += status != 0 && !skipped;
        ran++;
    }
    return ran > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---------------------------------------------------------------- library */

void *hd_load (int flags)
{
    void *library = dlopen (hd_library, flags);
    if (!library)
        fprintf (stderr, "%s\n", dlerror ());
    CHECK (library != NULL);
#define FIND(name) *(void **) &zl.name = dlsym (library, "zlink_" #name)
    FIND (version);
    FIND (ctx_new);
    FIND (ctx_set);
    FIND (ctx_term);
    FIND (socket);
    FIND (close);
    FIND (bind);
    FIND (setsockopt);
    FIND (getsockopt);
    FIND (send);
    FIND (recv);
    FIND (msg_init);
    FIND (msg_close);
    FIND (atomic_counter_new);
    FIND (atomic_counter_destroy);
    FIND (timers_new);
    FIND (timers_add);
    FIND (timers_destroy);
    FIND (error_detail);
    CHECK (zl.version && zl.recv && zl.error_detail);
    return library;
}

static int connect_to (void *server)
{
    char endpoint[256];
    size_t size = sizeof endpoint;
    struct sockaddr_in addr = {.sin_family = AF_INET};
    CHECK (zl.getsockopt (server, ZLINK_LAST_ENDPOINT, endpoint, &size) == 0);
    addr.sin_port = htons ((uint16_t) atoi (strrchr (endpoint, ':') + 1));
    addr.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK (connect (fd, (struct sockaddr *) &addr, sizeof addr) == 0);
    return fd;
}

bool hd_handlers_run;

/* Waits again when a handler ran; without one there is no EINTR. */
static int receive (void *server, void *body, size_t size)
{
    int received;
    do
        received = zl.recv (server, body, size, 0);
    while (received == -1 && errno == EINTR && hd_handlers_run);
    return received;
}

/* Receives one message, whose body has to be this. */
static void expect (void *server, uint8_t id[4], const void *body, int size)
{
    uint8_t found[64];
    CHECK (receive (server, id, 4) == 4);
    CHECK (receive (server, found, sizeof found) == size);
    CHECK (memcmp (found, body, (size_t) size) == 0);
}

static hd_server_t begin (void *ctx)
{
    hd_server_t s = {.ctx = ctx};
    CHECK (s.ctx != NULL);
    s.socket = zl.socket (s.ctx, ZLINK_STREAM);
    CHECK (s.socket != NULL);
    return s;
}

static void join (hd_server_t *s)
{
    uint8_t id[4];
    CHECK (zl.bind (s->socket, "tcp://127.0.0.1:*") == 0);
    s->client = connect_to (s->socket);
    expect (s->socket, id, "\1", 1);
}

hd_server_t hd_open_in (void *ctx)
{
    hd_server_t s = begin (ctx);
    join (&s);
    return s;
}

hd_server_t hd_open_unbounded (void)
{
    const int none = 0;
    const int64_t none_in_all = 0;
    hd_server_t s = begin (zl.ctx_new ());
    CHECK (zl.setsockopt (s.socket, ZLINK_STREAM_SEND_BYTES, &none, sizeof none) == 0);
    CHECK (zl.setsockopt (s.socket, ZLINK_STREAM_SEND_BYTES_TOTAL, &none_in_all, sizeof none_in_all) == 0);
    join (&s);
    return s;
}

hd_server_t hd_open (void)
{
    return hd_open_in (zl.ctx_new ());
}

void hd_exchange (hd_server_t *s)
{
    static const char frame[] = "\0\0\0\5hello";
    char answer[9];
    uint8_t id[4];
    CHECK (write (s->client, frame, 9) == 9);
    expect (s->socket, id, "hello", 5);
    CHECK (zl.send (s->socket, id, 4, ZLINK_SNDMORE) == 4);
    CHECK (zl.send (s->socket, "hello", 5, 0) == 5);
    CHECK (recv (s->client, answer, 9, MSG_WAITALL) == 9);
    CHECK (memcmp (answer, frame, 9) == 0);
}

void hd_close (hd_server_t *s)
{
    close (s->client);
    CHECK (zl.close (s->socket) == 0);
    CHECK (zl.ctx_term (s->ctx) == 0);
}

void hd_stages (void (*check) (const char *stage))
{
    zlink_msg_t msg;
    hd_load (RTLD_NOW);
    check ("loaded");
    void *counter = zl.atomic_counter_new ();
    zl.version (NULL, NULL, NULL);
    CHECK (zl.msg_init (&msg) == 0);
    check ("after calls without a context");
    zl.msg_close (&msg);
    zl.atomic_counter_destroy (&counter);
    void *ctx = zl.ctx_new ();
    check ("with a context");
    CHECK (zl.ctx_term (ctx) == 0);
    hd_server_t server = hd_open ();
    for (int i = 0; i < 100; i++)
        hd_exchange (&server);
    check ("after traffic");
    hd_close (&server);
    check ("terminated");
}
