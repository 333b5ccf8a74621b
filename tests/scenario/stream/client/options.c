/* SPDX-License-Identifier: MPL-2.0 */
#include "options.h"

#include "message.h"

#include <stdio.h>
#include <string.h>

#define MAX_CCU MESSAGE_MAX_CONNECTIONS
#define MAX_BYTES (1 << 30)
#define MAX_SECONDS 86400

static enum settings_result check (struct options *options)
{
    if (!options->scenario || strlen (options->scenario) != 2
        || options->scenario[0] != 's' || !strchr ("012", options->scenario[1])) {
        fprintf (stderr, "--scenario: s0, s1 or s2\n");
        return SETTINGS_BAD;
    }
    if (strcmp (options->check, "all") != 0
        && strcmp (options->check, "frames") != 0) {
        fprintf (stderr, "--check: all or frames\n");
        return SETTINGS_BAD;
    }
    if (options->not_run) {
        if (strcmp (options->not_run, "SKIP") == 0
            || strcmp (options->not_run, "FAIL") == 0)
            return SETTINGS_OK;
        fprintf (stderr, "--not-run: SKIP or FAIL\n");
        return SETTINGS_BAD;
    }
    if (options->syscalls && strcmp (options->syscalls, "perf") != 0
        && strcmp (options->syscalls, "strace") != 0) {
        fprintf (stderr, "--syscalls: perf or strace\n");
        return SETTINGS_BAD;
    }
    bool ipc = strcmp (options->transport, "ipc") == 0;
    if (ipc ? !options->path : options->port == 0) {
        fprintf (stderr, "--%s is needed\n", ipc ? "path" : "port");
        return SETTINGS_BAD;
    }
    if (options->sources > 0 && (ipc || strncmp (options->host, "127.", 4) != 0)) {
        fprintf (stderr, "SOURCES needs a host of 127.0.0.0/8\n");
        return SETTINGS_BAD;
    }
    if (options->rate > 0 && options->burst > options->inflight) {
        fprintf (stderr, "BURST %ld is more than INFLIGHT %ld\n",
                 options->burst, options->inflight);
        return SETTINGS_BAD;
    }
    return SETTINGS_OK;
}

