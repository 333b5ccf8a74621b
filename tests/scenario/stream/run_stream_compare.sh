#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Runs every stack through every scenario, in turn, for several rounds. The
# settings are environment variables; README.md explains them.
# shellcheck source-path=SCRIPTDIR
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)

export CCU=${CCU:-10000} SIZE=${SIZE:-1024} INFLIGHT=${INFLIGHT:-30}
export WARMUP=${WARMUP:-3} MEASURE=${MEASURE:-10} DRAIN_TIMEOUT=${DRAIN_TIMEOUT:-10}
export HOLD=${HOLD:-1} CONNECT_CONCURRENCY=${CONNECT_CONCURRENCY:-256}
export CONNECT_TIMEOUT=${CONNECT_TIMEOUT:-10}
export BACKLOG=${BACKLOG:-32768} HWM=${HWM:-1000000}
export SNDBUF=${SNDBUF:-262144} RCVBUF=${RCVBUF:-262144}
export IO_THREADS=${IO_THREADS:-2} LATENCY_SAMPLE_RATE=${LATENCY_SAMPLE_RATE:-16}
export TRANSPORT=${TRANSPORT:-tcp} ROUNDS=${ROUNDS:-3}
export RUN_S3=${RUN_S3:-0} RUN_S4=${RUN_S4:-0}
export BIN_DIR=${BIN_DIR:-$root/build/bin}
[ ! -d "$BIN_DIR" ] || BIN_DIR=$(cd "$BIN_DIR" && pwd)
export OUT_DIR=${OUT_DIR:-$root/build/results/$(date +%Y-%m-%d-%H%M%S)}

# What s3 varies, and the values; an empty list leaves a parameter out. What
# S3_..._WITH names holds for that sweep only.
sweep_names=(backlog hwm buffers io-threads connect-concurrency size inflight ccu)
S3_BACKLOG=${S3_BACKLOG-"128 1024 32768"}
S3_HWM=${S3_HWM-"1000 100000 1000000"}
S3_BUFFERS=${S3_BUFFERS-"16384 65536 262144 1048576"}
S3_IO_THREADS=${S3_IO_THREADS-"1 2 4 32"}
S3_CONNECT_CONCURRENCY=${S3_CONNECT_CONCURRENCY-"16 256 4096"}
S3_SIZE=${S3_SIZE-"16 1024 65536 262144"}
# Windows of 10,000 connections would hold 80 GB of the largest messages.
S3_SIZE_WITH=${S3_SIZE_WITH-"CCU=100"}
S3_INFLIGHT=${S3_INFLIGHT-"1 4 16 64 256"}
S3_CCU=${S3_CCU-"1 10 100 1000 10000"}
S4_TRANSPORTS=${S4_TRANSPORTS-"tcp tls ws wss"}
# s4-tls-silent is s4-tls-s0 beside so many clients that connect and say nothing.
S4_SILENT=${S4_SILENT-1000}

listen_limit_s=${LISTEN_TIMEOUT:-10} # from the start of a server to its LISTENING line
stop_limit_s=${STOP_TIMEOUT:-10}     # from SIGTERM to its end

# shellcheck source=stacks.sh
. "$here/stacks.sh"
# Stacks of the user's own, written like those of stacks.sh.
if [ -n "${EXTRA_STACKS:-}" ]; then
    [ -r "$EXTRA_STACKS" ] || { echo "EXTRA_STACKS: cannot read $EXTRA_STACKS" >&2; exit 2; }
    # shellcheck disable=SC1090
    . "$EXTRA_STACKS"
fi

scenario_names=(s0 s1 s2 s3 s4)

