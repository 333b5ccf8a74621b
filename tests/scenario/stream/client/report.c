/* SPDX-License-Identifier: MPL-2.0 */
#include "report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_COLUMNS 64
#define VALUE_SIZE 512

struct column
{
    const char *name;
    char value[VALUE_SIZE];
};

struct row
{
    size_t count;
    struct column columns[MAX_COLUMNS];
};

__attribute__ ((format (printf, 3, 4))) static void
add (struct row *row, const char *name, const char *format, ...)
{
    struct column *column = &row->columns[row->count++];
    column->name = name;
    va_list args;
    va_start (args, format);
    vsnprintf (column->value, sizeof column->value, format, args);
    va_end (args);
}

static void add_count (struct row *row, const char *name, uint64_t value)
{
    add (row, name, "%" PRIu64, value);
}

/* A figure that is not known leaves its cell empty. */
static void
add_known (struct row *row, const char *name, double value, int decimals)
{
    if (value < 0)
        add (row, name, "%s", "");
    else
        add (row, name, "%.*f", decimals, value);
}

/* -1 when it is not known. */
static double per_echo (const struct measures *measures, double value)
{
    return value < 0 || measures->echoes == 0
             ? -1
             : value / (double) measures->echoes;
}

static double latency_us (const struct run *run, double percent)
{
    return histogram_percentile (&run->traffic.tally.latency_ns, percent)
           / 1000;
}

/* The columns of metrics.csv: those every tool reads, then ours. */
static void fill_row (struct row *row,
                      const struct run *run,
                      const char *verdict,
                      const char *reason)
{
    const struct options *options = run->options;
    const struct tally *tally = &run->traffic.tally;
    const struct measures *measures = &run->measures;
    char errors[VALUE_SIZE];
    tally_errors_text (tally, errors, sizeof errors);

    row->count = 0;
    add (row, "scenario_id", "%s-%s", options->stack, options->label);
    add (row, "transport", "%s", options->transport);
    add (row, "ccu", "%ld", options->ccu);
    add (row, "inflight", "%ld", options->inflight);
    add (row, "size", "%ld", options->size);
    add_count (row, "connect_success", tally->connect_success);
    add_count (row, "connect_fail", tally->connect_fail);
    add_count (row, "connect_timeout", tally->connect_timeout);
    add_count (row, "sent", tally->sent);
    add_count (row, "recv", tally->recv);
    add (row, "incomplete_ratio", "%.6f", tally_incomplete_ratio (tally));
    add_count (row, "throughput", measures->throughput);
    add (row, "p50", "%.1f", latency_us (run, 50));
    add (row, "p95", "%.1f", latency_us (run, 95));
    add (row, "p99", "%.1f", latency_us (run, 99));
    add (row, "errors_by_errno", "%s", errors);
    add (row, "pass_fail", "%s", verdict);

    add (row, "reason", "%s", reason);
    add (row, "p999", "%.1f", latency_us (run, 99.9));
    add_known (row, "connect_ms", measures->connect_ms, 1);
    add_known (row, "measured_s", measures->measured_s, 3);
    add_known (row, "server_cpu_s", measures->server_cpu_s, 2);
    add_known (row, "server_rss_kb", (double) measures->server_rss_kb, 0);
    add_known (row, "server_rss_idle_kb",
               (double) measures->server_rss_idle_kb, 0);
    add_known (row, "client_cpu_s", measures->client_cpu_s, 2);
    add_known (row, "client_rss_kb", (double) measures->client_rss_kb, 0);
    add_known (row, "client_conn_rss_kb", measures->client_conn_rss_kb, 3);
    add_known (row, "client_fds", (double) measures->client_fds, 0);
    add_count (row, "connection_lost", tally->lost);
    add_count (row, "gating_violation", tally->gating_violation);
    add_count (row, "drain_timeout", tally->drain_timeout);
    add_count (row, "wrong_bytes", tally->wrong_bytes);
    add_count (row, "wrong_length", tally->wrong_length);
    add_count (row, "wrong_connection", tally->wrong_connection);
    add_count (row, "wrong_number", tally->wrong_number);

    add (row, "stack", "%s", options->stack);
    add (row, "label", "%s", options->label);
    add (row, "scenario", "%s", options->scenario);
    add (row, "round", "%ld", options->round);
    add (row, "p75", "%.1f", latency_us (run, 75));
    add (row, "p90", "%.1f", latency_us (run, 90));
    add (row, "p9999", "%.1f", latency_us (run, 99.99));
    add (row, "max", "%.1f", (double) tally->latency_ns.max / 1000);
    add_known (row, "server_cpu_s_per_million",
               per_echo (measures, measures->server_cpu_s) * 1e6, 3);
    add_known (row, "server_rss_peak_kb",
               (double) measures->server_rss_peak_kb, 0);
    add_known (row, "server_ctx_voluntary",
               (double) measures->server_switches.voluntary, 0);
    add_known (row, "server_ctx_involuntary",
               (double) measures->server_switches.involuntary, 0);
    add_known (row, "syscalls_per_message",
               per_echo (measures, measures->server_syscalls), 4);
    add_known (row, "silent", (double) measures->silent, 0);
    add_known (row, "silent_replaced", (double) measures->silent_replaced, 0);
    add_known (row, "silent_ended", (double) measures->silent_ended, 0);
    add (row, "syscalls_by", "%s",
         options->syscalls ? options->syscalls : "-");
    add (row, "paced_rate", "%ld", options->rate);
    add (row, "burst", "%ld", options->burst);
    add (row, "check", "%s", options->check);
    add_known (row, "client_cpu_s_per_million",
               per_echo (measures, measures->client_cpu_s) * 1e6, 3);
}

