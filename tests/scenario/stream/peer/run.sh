#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Becomes the server that PEER_CMD names, for the stack PEER_NAME. That server knows
# nothing of the scenarios, so this chooses its port, and says LISTENING once it
# accepts.
set -u

# listens PORT: some socket listens on it. State 0A is LISTEN.
listens() {
    awk -v port="$(printf ':%04X' "$1")" '
        index($2, port) == length($2) - 4 && $4 == "0A" { found = 1 }
        END { exit !found }' /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# Below the ports that the system gives to connecting sockets, so that none of
# the client's thousands can be in the way.
free_port() {
    local port
    for _ in $(seq 100); do
        port=$((10000 + RANDOM % 20000))
        listens "$port" || { echo "$port" && return; }
    done
    echo "$PEER_NAME: no free port found" >&2
    return 1
}

# announce PORT PID: says that the server listens, unless it ends before.
announce() {
    until listens "$1"; do
        kill -0 "$2" 2>/dev/null || return
        sleep 0.05
    done
    echo "LISTENING $1"
}

port=$(free_port) || exit 1
command=${PEER_CMD//'{port}'/$port}
command=${command//'{threads}'/${IO_THREADS:-2}}
[[ $PEER_CMD == *'{port}'* ]] || {
    echo "$PEER_NAME: the command has no {port}: $PEER_CMD" >&2
    exit 1
}
echo "$PEER_NAME: $command" >&2
# Not a child of the server, which would not expect one.
(announce "$port" $$ &)
# The same process, as its CPU time and memory are measured. Its own words are
# not for our reader. env: the command may begin with assignments.
eval "exec env $command" >&2
