/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Very many connections on one machine: as many servers with one port as the limit of descriptors
 * demands, and as many processes of clients.
 *
 *   million CONNECTIONS tcp|ws DIR
 *
 * The clients connect, one in a hundred of them sends a ping each second, a message goes to all of them, one
 * server is replaced meanwhile, and a message goes to all of them again. DIR gets samples.csv, with a line for
 * each half second, and result.csv. Exit code 1: a connection or a message was lost. 2: this machine cannot do it,
 * with a reason. 3: nothing was lost, but a goal was missed; below BIG there are none, and how long something takes decides nothing.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "sample.h"

enum
{
    PER_SERVER = 16384, /* STREAM_MAX_CONNECTIONS of PUBLIC */
    SPREAD = 5,         /* the kernel does not spread evenly: so many standard deviations */
    SPARE = 500,        /* descriptors of a process besides connections */
    SAMPLE_MS = 500,
    STALLED_S = 60,     /* without any progress */
    MOST_S = 280,       /* in all */
    SELDOM_S = 5,       /* a line of progress, where it is no terminal */
    BIG = 100000        /* from here on the phases are long, and there are goals */
};

/* Exit codes. */
enum
{
    FINE,
    LOST,
    CANNOT,
    MISSED
};

shared_t *shared;

static FILE *samples, *results;
static bool in_line; /* the line of progress is not ended */
static long processors;
static double started, next_line, quiet_s = 1, pings_s = 0.5; /* pings alone, and after something */
static pid_t replaced;
static totals_t at_start, last;
static pid_t main_pid;
static char missed[8][128]; /* sentences */
static int misses;

/* ---------------------------------------------------------------- processes */

static pid_t launch (int (*run) (int), int index)
{
    pid_t pid = fork ();
    if (pid < 0)
        die ("fork");
    if (pid == 0) {
        prctl (PR_SET_PDEATHSIG, SIGKILL);
        if (getppid () != main_pid)
            _exit (1);
        _exit (run (index));
    }
    return pid;
}

static int first_server (int index)
{
    return run_server (index, false);
}

static int next_server (int index)
{
    return run_server (index, true);
}

static void end_all (void)
{
    for (int i = 0; i < MOST_PROCESSES; i++) {
        if (shared->server[i].pid > 0)
            kill (shared->server[i].pid, SIGKILL);
        if (shared->client[i].pid > 0)
            kill (shared->client[i].pid, SIGKILL);
    }
    while (wait (NULL) > 0)
        ;
}

static void fail (const char *sentence, int code)
{
    fprintf (stderr, "million: %s\n", sentence);
    end_all ();
    exit (code);
}

/* Ends where it takes too long. */
static void give_up (const char *phase, const char *what, int seconds)
{
    char sentence[160];
    totals_t t = totals ();
    snprintf (sentence, sizeof sentence, "%s: %s %d s: %lld of %d connections are up, %lld messages of a publish have come", phase,
              what, seconds, (long long) t.up, shared->connections, (long long) t.read);
    fail (sentence, LOST);
}

/* The system may give the number of a process that has ended to another one, which is not ours to kill or to look at. */
static void forget (pid_t pid)
{
    for (int i = 0; i < MOST_PROCESSES; i++) {
        if (shared->server[i].pid == pid)
            shared->server[i].pid = 0;
        if (shared->client[i].pid == pid)
            shared->client[i].pid = 0;
    }
}

/* A process that has ended by itself has said why; the replaced one should, once it has drained. */
static void check_processes (void)
{
    int status;
    pid_t pid;
    while ((pid = waitpid (-1, &status, WNOHANG)) > 0) {
        forget (pid);
        if (pid != replaced || status != 0 || !shared->server[0].drained)
            fail ("a process has ended", LOST);
    }
}

/* ------------------------------------------------------------------ samples */

static void sample (const char *phase)
{
    totals_t t = totals ();
    double p50 = percentile (&last, &t, 0.5) / 1000, p99 = percentile (&last, &t, 0.99) / 1000;
    fprintf (samples, "%.2f,%s,%lld,%lld,%lld,%lld,%lld,%.3f,%.3f,%lld\n", now_s () - started, phase, (long long) t.up,
             (long long) t.server_kb, (long long) t.client_kb, (long long) (t.kernel_kb - at_start.kernel_kb),
             (long long) (t.pongs - last.pongs), p50, p99, (long long) (t.read - last.read));
    fflush (samples);
    last = t;
    bool terminal = isatty (STDOUT_FILENO);
    if (!terminal && now_s () < next_line)
        return;
    next_line = now_s () + SELDOM_S;
    printf ("%s%6.1f s  %-12s %9lld connections  servers %5.0f MB, kernel %6.0f MB  pings p99 %7.2f ms  %s",
            terminal ? "\r" : "", now_s () - started, phase, (long long) t.up, (double) t.server_kb / 1024,
            (double) (t.kernel_kb - at_start.kernel_kb) / 1024, p99, terminal ? "" : "\n");
    fflush (stdout);
    in_line = terminal;
}

