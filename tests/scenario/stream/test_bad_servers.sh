#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# test_bad_servers.sh BIN_DIR: a server with a fault gets a row that names it, its
# process is ended, and the stacks after it run as if nothing had been.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${1:?usage: test_bad_servers.sh BIN_DIR}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0
checks=0

export BIN_DIR=$bin OUT_DIR=$dir/results ROUNDS=1
export CCU=20 SIZE=128 INFLIGHT=8 WARMUP=0 MEASURE=0.3 DRAIN_TIMEOUT=0.4 HOLD=0.2
export CONNECT_TIMEOUT=0.5

# field SCENARIO_ID COLUMN
field() {
    awk -F, -v id="$1" -v name="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) column = i }
        $1 == id { print $column }' "$OUT_DIR/metrics.csv"
}

# verdict NAME CONDITION...
verdict() {
    local name=$1
    shift
    checks=$((checks + 1))
    if "$@"; then
        printf 'ok   %-12s %s\n' "$name" "$(field cppserver-s2 pass_fail) $(field cppserver-s2 reason)"
    else
        failed=$((failed + 1))
        printf 'FAIL %-12s exit code %s\n' "$name" "$code"
        cat "$dir/out"
    fi
}

# run COMMAND: s2 of a server with this CPPSERVER_CMD, and then of the limit.
run() {
    CPPSERVER_CMD=$1 "$here/run_stream_compare.sh" --stacks cppserver,epoll --scenario s2 \
        >"$dir/out" 2>&1 </dev/null
    code=$?
}

# named REASON: the row of the bad server has it, and nothing else was harmed.
named() {
    [ $code -eq 1 ] &&
        [ "$(field cppserver-s2 pass_fail)" = FAIL ] &&
        [[ ";$(field cppserver-s2 reason);" == *";$1;"* ]] &&
        [ "$(field epoll-s2 pass_fail)" = PASS ] &&
        ended
}

server_pids() { sed -n 's/.*: process \([0-9]*\), port.*/\1/p' "$OUT_DIR/scenario.log"; }

# Every server that the log names is gone.
ended() {
    local pid
    for pid in $(server_pids); do
        ! kill -0 "$pid" 2>/dev/null || return 1
    done
    [ ! -e "$dir/pid" ] || ! kill -0 "$(cat "$dir/pid")" 2>/dev/null
}

# bad NAME COMMAND REASON
bad() {
    run "$2"
    verdict "$1" named "$3"
}

bad dies "'$bin/bad_server' --fault dies --port {port}" connection_lost
bad wrong "'$bin/bad_server' --fault wrong-bytes --port {port}" wrong_bytes
bad slow "'$bin/bad_server' --fault stalls --port {port}" drain_timeout
bad ends-at-once "false {port}" server_ended_before_it_listened
bad no-such "'$dir/nothing' {port}" server_ended_before_it_listened
bad no-port "true" server_ended_before_it_listened
bad deaf "sh -c 'echo \$\$ >$dir/pid; exec sleep 1000' {port}" server_did_not_listen

# It also says LISTENING for a server that prints it, once.
run "'$bin/epoll_echo' --port {port} --io-threads {threads}"
verdict good [ "$code,$(field cppserver-s2 pass_fail)" = 0,PASS ]
run ""
verdict none [ "$code,$(field cppserver-s2 pass_fail)" = 0,SKIP ]
: >"$OUT_DIR/metrics.csv"
"$here/run_stream_compare.sh" --stacks nonsense >"$dir/out" 2>&1
code=$?
verdict unknown-name grep -q "unknown stack 'nonsense'; there are: zlink " "$dir/out"
verdict unknown-code [ $code -eq 2 ]

echo "$checks checks, $failed failed"
[ $failed -eq 0 ]
