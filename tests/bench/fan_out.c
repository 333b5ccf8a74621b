/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One message to many peers.
 * usage: fan_out PEERS SIZE ROUNDS tcp|ws|web WAY [back-to-back|echo|echo-first]
 *
 * A process of plain clients reads what comes. In each round the server says SIZE bytes to all
 * of them: by zlink_stream_publish (WAY is publish), by as many calls of zlink_msg_send (sends),
 * or, without zlink, by as many calls of send: in one thread (bare) or two (bare2), or in one that looks
 * at its other clients after every twenty (loop). Another WAY is the server that the variable
 * FAN_CMD_<WAY> names (fan_ways.h). web is ws with ZLINK_STREAM_FRAMING 1, whose bytes are those of any
 * WebSocket server.
 *
 * The line has the medians of how long the caller was busy and of how long it took until the
 * clients had everything, by how much the server's resident memory grew at most, messages in a
 * millisecond, the processor time that server and clients took for a message, and how often the clients had
 * read everything and slept, for each message: to wake them takes the server as long as sending does. Back to back,
 * the next round does not wait for the clients.
 *
 * With echo, one more client has a message echoed every half millisecond, in turn for 2 s beside silence and for 2 s
 * beside 20 rounds a second, ROUNDS times. With bare, the server that echoes is zlink's and has
 * no other clients, and another process writes to those: what the same load costs elsewhere. The client of the echoes
 * may have to wait for a processor that the others use to read. With echo-first it runs before them (SCHED_FIFO), as on
 * a machine of its own.
 */
#include "fan_ways.h"

enum
{
    MOST_ROUNDS = 1000,
    EACH_MS = 50, /* 20 rounds a second */
    PHASE_MS = 2000
};

static int rounds;

/* ------------------------------------------------------------- measuring */

static double resident_of (pid_t pid)
{
    char name[64];
    long pages = 0;
    snprintf (name, sizeof name, "/proc/%d/statm", (int) pid);
    FILE *f = fopen (name, "re");
    if (f == NULL || fscanf (f, "%*d %ld", &pages) != 1)
        fail ("statm");
    fclose (f);
    return (double) pages * (double) sysconf (_SC_PAGESIZE) / 1e6;
}

static double processor_ms (pid_t pid)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid (pid, &clock) || clock_gettime (clock, &t))
        fail ("clock_getcpuclockid");
    return (double) t.tv_sec * 1e3 + (double) t.tv_nsec / 1e6;
}

static int by_size (const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return x < y ? -1 : x > y;
}

static double median (double *all)
{
    qsort (all, (size_t) rounds, sizeof *all, by_size);
    return all[rounds / 2];
}

/* How often the clients have slept. */
static double sleeps_of (pid_t pid)
{
    char name[64], line[256];
    double times = -1;
    snprintf (name, sizeof name, "/proc/%d/status", (int) pid);
    FILE *f = fopen (name, "re");
    while (f && fgets (line, sizeof line, f) && sscanf (line, "voluntary_ctxt_switches: %lf", &times) != 1)
        ;
    if (f == NULL || times < 0)
        fail ("status");
    fclose (f);
    return times;
}

/* What a client gets in a round. */
static uint64_t wire (void)
{
    const size_t inside = size + (messages ? 0 : 4);
    return inside + (ws ? inside < 126 ? 2 : inside <= 0xFFFF ? 4
                                                              : 10
                        : 0);
}

/* all_there says messages until all clients get one: a server may not have accepted them all. A
 * connection also keeps some of what its first message takes. */
static void all_there (const way *w)
{
    for (int tries = 0; tries < 20; tries++) {
        const uint64_t goal = atomic_load (&shared->bytes) + (uint64_t) peers * wire ();
        w->say (1);
        for (int i = 0; i < 300 && atomic_load (&shared->bytes) < goal; i++)
            sleep_ms (10);
        if (atomic_load (&shared->bytes) == goal)
            return;
        sleep_ms (1000);
    }
    errno = ETIMEDOUT;
    fail ("not all clients get a message");
}

