#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# test_stacks.sh BIN_DIR: every stack in every scenario with a small load, s2 with either check, s4 for
# those that have more than one transport. A stack that cannot run here says why;
# cppserver runs the asio server.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${1:?usage: test_stacks.sh BIN_DIR}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

export BIN_DIR=$bin ROUNDS=1
# Other tests run at the same time: these only end what hangs.
export LISTEN_TIMEOUT=60 STOP_TIMEOUT=60 CONNECT_TIMEOUT=60 DRAIN_TIMEOUT=60
export CCU=50 SIZE=256 INFLIGHT=8 WARMUP=0.1 MEASURE=0.5 HOLD=0.2 CONNECT_CONCURRENCY=16
if [ -z "${CPPSERVER_CMD:-}" ] && [ -x "$bin/asio_echo" ]; then
    export CPPSERVER_CMD="'$bin/asio_echo' --port {port} --io-threads {threads}"
fi

names=$(bash -c '. "$1/stacks.sh"; IFS=,; echo "${stack_names[*]}"' - "$here")
code=0
# run ROWS ARG...: there have to be so many rows, and none of them a FAIL. Where nothing came back in the time, a busy
# machine may have had no processor for it: then all have more time, once.
run() {
    run_for "$MEASURE" "$@"
    if grep -q no_answer "$dir/rows"; then
        echo "again, with more time:"
        run_for 10 "$@"
    fi
    [ $code -eq 0 ] || show
}

run_for() {
    local rows=$2
    local -x MEASURE=$1
    shift 2
    code=0
    rm -rf "$dir/results"
    "$here/run_stream_compare.sh" --out "$dir/results" --required "$names" "$@" >"$dir/out" 2>&1 </dev/null || code=1
    # A row: scenario_id,…,pass_fail,reason,… as the header names them.
    awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
        { printf "%-4s %-24s %s\n", $column["pass_fail"], $1, $column["reason"] }' \
        "$dir/results/metrics.csv" | tee "$dir/rows"
    [ "$(wc -l <"$dir/rows")" -eq "$rows" ] || {
        echo "$rows rows were expected"
        code=1
    }
}

show() {
    grep -v '^METRIC' "$dir/out"
    cat "$dir/results/scenario.log"
    exit $code
}

# Has every stack a row for s0, s1 and s2?
IFS=, read -ra stacks <<<"$names"
run $((${#stacks[@]} * 3)) --stacks "$names"
CHECK=frames run ${#stacks[@]} --scenario s2 --stacks "$names"
# For each of s0, s1 and s2 over each transport, and for tls with silent clients.
export S4_TRANSPORTS="tls ws wss ipc" S4_SILENT=100 MEASURE=0.2
run $((4 * 13)) --scenario s4 --stacks zlink,zlink-go,asio,epoll
