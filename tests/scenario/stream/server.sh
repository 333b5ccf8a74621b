# shellcheck shell=bash disable=SC2154,SC2034
# SPDX-License-Identifier: MPL-2.0
# Starts and ends the server under test; sourced by run_stream_compare.sh, whose
# variables server_pid, port and problem these functions set.

# running PID: not ended, and not a zombie that only waits to be reaped.
running() { [ -n "$(sed -n 's/^State:[[:space:]]*[^ZX[:space:]].*/y/p' "/proc/$1/status" 2>/dev/null)" ]; }

# start_server COMMAND...: sets server_pid and port. Fails, with the reason in
# problem, when the server does not listen in time.
start_server() {
    problem="" port=""
    : >"$server_out"
    # A process group of its own: a server may have children, and Ctrl-C is
    # for this script, which then stops the server.
    setsid "$@" >"$server_out" 2>>"$log" &
    server_pid=$!
    local end=$((SECONDS + LISTEN_TIMEOUT))
    while [ "$SECONDS" -le "$end" ]; do
        # A port, or over ipc a name.
        port=$(awk '/^LISTENING ([0-9]+|[@\/][^ ]+)$/ { print $2; exit }' "$server_out")
        [ -n "$port" ] && return 0
        running "$server_pid" || break
        sleep 0.05
    done
    if running "$server_pid"; then
        problem="server did not listen"
    else
        { wait "$server_pid"; } 2>/dev/null
        problem="server ended before it listened;code $?"
    fi
    stop_server
    return 1
}

# Ends the server; when that takes force or it had ended badly, problem says so.
stop_server() {
    [ -n "$server_pid" ] || return 0
    kill -TERM "$server_pid" 2>/dev/null
    local end=$((SECONDS + STOP_TIMEOUT)) status
    while running "$server_pid" && [ "$SECONDS" -le "$end" ]; do
        sleep 0.05
    done
    if running "$server_pid"; then
        problem=${problem:-server did not end on SIGTERM}
    fi
    # Also what it has started itself and left behind.
    kill -KILL -- "-$server_pid" 2>/dev/null
    { wait "$server_pid"; } 2>/dev/null
    status=$?
    server_pid=
    [ $status -eq 0 ] || [ $status -eq "$term_code" ] || problem=${problem:-server ended with code $status}
}