usage() {
    cat <<END
usage: run_stream_compare.sh [--stacks NAME,...] [--scenario NAME,...] [--sweep NAME,...]
                             [--syscalls] [--rounds N] [--out DIR]

  stacks     ${stack_names[*]}
  scenarios  ${scenario_names[*]}; without --scenario: s0 s1 s2, s3 with RUN_S3=1, s4 with RUN_S4=1
  sweeps     what s3 varies: ${sweep_names[*]}
  --syscalls another s2 at the end, in which perf or strace counts the server's system calls

The settings are environment variables:
  CCU=$CCU SIZE=$SIZE INFLIGHT=$INFLIGHT WARMUP=$WARMUP MEASURE=$MEASURE DRAIN_TIMEOUT=$DRAIN_TIMEOUT HOLD=$HOLD
  CONNECT_CONCURRENCY=$CONNECT_CONCURRENCY CONNECT_TIMEOUT=$CONNECT_TIMEOUT BACKLOG=$BACKLOG HWM=$HWM SNDBUF=$SNDBUF
  RCVBUF=$RCVBUF IO_THREADS=$IO_THREADS LATENCY_SAMPLE_RATE=$LATENCY_SAMPLE_RATE TRANSPORT=$TRANSPORT ROUNDS=$ROUNDS
  RUN_S3=$RUN_S3 RUN_S4=$RUN_S4 LISTEN_TIMEOUT=$listen_limit_s STOP_TIMEOUT=$stop_limit_s EXTRA_STACKS=${EXTRA_STACKS:-}
  OUT_DIR=$OUT_DIR
  BIN_DIR=$BIN_DIR
  S3_SIZE="$S3_SIZE" S3_SIZE_WITH="$S3_SIZE_WITH" and alike for every sweep
  S4_TRANSPORTS="$S4_TRANSPORTS" S4_SILENT=$S4_SILENT

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
sweeps=("${sweep_names[@]}")
scenarios=(s0 s1 s2)
[ "$RUN_S3" = 0 ] || scenarios+=(s3)
[ "$RUN_S4" = 0 ] || scenarios+=(s4)
syscalls=
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help)
            usage
            exit 0
            ;;
        --syscalls)
            syscalls=wanted
            shift
            continue
            ;;
        --stacks | --stack | --scenario | --scenarios | --sweep | --sweeps | --rounds | --out)
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
        --sweep | --sweeps)
            choose sweep "$2" "${sweep_names[@]}"
            sweeps=("${chosen[@]}")
            [[ " ${scenarios[*]} " == *" s3 "* ]] || scenarios+=(s3)
            ;;
        --rounds) ROUNDS=$2 ;;
        --out) OUT_DIR=$2 ;;
        *) die "unknown argument '$1'; see --help" ;;
    esac
    shift 2
done

[[ $ROUNDS =~ ^[1-9][0-9]*$ ]] || die "ROUNDS must be a positive number, not '$ROUNDS'"
[ -x "$BIN_DIR/stream_client" ] || die "no stream_client in $BIN_DIR; build first, or set BIN_DIR"

# ------------------------------------------------------------------- cases

# A case is "LABEL SCENARIO NAME=VALUE...": what the row is called, what runs,
# and the settings that hold for it only.
cases=()

# The settings that a sweep's parameter is.
settings_of() {
    case $1 in
        buffers) echo "SNDBUF=$2 RCVBUF=$2" ;;
        *) echo "$(variable_of "$1")=$2" ;;
    esac
}

variable_of() { tr a-z- A-Z_ <<<"$1"; }

add_sweep() {
    local name=$1 list with value
    list=S3_$(variable_of "$name")
    with=${list}_WITH
    for value in ${!list}; do
        cases+=("s3-$name-$value s2 ${!with-} $(settings_of "$name" "$value")")
    done
}

add_transports() {
    local transport scenario
    for transport in $S4_TRANSPORTS; do
        for scenario in s0 s1 s2; do
            cases+=("s4-$transport-$scenario $scenario TRANSPORT=$transport")
            [ "$transport-$scenario" != tls-s0 ] || [ "${S4_SILENT:-0}" = 0 ] ||
                cases+=("s4-tls-silent s0 TRANSPORT=tls SILENT=$S4_SILENT")
        done
    done
}

for scenario in "${scenarios[@]}"; do
    case $scenario in
        s3) for name in "${sweeps[@]}"; do add_sweep "$name"; done ;;
        s4) add_transports ;;
        *) cases+=("$scenario $scenario") ;;
    esac
