/* SPDX-License-Identifier: MPL-2.0 */
#include "run.h"

#include "counted.h"
#include "tracer.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#define SERVE_MS 20          /* longest wait between two looks at the clock */
#define SETTLE_S 0.5         /* connections open, before memory is read */
#define END_MS 500           /* wait for a dying server to be seen as ended */
#define SAMPLE_MS 200        /* between two looks at the server's memory */
#define FIRST_SENDS 64       /* windows filled before answers are served */
#define TIMER_SLACK_NS 1     /* paced sends are to be on time */

uint64_t clock_ns (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * NS_PER_S + (uint64_t) now.tv_nsec;
}

static uint64_t seconds_ns (double seconds)
{
    return (uint64_t) (seconds * (double) NS_PER_S);
}

int run_init (struct run *run, const struct options *options)
{
    *run = (struct run) {.options = options};
    run->traffic.inflight = (uint32_t) options->inflight;
    if (options_has_traffic (options))
        pace_init (&run->traffic.pace, (uint64_t) options->rate,
                   (uint32_t) options->ccu, (uint32_t) options->burst);
    run->traffic.sample_rate = (uint32_t) options->latency_sample_rate;
    run->measures = (struct measures) {.connect_ms = -1,
                                       .measured_s = -1,
                                       .server_cpu_s = -1,
                                       .client_cpu_s = -1,
                                       .server_switches = {-1, -1},
                                       .server_syscalls = -1,
                                       .server_rss_peak_kb = -1,
                                       .server_rss_kb = -1,
                                       .server_rss_idle_kb = -1,
                                       .client_rss_kb = -1,
                                       .client_conn_rss_kb = -1,
                                       .client_fds = -1,
                                       .silent = -1,
                                       .silent_replaced = -1,
                                       .silent_ended = -1};
    run->links = calloc ((size_t) options->ccu, sizeof *run->links);
    if (!run->links
        || message_format_init (&run->traffic.format, (size_t) options->size)
             != 0
        || (options_counts (options)
            && counted_init (&run->traffic, (uint32_t) options->ccu) != 0)) {
        run_free (run);
        return -1;
    }
    for (long i = 0; i < options->ccu; i++) {
        window_init (&run->links[i].window, (uint32_t) i);
        if (options_counts (options))
            counted_window_init (&run->links[i].window, &run->traffic);
    }
    return 0;
}

void run_free (struct run *run)
{
    message_format_free (&run->traffic.format);
    counted_free (&run->traffic);
    free (run->links);
    run->links = NULL;
}

/* ------------------------------------------------ what the transport tells */

void run_connected (struct run *run, uint32_t index)
{
    run->links[index].state = LINK_OPEN;
    run->connecting--;
    run->open++;
    run->traffic.tally.connect_success++;
}

void run_connect_failed (struct run *run, uint32_t index, int error)
{
    run->links[index].state = LINK_CLOSED;
    run->connecting--;
    run->traffic.tally.connect_fail++;
    tally_error (&run->traffic.tally, error);
}

void run_lost (struct run *run, uint32_t index, int error)
{
    run->links[index].state = LINK_CLOSED;
    run->open--;
    run->traffic.tally.lost++;
    tally_error (&run->traffic.tally, error);
}

/* ------------------------------------------------------------------ phases */

static void sample_server (struct run *run, uint64_t now)
{
    if (run->options->server_pid == 0 || now < run->next_sample_ns)
        return;
    run->next_sample_ns = now + SAMPLE_MS * NS_PER_MS;
    if (run->traffic.phase < PHASE_WARMUP)
        return;
    long kb = process_status_kb (run->options->server_pid, "VmRSS:");
    if (kb > run->measures.server_rss_kb)
        run->measures.server_rss_kb = kb;
}

/* Whether messages are to go out at a fixed rate, now. */
static bool paces (const struct run *run)
{
    return run->traffic.pace.slot_ns > 0
           && (run->traffic.phase == PHASE_WARMUP
               || run->traffic.phase == PHASE_MEASURE);
}

/* Sends what is due; no more at a time than answers can wait for. */
static void send_due (struct run *run)
{
    uint64_t now = clock_ns ();
    uint32_t index;
    for (int i = 0;
         i < FIRST_SENDS && pace_next (&run->traffic.pace, now, &index); i++)
        if (run->links[index].state == LINK_OPEN)
            run->transport.send (run->transport.state, index);
}

