#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Runs every stack through every scenario, in turn, for several rounds. The
# settings are environment variables; README.md explains them.
# shellcheck source-path=SCRIPTDIR
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)

# shellcheck source=settings.sh
. "$here/settings.sh"
# shellcheck source=server.sh
. "$here/server.sh"
# shellcheck source=transport.sh
. "$here/transport.sh"
# shellcheck source=limit.sh
. "$here/limit.sh"
# shellcheck source=cells.sh
. "$here/cells.sh"
# shellcheck source=stacks.sh
. "$here/stacks.sh"
# shellcheck source=peers.sh
. "$here/peers.sh"
# Stacks of the user's own, written like those of stacks.sh.
if [ -n "$EXTRA_STACKS" ]; then
    [ -r "$EXTRA_STACKS" ] || { echo "EXTRA_STACKS: cannot read $EXTRA_STACKS" >&2; exit 2; }
    # shellcheck disable=SC1090
    . "$EXTRA_STACKS"
fi

die() {
    printf 'run_stream_compare.sh: %s\n' "$*" >&2
    exit 2
}

scenario_names=(s0 s1 s2 s3 s4)
add_peers

usage() {
    cat <<END
usage: run_stream_compare.sh [--stacks NAME,...] [--scenario NAME,...] [--sweep NAME,...]
                             [--cells NAME,...|all] [--required NAME,...] [--syscalls]
                             [--rounds N] [--out DIR]

  stacks     ${stack_names[*]}
  scenarios  ${scenario_names[*]}; without --scenario: s0 s1 s2, s3 with RUN_S3=1, s4 with RUN_S4=1
  sweeps     what s3 varies: ${sweep_names[*]}
  cells      s2 with the settings and stacks of CELLS_FILE, and nothing else without --scenario
  --required stacks whose failed rows make this fail; without it all but cppserver and peers
  --syscalls another s2 at the end, in which perf or strace counts the server's system calls

The settings are environment variables:
  CCU=$CCU SOURCES=$SOURCES SIZE=$SIZE INFLIGHT=$INFLIGHT WARMUP=$WARMUP MEASURE=$MEASURE DRAIN_TIMEOUT=$DRAIN_TIMEOUT HOLD=$HOLD
  CONNECT_CONCURRENCY=$CONNECT_CONCURRENCY CONNECT_TIMEOUT=$CONNECT_TIMEOUT BACKLOG=$BACKLOG HWM=$HWM SNDBUF=$SNDBUF
  RCVBUF=$RCVBUF IO_THREADS=$IO_THREADS LATENCY_SAMPLE_RATE=$LATENCY_SAMPLE_RATE TRANSPORT=$TRANSPORT CHECK=$CHECK ROUNDS=$ROUNDS
  RATE=$RATE BURST=$BURST RUN_S3=$RUN_S3 RUN_S4=$RUN_S4 LISTEN_TIMEOUT=$LISTEN_TIMEOUT STOP_TIMEOUT=$STOP_TIMEOUT REQUIRED=$REQUIRED
  CPPSERVER_CMD=$CPPSERVER_CMD EXTRA_STACKS=$EXTRA_STACKS
  PEER_CMD_<name>='… {port} {threads}' PEER_TRANSPORT_<name>=tcp: ${peer_names[*]:-none}
  LIMIT_THREADS="$LIMIT_THREADS" LIMIT_BUFFERS="$LIMIT_BUFFERS" LIMIT_TRIES=$LIMIT_TRIES LIMIT_WARMUP=$LIMIT_WARMUP LIMIT_MEASURE=$LIMIT_MEASURE
  CELLS_FILE=$CELLS_FILE
  OUT_DIR=$OUT_DIR
  BIN_DIR=$BIN_DIR
  S3_SIZE="$S3_SIZE" S3_SIZE_WITH="$S3_SIZE_WITH" and alike for every sweep
  S4_TRANSPORTS="$S4_TRANSPORTS" S4_SILENT=$S4_SILENT S4_SILENT_STAY=$S4_SILENT_STAY

Exit code: 0 no required row failed (to be skipped is no failure), 1 one did, 2 wrong use.
END
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
cells=()
given= # scenarios
[ "$RUN_S3" = 0 ] || scenarios+=(s3)
[ "$RUN_S4" = 0 ] || scenarios+=(s4)
syscalls=
arguments=() # but for where the results go
while [ $# -gt 0 ]; do
    [ "$1" = --out ] || arguments+=("$(quoted "$1")")
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
        --stacks | --stack | --scenario | --scenarios | --sweep | --sweeps | --cells | --required | --rounds | --out)
            [ $# -ge 2 ] || die "$1 needs a value"
            [ "$1" = --out ] || arguments+=("$(quoted "$2")")
            ;;&
        --stacks | --stack)
            choose stack "$2" "${stack_names[@]}"
            stacks=("${chosen[@]}")
            ;;
        --scenario | --scenarios)
            choose scenario "$2" "${scenario_names[@]}"
            scenarios=("${chosen[@]}")
            given=yes
            ;;
        --sweep | --sweeps)
            choose sweep "$2" "${sweep_names[@]}"
            sweeps=("${chosen[@]}")
            [[ " ${scenarios[*]} " == *" s3 "* ]] || scenarios+=(s3)
            given=yes
            ;;
        --cells)
            [ -r "$CELLS_FILE" ] || die "CELLS_FILE: cannot read $CELLS_FILE"
            read -ra cells <<<"$(cell_names | tr '\n' ' ')"
            [ "$2" = all ] || choose cell "$2" "${cells[@]}"
            [ "$2" = all ] || cells=("${chosen[@]}")
            ;;
        --required) REQUIRED=$2 ;;
        --rounds) ROUNDS=$2 ;;
        --out) OUT_DIR=$2 ;;
        *) die "unknown argument '$1'; see --help" ;;
    esac
    shift 2