enum settings_result
options_read (struct options *o, int argc, char **argv)
{
    *o = (struct options) {
      .stack = "stream",
      .host = "127.0.0.1",
      .transport = "tcp",
      .check = "all",
      .tls_cipher = "TLS_AES_128_GCM_SHA256",
      .ccu = 10000,
      .size = 1024,
      .inflight = 30,
      .burst = 1,
      .connect_concurrency = 256,
      .sndbuf = 262144,
      .rcvbuf = 262144,
      .hwm = 1000000,
      .io_threads = 2,
      .latency_sample_rate = 16,
      .warmup = 3,
      .measure = 10,
      .drain_timeout = 10,
      .hold = 1,
      .connect_timeout = 10,
    };
    const struct setting table[] = {
      {"SCENARIO", SETTING_TEXT, true, &o->scenario, 0, 0, "s0, s1 or s2"},
      {"STACK", SETTING_TEXT, true, &o->stack, 0, 0, "name of the server"},
      {"HOST", SETTING_TEXT, true, &o->host, 0, 0, "server's IPv4 address"},
      {"PORT", SETTING_INTEGER, true, &o->port, 1, 65535, "server's port"},
      {"PATH", SETTING_TEXT, true, &o->path, 0, 0,
       "ipc: where the server listens, @name for an abstract name"},
      {"SERVER_PID", SETTING_INTEGER, true, &o->server_pid, 0, MAX_BYTES,
       "server's process, for its memory and CPU"},
      {"CSV", SETTING_TEXT, true, &o->csv, 0, 0, "file to append a row to"},
      {"NOT_RUN", SETTING_TEXT, true, &o->not_run, 0, 0,
       "SKIP or FAIL: only report that the scenario did not run"},
      {"REASON", SETTING_TEXT, true, &o->reason, 0, 0, "why it did not run"},
      {"LABEL", SETTING_TEXT, true, &o->label, 0, 0,
       "what the row is called behind the stack, if not as the scenario"},
      {"ROUND", SETTING_INTEGER, true, &o->round, 0, MAX_BYTES,
       "number of the round, for the row"},
      {"SYSCALLS", SETTING_TEXT, true, &o->syscalls, 0, 0,
       "perf or strace: count the server's system calls with it"},
      {"PROGRESS", SETTING_TEXT, true, &o->progress, 0, 0,
       "text in front of the progress line"},
      {"TRANSPORT", SETTING_TEXT, false, &o->transport, 0, 0,
       "tcp, tls, ws, wss or ipc"},
      {"CHECK", SETTING_TEXT, false, &o->check, 0, 0,
       "what is checked of an echo: all, or frames: lengths and counts"},
      {"TLS_CA", SETTING_TEXT, false, &o->tls_ca, 0, 0,
       "PEM file to verify the server's certificate with"},
      {"TLS_CIPHER", SETTING_TEXT, false, &o->tls_cipher, 0, 0,
       "the one TLS 1.3 cipher that is offered"},
      {"CCU", SETTING_INTEGER, false, &o->ccu, 1, MAX_CCU, "connections"},
      {"SOURCES", SETTING_INTEGER, false, &o->sources, 0, MAX_CCU,
       "addresses of 127.0.0.0/8 to connect from, 0: one"},
      {"SIZE", SETTING_INTEGER, false, &o->size,
       MESSAGE_HEADER_SIZE, 16 << 20,
       "bytes of a body"},
      {"INFLIGHT", SETTING_INTEGER, false, &o->inflight, 1, 1000000,
       "messages in flight on a connection"},
      {"RATE", SETTING_INTEGER, false, &o->rate, 0, 1000000000,
       "messages per second, 0: as fast as the windows allow"},
      {"BURST", SETTING_INTEGER, false, &o->burst, 1, 1000000,
       "messages that a connection sends at a time with RATE"},
      {"CONNECT_CONCURRENCY", SETTING_INTEGER, false, &o->connect_concurrency,
       1, MAX_CCU, "connections being opened at a time"},
      {"SNDBUF", SETTING_INTEGER, false, &o->sndbuf, 0, MAX_BYTES,
       "socket send buffer in bytes, 0: system's"},
      {"RCVBUF", SETTING_INTEGER, false, &o->rcvbuf, 0, MAX_BYTES,
       "socket receive buffer in bytes, 0: system's"},
      {"SILENT", SETTING_INTEGER, false, &o->silent, 0, MAX_CCU,
       "further connections that say nothing while messages flow"},
      {"SILENT_STAY", SETTING_SECONDS, false, &o->silent_stay, 0, MAX_SECONDS,
       "time until a silent one gives way to a new one, 0: never"},
      {"HWM", SETTING_INTEGER, false, &o->hwm, 0, MAX_BYTES,
       "high-water mark of a client's zlink socket"},
      {"IO_THREADS", SETTING_INTEGER, false, &o->io_threads, 0, 1024,
       "io threads of a client's zlink context"},
      {"LATENCY_SAMPLE_RATE", SETTING_INTEGER, false, &o->latency_sample_rate,
       1, MAX_BYTES, "one message in so many is timed"},
      {"WARMUP", SETTING_SECONDS, false, &o->warmup, 0, MAX_SECONDS,
       "traffic before the measured phase"},
      {"MEASURE", SETTING_SECONDS, false, &o->measure, 0.01, MAX_SECONDS,
       "the measured phase"},
      {"DRAIN_TIMEOUT", SETTING_SECONDS, false, &o->drain_timeout, 0,
       MAX_SECONDS, "wait for the last answers"},
      {"HOLD", SETTING_SECONDS, false, &o->hold, 0, MAX_SECONDS,
       "s1: time the connections stay open"},
      {"CONNECT_TIMEOUT", SETTING_SECONDS, false, &o->connect_timeout, 0.01,
       MAX_SECONDS, "time one connection may take to open"},
      {"DEADLINE", SETTING_SECONDS, false, &o->deadline, 0, MAX_SECONDS,
       "time everything may take, 0: from the other settings"},
    };
    enum settings_result result =
      settings_read (table, sizeof table / sizeof table[0], argc, argv);
    if (result != SETTINGS_OK)
        return result;
    if (check (o) != SETTINGS_OK)
        return SETTINGS_BAD;
    if (!o->label)
        o->label = o->scenario;

    if (strcmp (o->scenario, "s0") == 0) {
        o->ccu = 1;
        o->inflight = 1;
        o->burst = 1;
        o->latency_sample_rate = 1;
    }
    if (o->deadline == 0)
        o->deadline =
          60 + o->warmup + o->measure + o->drain_timeout + o->hold;
    return SETTINGS_OK;
}

bool options_has_traffic (const struct options *options)
{
    return strcmp (options->scenario, "s1") != 0;
}

bool options_counts (const struct options *options)
{
    return strcmp (options->check, "frames") == 0;
}
