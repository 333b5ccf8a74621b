#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Runs every stack through every scenario, in turn, for several rounds. The
# settings are environment variables; README.md explains them.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)

scenario_names=(s0 s1 s2)

export CCU=${CCU:-10000} SIZE=${SIZE:-1024} INFLIGHT=${INFLIGHT:-30}
export WARMUP=${WARMUP:-3} MEASURE=${MEASURE:-10} DRAIN_TIMEOUT=${DRAIN_TIMEOUT:-10}
export HOLD=${HOLD:-1} CONNECT_CONCURRENCY=${CONNECT_CONCURRENCY:-256}
export BACKLOG=${BACKLOG:-32768} HWM=${HWM:-1000000}
export SNDBUF=${SNDBUF:-262144} RCVBUF=${RCVBUF:-262144}
export IO_THREADS=${IO_THREADS:-2} LATENCY_SAMPLE_RATE=${LATENCY_SAMPLE_RATE:-16}
export TRANSPORT=${TRANSPORT:-tcp} ROUNDS=${ROUNDS:-3}
export BIN_DIR=${BIN_DIR:-$root/build/bin}
export OUT_DIR=${OUT_DIR:-$root/build/results/$(date +%Y-%m-%d-%H%M%S)}

listen_limit_s=10 # from the start of a server to its LISTENING line
stop_limit_s=10   # from SIGTERM to its end

# shellcheck source=stacks.sh
. "$here/stacks.sh"

usage() {
    cat <<END
usage: run_stream_compare.sh [--stacks NAME,...] [--scenario NAME,...] [--rounds N] [--out DIR]

  stacks     ${stack_names[*]}
  scenarios  ${scenario_names[*]}

The settings are environment variables:
  CCU=$CCU SIZE=$SIZE INFLIGHT=$INFLIGHT WARMUP=$WARMUP MEASURE=$MEASURE DRAIN_TIMEOUT=$DRAIN_TIMEOUT HOLD=$HOLD
  CONNECT_CONCURRENCY=$CONNECT_CONCURRENCY BACKLOG=$BACKLOG HWM=$HWM SNDBUF=$SNDBUF RCVBUF=$RCVBUF
  IO_THREADS=$IO_THREADS LATENCY_SAMPLE_RATE=$LATENCY_SAMPLE_RATE TRANSPORT=$TRANSPORT ROUNDS=$ROUNDS
  OUT_DIR=$OUT_DIR
  BIN_DIR=$BIN_DIR

Exit code: 0 every row passed or was skipped, 1 a row failed, 2 wrong use.
END
}

die() {
    printf 'run_stream_compare.sh: %s\n' "$*" >&2
    exit 2
}

# choose WHAT LIST KNOWN...: sets chosen to the names of the comma-separated
# list, all of which must be known.
choose() {
    local what=$1 list=$2 name
    shift 2
    IFS=, read -ra chosen <<<"$list"
    [ ${#chosen[@]} -gt 0 ] || die "no $what given; there are: $*"
    for name in "${chosen[@]}"; do
        [[ " $* " == *" $name "* ]] || die "unknown $what '$name'; there are: $*"
    done
}

stacks=("${stack_names[@]}")
scenarios=("${scenario_names[@]}")
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help)
            usage
            exit 0
            ;;
        --stacks | --stack | --scenario | --scenarios | --rounds | --out)
            [ $# -ge 2 ] || die "$1 needs a value"
            ;;&
        --stacks | --stack)
            choose stack "$2" "${stack_names[@]}"
            stacks=("${chosen[@]}")
            ;;
        --scenario | --scenarios)
            choose scenario "$2" "${scenario_names[@]}"
            scenarios=("${chosen[@]}")
            ;;
        --rounds) ROUNDS=$2 ;;
        --out) OUT_DIR=$2 ;;
        *) die "unknown argument '$1'; see --help" ;;
    esac
    shift 2
done

[[ $ROUNDS =~ ^[1-9][0-9]*$ ]] || die "ROUNDS must be a positive number, not '$ROUNDS'"
[ -x "$BIN_DIR/stream_client" ] || die "no stream_client in $BIN_DIR; build first, or set BIN_DIR"
for name in RUN_S3 RUN_S4; do
    [ "${!name:-0}" = 0 ] || die "$name: this runner has only ${scenario_names[*]}"