/* Serves the transport once, for no longer than until the given time. False
 * when the run's deadline has passed. */
static bool step (struct run *run, uint64_t until_ns)
{
    uint64_t now = clock_ns ();
    uint64_t left = now < until_ns ? until_ns - now : 0;
    if (left > SERVE_MS * NS_PER_MS)
        left = SERVE_MS * NS_PER_MS;
    if (paces (run)) {
        send_due (run);
        uint64_t next = pace_wait_ns (&run->traffic.pace, clock_ns ());
        left = next < left ? next : left;
    }
    run->transport.serve (run->transport.state, left);
    now = clock_ns ();
    sample_server (run, now);
    progress_update (&run->progress, run->traffic.phase, now, until_ns,
                     run->open, run->traffic.tally.echoes);
    if (now >= run->deadline_ns)
        run->traffic.tally.deadline = true;
    return !run->traffic.tally.deadline;
}

/* Gives up connections that take too long. They are started in the order of
 * their indices, so the scan ends at the first that has time left. */
static void expire_connects (struct run *run, uint32_t *oldest, uint32_t next)
{
    uint64_t allowed = seconds_ns (run->options->connect_timeout);
    uint64_t now = clock_ns ();
    for (; *oldest < next; ++*oldest) {
        struct link *link = &run->links[*oldest];
        if (link->state != LINK_CONNECTING)
            continue;
        if (now - link->connect_started_ns < allowed)
            return;
        run->transport.close (run->transport.state, *oldest);
        link->state = LINK_CLOSED;
        run->connecting--;
        run->traffic.tally.connect_timeout++;
    }
}

static void start_connect (struct run *run, uint32_t index)
{
    struct link *link = &run->links[index];
    link->state = LINK_CONNECTING;
    link->connect_started_ns = clock_ns ();
    run->connecting++;
    int error = run->transport.connect (run->transport.state, index);
    if (error)
        run_connect_failed (run, index, error);
}

static bool connect_all (struct run *run)
{
    uint32_t ccu = (uint32_t) run->options->ccu;
    uint32_t at_a_time = (uint32_t) run->options->connect_concurrency;
    uint32_t next = 0, oldest = 0;
    uint64_t started = clock_ns ();
    while (next < ccu || run->connecting > 0) {
        while (next < ccu && run->connecting < at_a_time)
            start_connect (run, next++);
        if (!step (run, run->deadline_ns))
            return false;
        expire_connects (run, &oldest, next);
    }
    if (run->traffic.tally.connect_success == ccu)
        run->measures.connect_ms =
          (double) (clock_ns () - started) / (double) NS_PER_MS;
    return true;
}

static bool stay (struct run *run, double seconds)
{
    uint64_t until = clock_ns () + seconds_ns (seconds);
    while (run->open > 0 && clock_ns () < until)
        if (!step (run, until))
            return false;
    return run->open > 0;
}

static bool idle (struct run *run, long rss_before_kb)
{
    struct measures *measures = &run->measures;
    run->traffic.phase = PHASE_IDLE;
    if (run->options->silent > 0)
        run->transport.open_silent (run->transport.state);
    if (!stay (run, SETTLE_S))
        return false;
    if (run->options->server_pid)
        measures->server_rss_idle_kb =
          process_status_kb (run->options->server_pid, "VmRSS:");
    measures->client_fds = process_descriptors ();
    measures->client_conn_rss_kb =
      (double) (process_status_kb (0, "VmRSS:") - rss_before_kb)
      / (double) run->options->ccu;
    if (options_has_traffic (run->options))
        return true;
    double rest = run->options->hold - SETTLE_S;
    return rest <= 0 || stay (run, rest);
}

/* Has every connection send, and serves answers in between. */
static bool send_on_all (struct run *run)
{
    for (uint32_t i = 0; i < (uint32_t) run->options->ccu; i++) {
        if (run->links[i].state == LINK_OPEN)
            run->transport.send (run->transport.state, i);
        if (i % FIRST_SENDS == FIRST_SENDS - 1 && !step (run, 0))
            return false;
    }
    return true;
}