/* Samples until done says so; what must change before STALLED_S are over is its progress. */
static void await (const char *phase, bool (*done) (void), int64_t (*progress) (void))
{
    double next = now_s (), moved = now_s ();
    int64_t before = -1;
    while (!done ()) {
        check_processes ();
        if (now_s () >= next) {
            sample (phase);
            next += SAMPLE_MS / 1e3;
        }
        int64_t now = progress ();
        if (now != before)
            moved = now_s ();
        before = now;
        if (now_s () - moved > STALLED_S)
            give_up (phase, "nothing has moved for", STALLED_S);
        if (now_s () - started > MOST_S)
            give_up (phase, "it is not over after", MOST_S);
        pause_ms (5);
    }
}

static double until;

static bool time_is_over (void)
{
    return now_s () >= until;
}

static int64_t ticks (void)
{
    return (int64_t) now_s ();
}

static void rest (const char *phase, double seconds)
{
    until = now_s () + seconds;
    await (phase, time_is_over, ticks);
}

/* A line of result.csv: name, value, goal, and whether the goal is met. goal 0: none. */
static void tell (const char *name, double value, double goal)
{
    if (shared->connections < BIG)
        goal = 0; /* the processes themselves would be most of it */
    const char *met = goal == 0 ? "" : value <= goal ? "met"
                                                     : "missed";
    fprintf (results, "%s,%g,%g,%s\n", name, value, goal, met);
    if (goal > 0 && value > goal)
        snprintf (missed[misses++], sizeof missed[0], "%s is %.2f, and the goal is %g", name, value, goal);
    printf (in_line ? "\n\n%-34s %12.3f" : "%-34s %12.3f", name, value);
    in_line = false;
    if (goal > 0)
        printf ("   goal %g: %s", goal, met);
    printf ("\n");
}

/* ------------------------------------------------------------------- phases */

static int64_t sum_of_peers (void)
{
    int64_t all = 0;
    for (int i = 0; i < MOST_PROCESSES; i++)
        all += shared->server[i].peers;
    return all;
}

static int64_t sum_of_clients (size_t field)
{
    int64_t all = 0;
    for (int i = 0; i < shared->clients; i++)
        all += *(_Atomic int64_t *) ((char *) &shared->client[i] + field);
    return all;
}

static int64_t sum_up (void)
{
    return sum_of_clients (offsetof (client_t, up));
}

static int64_t sum_read (void)
{
    return sum_of_clients (offsetof (client_t, read));
}

static bool all_up (void)
{
    return sum_up () == shared->connections && sum_of_peers () == shared->connections;
}

static bool all_listen (void)
{
    for (int i = 0; i < shared->servers; i++)
        if (!shared->server[i].ready)
            return false;
    return true;
}

static int64_t listening (void)
{
    int64_t n = 0;
    for (int i = 0; i < shared->servers; i++)
        n += shared->server[i].ready;
    return n;
}

static void order (int server, char what)
{
    if (write (shared->server[server].orders[1], &what, 1) != 1)
        die ("an order");
}

static int64_t goal_read;

static bool all_read (void)
{
    return sum_read () >= goal_read;
}

/* A message to all, by all servers at once; returns the seconds until the last client had it. */
static double publish (void)
{
    static char number;
    goal_read = sum_read () + shared->connections;
    number++;
    double begin = now_s ();
    for (int i = 0; i < shared->servers; i++)
        order (shared->leaves + i, number);
    await ("publish", all_read, sum_read);
    return now_s () - begin;
}

static bool is_replaced (void)
{
    return shared->server[0].pid == 0 && shared->server[shared->servers].ready && all_up ();
}

/* Replaces the first server: another process takes its listener, and its clients come again. */
static double restart (void)
{
    double begin = now_s ();
    replaced = shared->server[0].pid;
    order (0, 'l');
    shared->server[shared->servers].pid = launch (next_server, shared->servers);
    await ("restart", is_replaced, sum_up);
    shared->leaves = 1;
    return now_s () - begin;
}

/* --------------------------------------------------------------- the machine */

/* Whether so many servers have room for all, also when one of them ends its peers and they come to all. */
static bool enough (double connections, double servers, double room)
{
    double each = connections / servers * (1 + 1 / servers);
    return each < room && (room - each) * (room - each) > SPREAD * SPREAD * each;
}