done
[ ${#cases[@]} -gt 0 ] || die "nothing to run: every list of s3 or s4 is empty"

# read_case CASE: sets label, scenario and overrides, which the caller declares.
read_case() { read -r label scenario overrides <<<"$1"; }

# A wrong setting is wrong use of this script, and not a failure of a stack.
check_case() {
    local label scenario overrides assignment message
    read_case "$1"
    for assignment in $overrides; do
        [[ $assignment =~ ^[A-Z_]+= ]] || die "$label: '$assignment' is not NAME=VALUE"
        local -x "$assignment"
    done
    message=$("$BIN_DIR/stream_client" --not-run SKIP --scenario "$scenario" 2>&1 >/dev/null) ||
        die "$label: $message"
}
for case in "${cases[@]}"; do check_case "$case"; done

# The tool that can count another process's system calls here.
find_tracer() {
    if perf stat -e raw_syscalls:sys_enter true >/dev/null 2>&1; then
        echo perf
    elif strace -c true >/dev/null 2>&1; then
        echo strace
    else
        echo none
    fi
}
[ -z "$syscalls" ] || syscalls=$(find_tracer)

# ------------------------------------------------------------------ output

# The client ends by itself before that, with a row that says why.
client_limit_s=$(awk -v OFMT=%d 'BEGIN {
    e = ENVIRON["WARMUP"] + ENVIRON["MEASURE"] + ENVIRON["DRAIN_TIMEOUT"] + ENVIRON["HOLD"]
    print int(e) + 90 }')

ulimit -n "$(ulimit -H -n)" 2>/dev/null || true
mkdir -p "$OUT_DIR" || die "cannot make $OUT_DIR"
OUT_DIR=$(cd "$OUT_DIR" && pwd)
COMMIT=${COMMIT:-$(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown)}
STARTED=$(date '+%Y-%m-%d %H:%M:%S %Z')
export COMMIT STARTED
csv=$OUT_DIR/metrics.csv
log=$OUT_DIR/scenario.log
rm -f "$csv" "$OUT_DIR/summary.json" "$OUT_DIR/report.html"
: >"$log"
server_out=$OUT_DIR/.server_out
certificates=$OUT_DIR/.tls
[ "${FETCH_ECHARTS:-1}" = 0 ] ||
    timeout 60 "$here/report/get_echarts.sh" "$BIN_DIR/../echarts" >>"$log" 2>&1 ||
    echo "report.html will have no charts: $(tail -n 1 "$log")" >&2
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
    while [ "$SECONDS" -le "$end" ]; do
        port=$(awk '/^LISTENING [0-9]+$/ || /^LISTENING [@\/][^ ]+$/ { print $2; exit }' "$server_out")
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
    local end=$((SECONDS + stop_limit_s)) status
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

# What there is when the script is interrupted is summarised too.
# shellcheck disable=SC2317 # called by the trap
finish() {
    stop_server
    rm -rf "$server_out" "$certificates"
    [ -s "$csv" ] || return
    "$BIN_DIR/stream_report" write "$OUT_DIR" 2>>"$log" ||
        echo "no summary.json and report.html: see $log" >&2
}
trap finish EXIT
trap 'exit 130' INT TERM

# --------------------------------------------------------------------- run

rows() { [ -f "$csv" ] && wc -l <"$csv" || echo 0; }

# not_run VERDICT REASON: the row of a run that has none.
not_run() {
    [ "$1" = SKIP ] || failed=1
    "$BIN_DIR/stream_client" --not-run "$1" --reason "$2" --stack "$stack" --scenario "$scenario" \
        --label "$label" --round "$round" --csv "$csv" | tee -a "$log"
}

# Its progress goes to the terminal.
run_client() {
    local stderr=$log before args=()
    read -ra args <<<"$(address_args "$port")"
    [ -t 2 ] && stderr=/dev/stderr
    [ "$label" != s2-syscalls ] || args+=(--syscalls "$syscalls")
    before=$(rows)
    timeout --foreground -k 5 "$client_limit_s" "$BIN_DIR/$client" --stack "$stack" \
        --scenario "$scenario" --label "$label" --round "$round" --server-pid "$server_pid" \
        --csv "$csv" --progress "$progress" "${args[@]}" \
        2>>"$stderr" | tee -a "$log"
    local code=${PIPESTATUS[0]}
    [ "$code" -eq 0 ] || failed=1
    # No row was added: it crashed, hung, or could not start.
    [ "$(rows)" -gt "$before" ] || not_run FAIL "client ended with code $code"
}

# How the client is told where the server listens.
address_args() {
    if [ "$TRANSPORT" = ipc ]; then echo --path "$1"; else echo --port "$1"; fi
}

# Makes the certificate of this run, once, and names it to server and client,
# unless the user has named one.
use_certificate() {
    [ -z "${TLS_CERT:-}" ] || return 0
    "$here/make_certificate.sh" "$certificates" || return 1
    export TLS_CERT=$certificates/cert.pem TLS_KEY=$certificates/key.pem
    export TLS_CA=$TLS_CERT
}

# Sets skip to the reason when server or client does not speak TRANSPORT.
ask_for_transport() {
    local message args
    [ "$TRANSPORT" = tcp ] && return
    read -ra args <<<"$(address_args 1)"
    if [ ${#speaks[@]} -eq 0 ]; then
        skip="the server speaks tcp only"
    elif ! message=$("${speaks[@]}" "$TRANSPORT" 2>&1); then
        skip=$message
    else
        # It refuses a transport, with code 2, before it connects.
        message=$("$BIN_DIR/$client" --scenario s0 "${args[@]}" 2>&1 >/dev/null)
        [ $? -ne 2 ] || skip=$message
    fi
}

# Makes sure that there is a certificate when TRANSPORT needs one.
ask_for_certificate() {
    case $TRANSPORT in
        tls | wss) use_certificate 2>"$server_out" || skip=$(<"$server_out") ;;
    esac
}

# run_one CASE: one stack, one case, one row.
run_one() {
    local label scenario overrides assignment
    local server=() client=stream_client skip='' speaks=() term_code=0 problem=''
    read_case "$1"
    for assignment in $overrides; do
        local -x "$assignment"
    done
    "stack_${stack//-/_}"
    [ -n "$skip" ] || ask_for_certificate
    [ -n "$skip" ] || ask_for_transport
    if [ "$label" = s2-syscalls ] && [ "$syscalls" = none ]; then
        skip="neither perf nor strace can count here"
    fi
    if [ -n "$skip" ]; then
        not_run SKIP "$skip"
        return
    fi
    if start_server "${server[@]}"; then
        note "server ${server[*]}: process $server_pid, port $port"
        run_client
        stop_server
    fi
    [ -z "$problem" ] && return
    not_run FAIL "$problem"
    printf '%s-%s: %s\n' "$stack" "$label" "$problem" >&2
}

# ---------------------------------------------------------------- progress

# Seconds that a scenario takes, about. The first runs correct it.
expected_s() {
    awk -v s="$1" 'BEGIN {
        if (s == "s1") print int(ENVIRON["HOLD"] + 1.5)
        else print int(ENVIRON["WARMUP"] + ENVIRON["MEASURE"] + (s == "s0" ? 1 : 2) + 0.5) }'
}
declare -A expected
for scenario in s0 s1 s2; do expected[$scenario]=$(expected_s $scenario); done

runs_total=0 runs_done=0 work_total=0 work_done=0
count_work() {
    local label scenario overrides
    read_case "$1"
    runs_total=$((runs_total + $2))
    work_total=$((work_total + $2 * expected[$scenario]))
}

time_left() {
    local left=$((work_total - work_done))
    [ "$work_done" -eq 0 ] || left=$((left * SECONDS / work_done))
    if [ "$left" -lt 90 ]; then echo "$left s"; else echo "$(((left + 30) / 60)) min"; fi
}

# turn CASE: every stack once.
turn() {
    local label scenario overrides
    for stack in "${stacks[@]}"; do
        read_case "$1"
        progress="[$((runs_done + 1))/$runs_total, $(time_left) left]"
        note "$progress round $round, $stack-$label${overrides:+ ($overrides)}"
        run_one "$1"
        runs_done=$((runs_done + 1))
        work_done=$((work_done + expected[$scenario]))
    done
}

syscalls_case="s2-syscalls s2"
for case in "${cases[@]}"; do count_work "$case" $((ROUNDS * ${#stacks[@]})); done
[ -z "$syscalls" ] || count_work "$syscalls_case" ${#stacks[@]}
SECONDS=0
note "stacks ${stacks[*]}, scenarios ${scenarios[*]}, ROUNDS=$ROUNDS, $runs_total runs, about $(time_left)"
for round in $(seq "$ROUNDS"); do
    for case in "${cases[@]}"; do turn "$case"; done
done
if [ -n "$syscalls" ]; then
    round=0
    turn "$syscalls_case"
fi
note "$runs_total runs in $SECONDS s"
exit $failed