static bool warm_up (struct run *run)
{
    uint64_t until = clock_ns () + seconds_ns (run->options->warmup);
    run->traffic.phase = PHASE_WARMUP;
    pace_start (&run->traffic.pace, clock_ns ());
    if (paces (run))
        prctl (PR_SET_TIMERSLACK, TIMER_SLACK_NS);
    if (!paces (run) && !send_on_all (run))
        return false;
    while (run->open > 0 && clock_ns () < until)
        if (!step (run, until))
            return false;
    return run->open > 0;
}

static bool measure (struct run *run)
{
    const struct tally *tally = &run->traffic.tally;
    struct measures *measures = &run->measures;
    for (long i = 0; i < run->options->ccu; i++)
        window_begin_measure (&run->links[i].window);
    run->traffic.phase = PHASE_MEASURE;

    long server = run->options->server_pid;
    struct tracer tracer;
    bool traced = server && run->options->syscalls
                  && tracer_start (&tracer, run->options->syscalls, server);
    struct process_switches switches = process_context_switches (server);
    double server_cpu = process_cpu_seconds (server);
    double client_cpu = process_cpu_seconds (0);
    uint64_t echoes = tally->echoes;
    uint64_t started = clock_ns ();
    bool alive = stay (run, run->options->measure);
    measures->measured_s =
      (double) (clock_ns () - started) / (double) NS_PER_S;
    measures->echoes = tally->echoes - echoes;
    measures->throughput = (uint64_t) ((double) measures->echoes
                                       / measures->measured_s);
    measures->client_cpu_s = process_cpu_seconds (0) - client_cpu;
    double server_cpu_now = process_cpu_seconds (server);
    if (server && server_cpu >= 0 && server_cpu_now >= 0)
        measures->server_cpu_s = server_cpu_now - server_cpu;
    struct process_switches now = process_context_switches (server);
    if (server && switches.voluntary >= 0 && now.voluntary >= 0)
        measures->server_switches = (struct process_switches) {
          now.voluntary - switches.voluntary,
          now.involuntary - switches.involuntary};
    if (traced)
        measures->server_syscalls = tracer_stop (&tracer);
    return alive;
}

static uint64_t count_waiting (const struct run *run, bool only_open)
{
    uint64_t waiting = 0;
    for (long i = 0; i < run->options->ccu; i++) {
        const struct link *link = &run->links[i];
        if (only_open && link->state != LINK_OPEN)
            continue;
        waiting += link->window.next_recv < link->window.next_send;
    }
    return waiting;
}

static void drain (struct run *run)
{
    uint64_t until = clock_ns () + seconds_ns (run->options->drain_timeout);
    run->traffic.phase = PHASE_DRAIN;
    if (options_counts (run->options) && !send_on_all (run))
        return; /* the marks */
    while (count_waiting (run, true) > 0 && clock_ns () < until)
        if (!step (run, until))
            break;
}

static void close_all (struct run *run)
{
    run->traffic.phase = PHASE_CLOSE;
    for (uint32_t i = 0; i < (uint32_t) run->options->ccu; i++)
        if (run->links[i].state == LINK_OPEN
            || run->links[i].state == LINK_CONNECTING)
            run->transport.close (run->transport.state, i);
}

/* A process closes its connections some moments before it counts as ended. */
static void look_at_server (struct run *run)
{
    long pid = run->options->server_pid;
    if (!pid)
        return;
    uint64_t until = clock_ns () + END_MS * NS_PER_MS;
    struct timespec nap = {.tv_nsec = 10 * NS_PER_MS};
    while (run->traffic.tally.lost > 0 && !process_ended (pid)
           && clock_ns () < until)
        nanosleep (&nap, NULL);
    run->traffic.tally.server_ended = process_ended (pid);
    run->measures.server_rss_peak_kb = process_status_kb (pid, "VmHWM:");
}

void run_scenario (struct run *run)
{
    run->started_ns = clock_ns ();
    run->deadline_ns = run->started_ns + seconds_ns (run->options->deadline);
    progress_begin (&run->progress, run->options->progress,
                    run->options->stack, run->options->label,
                    (uint32_t) run->options->ccu);
    long rss_before_kb = process_status_kb (0, "VmRSS:");
    if (connect_all (run) && idle (run, rss_before_kb)
        && options_has_traffic (run->options)) {
        if (warm_up (run))
            measure (run);
        drain (run);
        run->traffic.tally.drain_timeout = count_waiting (run, false);
    }
    run->measures.client_rss_kb = process_status_kb (0, "VmHWM:");
    look_at_server (run);
    close_all (run);
    progress_end (&run->progress);
}
