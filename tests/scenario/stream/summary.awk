# SPDX-License-Identifier: MPL-2.0
# Summarises metrics.csv over its rounds: as JSON (format=json) or as a table
# (format=table). LIMIT_STACK in the environment is the stack that others are
# compared with; rows of one round belong together, the first of each
# scenario_id to the first of the others, and so on.
#
# rate is what a scenario measures, the larger the better: s0 round trips per
# second, s1 connections opened per second, s2 messages per second. ratio is a
# stack's rate divided by the limit's in the same round.

BEGIN {
    FS = ","
    limit = ENVIRON["LIMIT_STACK"]
    names = split("rate ratio p50 p95 p99 p999 connect_ms server_cpu_s server_rss_kb " \
                  "server_rss_idle_kb client_cpu_s client_rss_kb client_conn_rss_kb client_fds", \
                  figures, " ")
}

NR == 1 {
    for (i = 1; i <= NF; i++)
        column[$i] = i
    next
}

function value(name) { return $(column[name]) }

{
    id = value("scenario_id")
    if (!(id in rounds)) {
        order[++ids] = id
        scenario_of[id] = substr(id, length(id) - 1)
        stack_of[id] = substr(id, 1, length(id) - 3)
    }
    round = ++rounds[id]
    verdict = value("pass_fail")
    count[id, verdict]++
    if (verdict != "PASS") {
        reason = value("reason")
        if (!((id, reason) in seen)) {
            seen[id, reason] = 1
            reasons[id] = reasons[id] (reasons[id] == "" ? "" : " ") reason
        }
        next
    }
    timed = scenario_of[id] != "s1"
    for (i = 1; i <= names; i++) {
        name = figures[i]
        if (name in column && value(name) != "" && (timed || name !~ /^p[0-9]/))
            keep(id, round, name, value(name))
    }
    keep(id, round, "rate", timed ? value("throughput") \
                                  : value("ccu") * 1000 / value("connect_ms"))
}

function keep(id, round, name, number) { data[id, name, round] = number + 0 }

function add_ratios(    i, id, base, round) {
    for (i = 1; i <= ids; i++) {
        id = order[i]
        base = limit "-" scenario_of[id]
        for (round = 1; round <= rounds[id]; round++)
            if ((id, "rate", round) in data && data[base, "rate", round] > 0)
                keep(id, round, "ratio", data[id, "rate", round] / data[base, "rate", round])
    }
}

# Sets median, lowest and highest; returns the number of rounds that have the
# figure.
function spread(id, name,    round, n, j, x, sorted) {
    n = 0
    for (round = 1; round <= rounds[id]; round++) {
        if (!((id, name, round) in data))
            continue
        x = data[id, name, round]
        for (j = n++; j > 0 && sorted[j] > x; j--)
            sorted[j + 1] = sorted[j]
        sorted[j + 1] = x
    }
    if (n == 0)
        return 0
    lowest = sorted[1]
    highest = sorted[n]
    median = n % 2 ? sorted[(n + 1) / 2] : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
    return n
}

function verdict_of(id) {
    if (count[id, "FAIL"])
        return "FAIL"
    return count[id, "PASS"] ? "PASS" : "SKIP"
}

# -------------------------------------------------------------------- json

function quote(text) {
    gsub(/\\/, "\\\\", text)
    gsub(/"/, "\\\"", text)
    gsub(/[\001-\037]/, " ", text)
    return "\"" text "\""
}

function scalar(text) {
    return text ~ /^-?(0|[1-9][0-9]*)(\.[0-9]+)?$/ ? text : quote(text)
}

function number(x) { return x == int(x) && x < 1e15 ? sprintf("%.0f", x) : sprintf("%.4f", x) }

function file_field(path, key,    line, found) {
    while (!found && (getline line < path) > 0)
        if (index(line, key) == 1) {
            sub(/^[^:]*:[ \t]*/, "", line)
            found = 1
        }
    close(path)
    return found ? line : ""
}

function output_of(command,    line) {
    command | getline line
    close(command)
    return line
}