/* keep appends a line to the file that FAN_CSV names, for stream_report. */
static void keep (const char *transport, const char *name, const char *mode, const double *figures)
{
    const char *file = getenv ("FAN_CSV"), *round = getenv ("FAN_ROUND");
    FILE *f = file ? fopen (file, "ae") : NULL;
    if (!f)
        return;
    fprintf (f, "%s,%s,%s,%d,%zu,%s", round ? round : "1", transport, name, peers, size, mode);
    for (int i = 0; i < 6; i++)
        fprintf (f, ",%.3f", figures[i]);
    fprintf (f, "\n");
    fclose (f);
}

static void measure (const way *w, const char *transport, const struct child *clients, bool back_to_back)
{
    static double busy[MOST_ROUNDS], delivered[MOST_ROUNDS];
    all_there (w);
    const uint64_t first = atomic_load (&shared->bytes);
    double before = resident_of (server), most = before, begin = now_ms ();
    double served = processor_ms (server), read = processor_ms (clients->pid), slept = sleeps_of (clients->pid);
    if (back_to_back) { /* frames of WebSocket may be joined: the lengths and bodies count */
        busy[0] = w->say (rounds) / rounds;
        most = resident_of (server);
        await_bytes (first + (uint64_t) rounds * (uint64_t) peers * (size + (messages ? 0 : 4)));
        delivered[0] = (now_ms () - begin) / rounds;
    }
    for (int i = 0; i < rounds && !back_to_back; i++) {
        double from = now_ms ();
        busy[i] = w->say (1);
        double now = resident_of (server);
        most = now > most ? now : most;
        await_bytes (first + (uint64_t) (i + 1) * (uint64_t) peers * wire ());
        delivered[i] = now_ms () - from;
    }
    const double all = now_ms () - begin, count = (double) rounds * peers;
    served = processor_ms (server) - served, read = processor_ms (clients->pid) - read;
    slept = sleeps_of (clients->pid) - slept;
    printf ("fan_out %-3s %-7s %5d peers %6zu bytes: caller %7.2f ms, delivered %7.2f ms, "
            "resident +%5.1f MB, %8.0f messages/ms, server %6.2f us, clients %6.2f us, %5.2f sleeps%s\n",
            transport, w->name, peers, size, back_to_back ? busy[0] : median (busy),
            back_to_back ? delivered[0] : median (delivered), most - before, count / all,
            served * 1e3 / count, read * 1e3 / count, slept / count, back_to_back ? ", back to back" : "");
    const double figures[] = {back_to_back ? busy[0] : median (busy),
                              back_to_back ? delivered[0] : median (delivered),
                              most - before,
                              count / all,
                              served * 1e3 / count,
                              read * 1e3 / count};
    keep (transport, w->name, back_to_back ? "back-to-back" : "alone", figures);
}

/* ------------------------------------------------------------------ echoes */

/* Another process that says the messages while it is told to. */
static void run_bare (int unused)
{
    (void) unused;
    for (double next = now_ms ();; next += EACH_MS) {
        while (!atomic_load (&shared->writes)) {
            sleep_ms (1);
            next = now_ms ();
        }
        write_all (1);
        double left = next + EACH_MS - now_ms ();
        if (left > 0)
            usleep ((useconds_t) (left * 1e3));
    }
}

static int by_us (const void *a, const void *b)
{
    float x = *(const float *) a, y = *(const float *) b;
    return x < y ? -1 : x > y;
}

static double percentile (int phase, double part)
{
    return shared->us[phase][(uint32_t) (part * atomic_load (&shared->count[phase]))];
}

/* phase_of lets echoes go for a while, and says the messages beside them. Returns how many. */
static int phase_of (int phase, const way *w, bool elsewhere)
{
    int said = 0;
    const uint64_t before = atomic_load (&shared->bytes);
    atomic_store (&shared->phase, phase);
    atomic_store (&shared->writes, phase == 2 && elsewhere);
    for (double from = now_ms (), next = from; next < from + PHASE_MS; next += EACH_MS) {
        if (phase == 2 && !elsewhere) {
            w->say (1);
            said++;
        }
        double left = next + EACH_MS - now_ms ();
        if (left > 0)
            usleep ((useconds_t) (left * 1e3));
    }
    atomic_store (&shared->phase, 0);
    atomic_store (&shared->writes, 0);
    while (!atomic_load (&shared->resting))
        usleep (100);
    await_bytes (before + (uint64_t) said * (uint64_t) peers * (size + (messages ? 0 : 4)));
    sleep_ms (100);
    return elsewhere ? (int) ((atomic_load (&shared->bytes) - before) / ((uint64_t) peers * wire ())) : said;
}