/* How many processes it takes, and whether the machine can have them. */
static void plan (void)
{
    long each = descriptors (0) - SPARE, per_server = each < PER_SERVER ? each : PER_SERVER;
    long files = setting ("/proc/sys/fs/file-max"), n = shared->connections;
    char sentence[256];
    if (each < 100)
        fail ("the limit of descriptors (ulimit -Hn) is too low", CANNOT);
    shared->servers = 2;
    while (shared->servers < MOST_PROCESSES && !enough ((double) n, shared->servers, (double) per_server))
        shared->servers++;
    /* Few processes of clients take many events at a time; the limit allows that as root. */
    each = descriptors (n / processors + 1 + SPARE) - SPARE;
    shared->clients = (int) ((n + each - 1) / each);
    if (shared->clients < processors)
        shared->clients = (int) processors;
    if (shared->servers >= MOST_PROCESSES || shared->clients > MOST_PROCESSES) {
        snprintf (sentence, sizeof sentence, "%ld connections take %d servers with %ld descriptors each: raise ulimit -Hn", n,
                  shared->servers, each);
        fail (sentence, CANNOT);
    }
    if (files > 0 && files < 2 * n + 100000) {
        snprintf (sentence, sizeof sentence, "both ends of %ld connections take more than fs.file-max, %ld", n, files);
        fail (sentence, CANNOT);
    }
    if (setting ("/proc/sys/net/netfilter/nf_conntrack_count") > 0
        && setting ("/proc/sys/net/netfilter/nf_conntrack_max") < 2 * n)
        printf ("nf_conntrack_max is small: if the loopback is tracked, connections will be refused\n");
    printf ("%ld connections over %s: %d servers, %d processes of clients; the connections of %d come from one address\n", n,
            shared->web ? "ws" : "tcp", shared->servers, shared->clients, PER_ADDRESS);
}