done
# The client ends by itself before that, with a row that says why.
client_limit_s=$(awk -v OFMT=%d 'BEGIN {
    e = ENVIRON["WARMUP"] + ENVIRON["MEASURE"] + ENVIRON["DRAIN_TIMEOUT"] + ENVIRON["HOLD"]
    print int(e) + 90 }')

ulimit -n "$(ulimit -H -n)" 2>/dev/null || true
mkdir -p "$OUT_DIR" || die "cannot make $OUT_DIR"
OUT_DIR=$(cd "$OUT_DIR" && pwd)
csv=$OUT_DIR/metrics.csv
log=$OUT_DIR/scenario.log
rm -f "$csv"
: >"$log"
server_out=$OUT_DIR/.server_out
server_pid=
failed=0

note() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*" >>"$log"; }

# ------------------------------------------------------------------ server

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
    local end=$((SECONDS + listen_limit_s))
    while [ "$SECONDS" -lt "$end" ]; do
        port=$(awk '/^LISTENING [0-9]+$/ { print $2; exit }' "$server_out")
        [ -n "$port" ] && return 0
        running "$server_pid" || break
        sleep 0.05
    done
    problem="server did not listen"
    running "$server_pid" || problem="server ended before it listened"
    stop_server
    return 1
}

# Ends the server; when that takes force or it had ended badly, problem says so.
stop_server() {
    [ -n "$server_pid" ] || return 0
    kill -TERM "$server_pid" 2>/dev/null
    local end=$((SECONDS + stop_limit_s)) status
    while running "$server_pid" && [ "$SECONDS" -lt "$end" ]; do
        sleep 0.05
    done
    if running "$server_pid"; then
        kill -KILL -- "-$server_pid" 2>/dev/null
        problem=${problem:-server did not end on SIGTERM}
    fi
    { wait "$server_pid"; } 2>/dev/null
    status=$?
    server_pid=
    [ $status -eq 0 ] || [ $status -eq "$term_code" ] || problem=${problem:-server ended with code $status}
}

trap 'stop_server; rm -f "$server_out"' EXIT
trap 'exit 130' INT TERM

# --------------------------------------------------------------------- run

rows() { [ -f "$csv" ] && wc -l <"$csv" || echo 0; }

# not_run VERDICT REASON STACK SCENARIO: the row of a run that has none.
not_run() {
    "$BIN_DIR/stream_client" --not-run "$1" --reason "$2" --stack "$3" \
        --scenario "$4" --csv "$csv" | tee -a "$log"
}

# run_client CLIENT STACK SCENARIO: its progress goes to the terminal.
run_client() {
    local stderr=$log before
    [ -t 2 ] && stderr=/dev/stderr
    before=$(rows)
    timeout --foreground -k 5 "$client_limit_s" "$BIN_DIR/$1" --stack "$2" --scenario "$3" \
        --port "$port" --server-pid "$server_pid" --csv "$csv" 2>>"$stderr" | tee -a "$log"
    local code=${PIPESTATUS[0]}
    [ "$code" -eq 0 ] || failed=1
    # No row was added: it crashed, hung, or could not start.
    [ "$(rows)" -gt "$before" ] || not_run FAIL "client ended with code $code" "$2" "$3"
}

run_one() {
    local stack=$1 scenario=$2
    server=() client=stream_client skip='' term_code=0 problem=''
    "stack_${stack//-/_}"
    [ "$TRANSPORT" = tcp ] || skip="transport $TRANSPORT is not measured here"
    if [ -n "$skip" ]; then
        not_run SKIP "$skip" "$stack" "$scenario"
        return
    fi
    if start_server "${server[@]}"; then
        note "server ${server[*]}: process $server_pid, port $port"
        run_client "$client" "$stack" "$scenario"
        stop_server
    else
        not_run FAIL "$problem" "$stack" "$scenario"
    fi
    [ -z "$problem" ] && return
    failed=1
    note "$stack-$scenario: $problem"
    printf '%s-%s: %s\n' "$stack" "$scenario" "$problem" >&2
}

note "stacks ${stacks[*]}, scenarios ${scenarios[*]}, ROUNDS=$ROUNDS"
for round in $(seq "$ROUNDS"); do
    for scenario in "${scenarios[@]}"; do
        for stack in "${stacks[@]}"; do
            note "round $round, $stack-$scenario"
            run_one "$stack" "$scenario"
        done
    done
done

LIMIT_STACK=epoll awk -f "$here/summary.awk" -v format=json "$csv" >"$OUT_DIR/summary.json"
exit $failed