static void measure_echoes (const way *w, const char *transport, bool elsewhere)
{
    int said = 0;
    if (!elsewhere)
        all_there (w);
    for (int i = 0; i < rounds; i++) {
        phase_of (1, w, elsewhere);
        said += phase_of (2, w, elsewhere);
    }
    for (int phase = 1; phase <= 2; phase++)
        qsort (shared->us[phase], atomic_load (&shared->count[phase]), sizeof (float), by_us);
    printf ("fan_out %-3s %-7s %5d peers %6zu bytes: echo p50 %5.0f us, p99 %6.0f us; beside %4.1f messages a "
            "second to each p50 %5.0f us, p99 %6.0f us: %5.2f times%s%s\n",
            transport, w->name, peers, size, percentile (1, .5), percentile (1, .99),
            said * 1e3 / PHASE_MS / rounds, percentile (2, .5), percentile (2, .99),
            percentile (2, .99) / percentile (1, .99), elsewhere ? ", said by another process" : "", first ? ", the echoes' client first" : "");
    const double figures[] = {percentile (1, .5), percentile (1, .99), percentile (2, .5),
                              percentile (2, .99), said * 1e3 / PHASE_MS / rounds, 0};
    keep (transport, w->name, first ? "echo-first" : "echo", figures);
}

/* begin_echoes starts what an echo needs, after the other clients are there. */
static void begin_echoes (struct child *echoes, int port)
{
    pthread_t thread;
    start_child (echoes, port);
    if (s && pthread_create (&thread, NULL, echo, s))
        fail ("pthread_create");
    sleep_ms (200);
}

static void await_clients (void)
{
    while (atomic_load (&shared->up) < peers)
        sleep_ms (1);
    sleep_ms (200);
}

/* ------------------------------------------------------------------ the rest */

static void finish (struct child *clients)
{
    end_child (clients);
    if (s) {
        zlink_ctx_shutdown (ctx);
        zlink_close (s);
        zlink_ctx_term (ctx);
    }
    if (orders)
        fclose (orders);
}

static int usage (void)
{
    fprintf (stderr, "usage: fan_out PEERS SIZE ROUNDS tcp|ws|web WAY [back-to-back|echo|echo-first]\n"
                     "WAY: publish, sends, bare, bare2, loop, or the NAME of a server FAN_CMD_<NAME>\n");
    return 2;
}

/* few_descriptors reports whether the system gives a process too few for all clients. */
static bool few_descriptors (void)
{
    struct rlimit most;
    getrlimit (RLIMIT_NOFILE, &most);
    return most.rlim_max < (rlim_t) peers + 64;
}

int main (int argc, char **argv)
{
    way other;
    const way *w = argc > 5 ? named (argv[5], &other) : NULL;
    if (!w || (peers = atoi (argv[1])) < 1 || (rounds = atoi (argv[3])) < 1 || rounds > MOST_ROUNDS)
        return usage ();
    if (few_descriptors ()) {
        errno = EMFILE;
        fail (argv[1]);
    }
    size = strtoul (argv[2], NULL, 10);
    messages = !strcmp (argv[4], "web");
    ws = messages || !strcmp (argv[4], "ws");
    if (ws && w->open == open_bare)
        return usage ();
    first = argc > 6 && !strcmp (argv[6], "echo-first");
    const bool echoes = first || (argc > 6 && !strcmp (argv[6], "echo")), elsewhere = echoes && w->open == open_bare && w->say != say_loop;
    shared = mmap (NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    reached = eventfd (0, EFD_CLOEXEC);
    struct child clients = new_child (run_clients), echo_client = new_child (run_echo), writer = {0};
    many_descriptors ();
    server = getpid ();
    int port = w->open ();
    start_child (&clients, port);
    w->accept_all ();
    await_clients ();
    if (elsewhere) {
        writer = new_child (run_bare);
        start_child (&writer, 0);
        port = open_zlink ();
    }
    if (echoes) {
        begin_echoes (&echo_client, port);
        measure_echoes (w, argv[4], elsewhere);
    } else
        measure (w, argv[4], &clients, argc > 6);
    end_child (&echo_client);
    if (elsewhere)
        end_child (&writer);
    finish (&clients);
    return 0;
}