function print_settings(    names, n, i, list) {
    n = split("CCU SIZE INFLIGHT WARMUP MEASURE DRAIN_TIMEOUT HOLD CONNECT_CONCURRENCY BACKLOG HWM " \
              "SNDBUF RCVBUF IO_THREADS LATENCY_SAMPLE_RATE TRANSPORT ROUNDS", names, " ")
    for (i = 1; i <= n; i++)
        list = list sprintf("%s\n    %s: %s", i > 1 ? "," : "", quote(names[i]), \
                            scalar(ENVIRON[names[i]]))
    printf "  \"settings\": {%s\n  },\n", list
}

function print_machine() {
    printf "  \"machine\": {\n    \"cpus\": %s,\n    \"cpu_model\": %s,\n", \
        output_of("nproc"), quote(file_field("/proc/cpuinfo", "model name"))
    printf "    \"memory_kb\": %d,\n    \"kernel\": %s\n  },\n", \
        file_field("/proc/meminfo", "MemTotal") + 0, quote(output_of("uname -sr"))
}

function print_result(id, last,    i, list) {
    printf "    {\n      \"stack\": %s,\n      \"scenario\": %s,\n", \
        quote(stack_of[id]), quote(scenario_of[id])
    printf "      \"verdict\": %s,\n      \"rounds\": %d,\n      \"rounds_passed\": %d,\n", \
        quote(verdict_of(id)), rounds[id], count[id, "PASS"]
    printf "      \"reason\": %s", reasons[id] == "" ? "null" : quote(reasons[id])
    for (i = 1; i <= names; i++) {
        if (!spread(id, figures[i]))
            continue
        printf ",\n      %s: {\"median\": %s, \"min\": %s, \"max\": %s}", \
            quote(json_name(figures[i])), number(median), number(lowest), number(highest)
    }
    printf "\n    }%s\n", last ? "" : ","
}

function json_name(name) {
    if (name == "ratio")
        return "ratio_to_" limit
    return name ~ /^p[0-9]/ ? name "_us" : name
}

function print_json(    i) {
    print "{"
    print_settings()
    print_machine()
    print "  \"results\": ["
    for (i = 1; i <= ids; i++)
        print_result(order[i], i == ids)
    print "  ]"
    print "}"
}

# ------------------------------------------------------------------- table

function cell(id, name, format, divisor) {
    return spread(id, name) ? sprintf(format, median / divisor) : "-"
}

function grouped(digits,    out) {
    while (length(digits) > 3) {
        out = "," substr(digits, length(digits) - 2) out
        digits = substr(digits, 1, length(digits) - 3)
    }
    return digits out
}

function latency(id, name,    us) {
    if (!spread(id, name))
        return "-"
    us = median
    return us < 10000 ? sprintf("%.0f us", us) : sprintf("%.0f ms", us / 1000)
}

function print_table(    i, scenario, id, line) {
    line = "%-9s %-12s %12s %-14s %6s %13s %9s %9s %9s %9s  %s\n"
    printf line, "scenario", "stack", "rate", "", "ratio", "lowest-high", "p50", "p99", \
        "idle MB", "busy MB", "verdict"
    unit["s0"] = "round trips/s"
    unit["s1"] = "connections/s"
    unit["s2"] = "messages/s"
    for (i = 1; i <= ids; i++) {
        id = order[i]
        scenario = scenario_of[id]
        printf line, scenario, stack_of[id], \
            spread(id, "rate") ? grouped(sprintf("%.0f", median)) : "-", unit[scenario], \
            cell(id, "ratio", "%.2f", 1), \
            spread(id, "ratio") ? sprintf("%.2f-%.2f", lowest, highest) : "-", \
            latency(id, "p50"), latency(id, "p99"), \
            cell(id, "server_rss_idle_kb", "%.1f", 1024), cell(id, "server_rss_kb", "%.1f", 1024), \
            verdict_of(id) (reasons[id] == "" ? "" : ": " reasons[id])
    }
}

END {
    add_ratios()
    if (format == "table")
        print_table()
    else
        print_json()
}