static FILE *file_in (const char *dir, const char *name)
{
    char path[4096];
    snprintf (path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen (path, "we");
    if (!f)
        die (path);
    return f;
}

static void start_all (void)
{
    for (int i = 0; i <= shared->servers; i++)
        if (pipe2 (shared->server[i].orders, O_CLOEXEC) < 0)
            die ("pipe2");
    for (int i = 0; i < shared->servers; i++) {
        shared->server[i].pid = launch (first_server, i);
        while (i == 0 && !shared->server[0].ready) { /* it chooses the port */
            check_processes ();
            pause_ms (1);
        }
    }
    await ("start", all_listen, listening);
    for (int i = 0; i < shared->clients; i++)
        shared->client[i].pid = launch (run_client, i);
    sample ("start");
}

/* What pings took since a sample. */
static void tell_pings (const char *when, const totals_t *since, double goal)
{
    char name[64];
    totals_t now = totals ();
    snprintf (name, sizeof name, "ping_p50_ms_%s", when);
    tell (name, percentile (since, &now, 0.5) / 1000, 0);
    snprintf (name, sizeof name, "ping_p99_ms_%s", when);
    tell (name, percentile (since, &now, 0.99) / 1000, goal);
    snprintf (name, sizeof name, "ping_p999_ms_%s", when);
    tell (name, percentile (since, &now, 0.999) / 1000, 0);
}

/* Processors in use since a sample, seconds before. */
static void tell_load (const char *when, const totals_t *since, double seconds)
{
    char name[64];
    totals_t now = totals ();
    snprintf (name, sizeof name, "processors_of_servers_%s", when);
    tell (name, (double) (now.server_ns - since->server_ns) / 1e9 / seconds, 0);
    snprintf (name, sizeof name, "processors_of_clients_%s", when);
    tell (name, (double) (now.client_ns - since->client_ns) / 1e9 / seconds, 0);
}

/* Processor time since a sample, for each connection. */
static void tell_processors (const char *what, const totals_t *since)
{
    char name[64];
    totals_t now = totals ();
    double n = shared->connections;
    snprintf (name, sizeof name, "%s_server_us_per_peer", what);
    tell (name, (double) (now.server_ns - since->server_ns) / 1e3 / n, 0);
    snprintf (name, sizeof name, "%s_client_us_per_peer", what);
    tell (name, (double) (now.client_ns - since->client_ns) / 1e3 / n, 0);
}

static void tell_memory (const totals_t *empty, const totals_t *full, int64_t empty_kb)
{
    double n = shared->connections;
    tell ("user_kb_per_connection", (double) servers_kb () / n, shared->web ? 1.3 : 0.9);
    tell ("user_kb_of_each_empty_server", (double) empty_kb / shared->servers, 0);
    tell ("resident_kb_per_connection", (double) full->server_kb / n, 0);
    tell ("resident_kb_of_each_empty_server", (double) empty->server_kb / shared->servers, 0);
    tell ("kernel_kb_per_pair", (double) (full->kernel_kb - empty->kernel_kb) / n, 0);
    tell ("client_kb_per_connection", (double) full->client_kb / n, 0);
}

/* Nothing may be lost: returns the exit code. */
static int judge (int64_t published)
{
    totals_t t = totals ();
    int64_t missing = published * shared->connections - t.read;
    int64_t unanswered = t.pings - t.pongs - t.lost;
    tell ("connections_of_the_replaced_server", (double) shared->server[0].gone, 0);
    tell ("of_these_reset_by_what_they_sent", (double) t.cut, 0);
    tell ("new_connections_broken", (double) t.broken, 0);
    tell ("messages_missing", (double) missing, 0);
    tell ("messages_that_came_twice", (double) t.twice, 0);
    tell ("pings_answered", (double) t.pongs, 0);
    tell ("pings_unanswered", (double) unanswered, 0);
    tell ("pings_cut_by_the_restart", (double) t.lost, 0);
    tell ("segments_retransmitted", (double) kernel_counter ("RetransSegs"), 0);
    tell ("times_the_memory_of_tcp_was_short", (double) kernel_counter ("TCPMemoryPressures"), 0);
    tell ("listen_queue_was_full", (double) kernel_counter ("ListenOverflows"), 0);
    bool good = t.broken == 0 && missing == 0 && unanswered == 0 && t.pongs > 0 && t.back > 0
                && t.ended == shared->server[0].gone /* nobody else's ended */
                && t.took == published * shared->connections && t.twice == 0;
    printf (good ? "nothing was lost\n" : "FAILED: something was lost\n");
    for (int i = 0; i < misses; i++)
        printf ("MISSED: %s\n", missed[i]);
    return !good ? LOST : misses > 0 ? MISSED
                                     : FINE;
}

static bool pings_are_back (void)
{
    totals_t t = totals ();
    return t.pings == t.pongs + t.lost;
}

static int run (void)
{
    totals_t empty = totals (), since;
    double begin = now_s (), first, second, again;
    int64_t empty_kb = servers_kb ();
    atomic_store (&shared->connect, 1);
    await ("connect", all_up, sum_up);
    double took = now_s () - begin;
    rest ("quiet", quiet_s); /* handshakes leave something that goes */
    totals_t full = totals ();
    atomic_store (&shared->active, 1);
    rest ("pings", 1); /* the first ones meet cold connections */
    since = totals ();
    double from = now_s ();
    rest ("pings", quiet_s);
    double pinged = now_s () - from;
    tell ("connections", shared->connections, 0);
    tell ("servers", shared->servers, 0);
    tell ("connect_s", took, 0);
    tell ("connect_per_s", shared->connections / took, 0);
    tell_pings ("alone", &since, 50);
    tell_load ("alone", &since, pinged);
    tell_memory (&empty, &full, empty_kb);
    since = totals ();
    first = publish ();
    tell_processors ("publish", &since);
    rest ("pings", pings_s);
    tell ("publish_s", first, 8);
    tell_pings ("beside_publish", &since, 0);
    since = totals ();
    again = restart ();
    rest ("pings", pings_s);
    tell ("restart_s", again, 0);
    tell_pings ("beside_restart", &since, 0);
    since = totals ();
    second = publish ();
    tell_processors ("publish_again", &since);
    tell ("publish_again_s", second, 8);
    atomic_store (&shared->active, 0);
    await ("end", pings_are_back, ticks);
    sample ("end");
    return judge (2);
}

int main (int argc, char **argv)
{
    char why[160];
    main_pid = getpid ();
    shared = mmap (NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die ("mmap");
    if (argc != 4 || atoi (argv[1]) < 100 || (strcmp (argv[2], "tcp") != 0 && strcmp (argv[2], "ws") != 0))
        fail ("usage: million CONNECTIONS tcp|ws DIR, with 100 connections at least", CANNOT);
    signal (SIGPIPE, SIG_IGN);
    shared->connections = atoi (argv[1]);
    shared->web = strcmp (argv[2], "ws") == 0;
    shared->drain_ms = 500;
    if (shared->connections >= BIG)
        quiet_s = 8, pings_s = 3, shared->drain_ms = 4000;
    processors = sysconf (_SC_NPROCESSORS_ONLN);
    plan ();
    own_network (shared->connections);
    if (shared->connections >= BIG && !warm_memory (shared->connections, (int) processors, why, sizeof why))
        fail (why, CANNOT);
    samples = file_in (argv[3], "samples.csv");
    results = file_in (argv[3], "result.csv");
    fprintf (samples, "seconds,phase,connections,server_kb,client_kb,kernel_kb,pongs,ping_p50_ms,ping_p99_ms,published\n");
    fprintf (results, "name,value,goal,met\ntransport_is_ws,%d,0,\n", shared->web);
    started = now_s ();
    at_start = last = totals ();
    start_all ();
    int code = run ();
    fclose (samples);
    fclose (results);
    end_all ();
    return code;
}