static void print_result (const struct row *row)
{
    /* Names in the RESULT line, and the column each is taken from. */
    static const char *const fields[][2] = {
      {"scenario", "scenario_id"},
      {"transport", "transport"},
      {"ccu", "ccu"},
      {"size", "size"},
      {"inflight", "inflight"},
      {"connect_success", "connect_success"},
      {"connect_fail", "connect_fail"},
      {"connect_timeout", "connect_timeout"},
      {"sent", "sent"},
      {"recv", "recv"},
      {"incomplete_ratio", "incomplete_ratio"},
      {"throughput", "throughput"},
      {"p50_us", "p50"},
      {"p95_us", "p95"},
      {"p99_us", "p99"},
      {"drain_timeout", "drain_timeout"},
      {"gating_violation", "gating_violation"},
      {"pass_fail", "pass_fail"},
      {"reason", "reason"},
    };
    printf ("RESULT");
    for (size_t f = 0; f < sizeof fields / sizeof fields[0]; f++)
        for (size_t c = 0; c < row->count; c++)
            if (strcmp (row->columns[c].name, fields[f][1]) == 0)
                printf (" %s=%s", fields[f][0], row->columns[c].value);
    printf ("\n");
}

static void print_metric (const struct row *row)
{
    printf ("METRIC");
    for (size_t c = 0; c < row->count; c++)
        printf (" %s=%s", row->columns[c].name, row->columns[c].value);
    printf ("\n");
    fflush (stdout);
}

static bool append_csv (const char *path, const struct row *row)
{
    FILE *file = fopen (path, "a");
    if (!file) {
        perror (path);
        return false;
    }
    fseek (file, 0, SEEK_END);
    if (ftell (file) == 0)
        for (size_t c = 0; c < row->count; c++)
            fprintf (file, "%s%s", row->columns[c].name,
                     c + 1 < row->count ? "," : "\n");
    for (size_t c = 0; c < row->count; c++)
        fprintf (file, "%s%s", row->columns[c].value,
                 c + 1 < row->count ? "," : "\n");
    if (fclose (file) != 0) {
        perror (path);
        return false;
    }
    return true;
}

static bool
report (const struct run *run, const char *verdict, const char *reason)
{
    struct row row;
    fill_row (&row, run, verdict, reason);
    print_result (&row);
    print_metric (&row);
    return !run->options->csv || append_csv (run->options->csv, &row);
}

bool report_run (const struct run *run)
{
    char reasons[VALUE_SIZE];
    bool passed = tally_verdict (&run->traffic.tally,
                                 (uint64_t) run->options->ccu,
                                 options_has_traffic (run->options), reasons,
                                 sizeof reasons);
    return report (run, passed ? "PASS" : "FAIL", reasons) && passed;
}

bool report_not_run (const struct run *run)
{
    char reason[VALUE_SIZE];
    snprintf (reason, sizeof reason, "%s",
              run->options->reason ? run->options->reason : "-");
    /* Blanks and commas separate the values of a line and of a row. */
    for (char *c = reason; (c = strpbrk (c, " ,\n")) != NULL;)
        *c = '_';
    return report (run, run->options->not_run, reason);
}