done

required=()
if [ -n "$REQUIRED" ]; then
    choose "required stack" "$REQUIRED" "${stack_names[@]}"
    required=("${chosen[@]}")
else
    for name in "${stacks[@]}"; do
        [[ " cppserver ${peer_names[*]} " = *" $name "* ]] || required+=("$name")
    done
fi
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
                cases+=("s4-tls-silent s0 TRANSPORT=tls SILENT=$S4_SILENT SILENT_STAY=$S4_SILENT_STAY")
        done
    done
}

[ ${#cells[@]} -eq 0 ] || [ -n "$given" ] || scenarios=()
add_cells "${cells[@]}"
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
COMMAND="${changed[*]:+${changed[*]} }tests/scenario/stream/run_stream_compare.sh${arguments[*]:+ ${arguments[*]}}"
export COMMIT STARTED COMMAND
csv=$OUT_DIR/metrics.csv
log=$OUT_DIR/scenario.log
rm -f "$csv" "$OUT_DIR/summary.json" "$OUT_DIR/report.html" "$OUT_DIR/trials.csv" "$OUT_DIR/limits.csv"
: >"$log"
server_out=$OUT_DIR/.server_out
certificates=$OUT_DIR/.tls
server_pid=

note() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*" >>"$log"; }

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

exit_code=0
count_failure() { [[ " ${required[*]} " != *" $stack "* ]] || exit_code=1; }

rows() { [ -f "$csv" ] && wc -l <"$csv" || echo 0; }

# not_run VERDICT REASON: the row of a run that has none.
not_run() {
    [ "$1" = SKIP ] || count_failure
    "$BIN_DIR/stream_client" --not-run "$1" --reason "$2" --stack "${row_stack:-$stack}" --scenario "$scenario" \
        --label "$label" --round "$round" --csv "$csv" | tee -a "$log"
}

# Its progress goes to the terminal.
run_client() {
    local stderr=$log before args=()
    read -ra args <<<"$(address_args "$port")"
    [ -t 2 ] && stderr=/dev/stderr
    [ "$label" != s2-syscalls ] || args+=(--syscalls "$syscalls")
    before=$(rows)
    timeout --foreground -k 5 "$client_limit_s" "$BIN_DIR/$client" --stack "${row_stack:-$stack}" \
        --scenario "$scenario" --label "$label" --round "$round" --server-pid "$server_pid" \
        --csv "$csv" --progress "$progress" "${args[@]}" \
        2>>"$stderr" | tee -a "$log"
    local code=${PIPESTATUS[0]}
    [ "$code" -eq 0 ] || count_failure
    # No row was added: it crashed, hung, or could not start.
    [ "$(rows)" -gt "$before" ] || not_run FAIL "client ended with code $code"
}

# run_one CASE: one stack, one case, one row, with row_stack as the stack's name if it
# is set.
run_one() {
    local label scenario overrides assignment
    local server=() client=stream_client skip='' speaks=() term_code=0 problem=''
    read_case "$1"
    for assignment in $overrides; do
        local -x "$assignment"
    done
    "stack_${stack//-/_}"
    [ -n "$skip" ] || ask_for_transport
    [ -n "$skip" ] || ask_for_certificate
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
# count_work CASE TURNS
count_work() {
    local label scenario overrides stack
    read_case "$1"
    for stack in "${stacks[@]}"; do
        takes_part "$stack" "$overrides" || continue
        runs_total=$((runs_total + $2))
        work_total=$((work_total + $2 * expected[$scenario]))
    done
}

time_left() {
    local left=$((work_total - work_done))
    [ "$work_done" -eq 0 ] || left=$((left * SECONDS / work_done))
    if [ "$left" -lt 90 ]; then echo "$left s"; else echo "$(((left + 30) / 60)) min"; fi
}

# turn CASE: every stack once.
turn() {
    local label scenario overrides
    read_case "$1"
    for stack in "${stacks[@]}"; do
        takes_part "$stack" "$overrides" || continue
        progress="[$((runs_done + 1))/$runs_total, $(time_left) left]"
        note "$progress round $round, $stack-$label${overrides:+ ($overrides)}"
        run_one "$1"
        runs_done=$((runs_done + 1))
        work_done=$((work_done + expected[$scenario]))
    done
}

# How the rows ended: "12 PASS, 3 SKIP".
verdicts() {
    awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "pass_fail") at = i; next }
        { count[$at]++ }
        END { for (v in count) { printf "%s%d rows %s", between, count[v], v; between = ", " } }' "$csv"
}

syscalls_case="s2-syscalls s2"
for case in "${cases[@]}"; do count_work "$case" "$ROUNDS"; done
[ -z "$syscalls" ] || count_work "$syscalls_case" 1
choose_limits
SECONDS=0
note "stacks ${stacks[*]}, scenarios ${scenarios[*]}, ROUNDS=$ROUNDS, $runs_total runs, about $(time_left)"
echo "$runs_total runs take about $(time_left)" >&2
for round in $(seq "$ROUNDS"); do
    for case in "${cases[@]}"; do turn "$case"; done
done
if [ -n "$syscalls" ]; then
    round=0
    turn "$syscalls_case"
fi
note "$runs_total runs in $SECONDS s: $(verdicts)"
[ ! -t 2 ] || printf '%s runs in %s s: %s\n' "$runs_total" "$SECONDS" "$(verdicts)" >&2
exit $exit_code
