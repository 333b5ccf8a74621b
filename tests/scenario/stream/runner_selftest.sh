#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Gives run_stream_compare.sh stacks with one fault each: every fault must be
# named in a row, its process ended, and the run go on.
# usage: runner_selftest.sh BIN_DIR
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=$(realpath "${1:?usage: runner_selftest.sh BIN_DIR}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0
checks=0

# By these names the processes of this test are known from all others.
ln -s "$bin/bad_server" "$dir/bad_server"
ln -s "$bin/epoll_echo" "$dir/epoll_echo"

# Where a client is looked for, as seen from BIN_DIR.
from_bin=$(realpath --relative-to "$bin" "$dir")
printf '#!/bin/sh\nkill -SEGV $$\n' >"$dir/broken_client"
chmod +x "$dir/broken_client"

cat >"$dir/stacks.sh" <<END
stack_names=(mute gone absent dies wrong slow stays killed mortal skipped parent loadless cppserver epoll)
stack_mute() { server=("$dir/bad_server" --fault mute); }
stack_gone() { server=(false); }
stack_absent() { server=("$dir/no-such-program"); }
stack_dies() { server=("$dir/bad_server" --fault dies); term_code=143; }
stack_wrong() { server=("$dir/bad_server" --fault wrong-bytes); term_code=143; }
stack_slow() { server=("$dir/bad_server" --fault slow); term_code=143; }
stack_stays() { server=("$dir/bad_server" --fault stays); }
stack_killed() { server=("$dir/bad_server"); }
stack_mortal() { stack_killed; term_code=143; }
stack_skipped() { skip="its compiler is not here"; }
stack_parent() { server=(bash -c '"$dir/bad_server" --fault mute & exec "$dir/epoll_echo"'); }
stack_loadless() { stack_epoll; client=$from_bin/broken_client; }
stack_epoll() { server=("$dir/epoll_echo"); }
END

# Of the bare loops only one answers rightly.
cat >"$dir/loops.sh" <<END
stack_names=(zlink epoll)
stack_zlink() { server=("$dir/epoll_echo"); }
stack_epoll() {
    server=("$dir/epoll_echo")
    [ "\${limits[\$label]-}" = 2x262144 ] || server=("$dir/bad_server" --fault wrong-bytes) term_code=143
}
END
cat >"$dir/cells.txt" <<END
# name transport connections bytes in-flight stacks
tcp-small  tcp  5    64  4  zlink   # a comment
tcp-long   tcp  2 65536  4  zlink
END

export EXTRA_STACKS=$dir/stacks.sh BIN_DIR=$bin ROUNDS=1 LIMIT_THREADS=1 LIMIT_BUFFERS=65536 LIMIT_TRIES=1
# Other tests run at the same time: what has to run out here would do so in no good run.
export LISTEN_TIMEOUT=12 STOP_TIMEOUT=10 DRAIN_TIMEOUT=5
# A window that the slow server cannot drain in that time.
export CCU=20 SIZE=128 INFLIGHT=64 WARMUP=0 MEASURE=0.3 HOLD=0.6 LATENCY_SAMPLE_RATE=4

# run ARG...: sets rc, and out to the folder of the run.
run() {
    out=$dir/out
    rm -rf "$out"
    timeout 600 "$here/run_stream_compare.sh" --out "$out" "$@" >"$dir/stdout" 2>"$dir/stderr"
    rc=$?
}

check() {
    local name=$1
    shift
    checks=$((checks + 1))
    if "$@"; then
        printf 'ok   %s\n' "$name"
    else
        failed=$((failed + 1))
        printf 'FAIL %s, exit code %s\n' "$name" "$rc"
        cut -d, -f1,17,18 "$out/metrics.csv"
    fi
}

# row ID VERDICT REASON: there is such a row; the reason is a part of its own.
row() {
    awk -F, -v id="$1" -v verdict="$2" -v reason="$3" '
        $1 == id && $17 == verdict && index($18, reason) { found = 1 } END { exit !found }' "$out/metrics.csv"
}

ends_with() { [ "$rc" -eq "$1" ]; }

refuses() { [ "$rc" -eq 2 ] && grep -q "$1" "$dir/stderr"; }

no_process_left() { ! pgrep -f "^$dir/"; }

has() { grep -q "$1" "$out/$2"; }

run --scenario s2
check "exit code after failures" ends_with 1
check "never listens" row mute-s2 FAIL server_did_not_listen
check "ends before it listens" row gone-s2 FAIL "server_ended_before_it_listened;code_1"
check "is not there" row absent-s2 FAIL "server_ended_before_it_listened;code_127"
check "dies in the middle" row dies-s2 FAIL "server_ended;connection_lost"
check "answers wrongly" row wrong-s2 FAIL wrong_bytes
check "too slow to drain" row slow-s2 FAIL drain_timeout
check "does not end" row stays-s2 FAIL server_did_not_end_on_SIGTERM
check "ends by the signal" row killed-s2 FAIL server_ended_with_code_143
check "ends by the signal, as announced" row mortal-s2 PASS -
check "cannot run here" row skipped-s2 SKIP its_compiler_is_not_here
check "leaves a child" row parent-s2 PASS -
check "a client that crashes" row loadless-s2 FAIL client_ended_with_code_139
check "no server was named" row cppserver-s2 SKIP CPPSERVER_CMD
check "the run goes on" row epoll-s2 PASS -
check "no process is left" no_process_left
check "summary.json names the fault" has '"wrong bytes"' summary.json
check "report.html names the fault" has 'wrong bytes' report.html
check "the log says how much is left" has '\[14/14, [0-9]* s left\]' scenario.log

RUN_S4=1 S4_TRANSPORTS="tcp tls" S3_SIZE="16 100" run --stacks epoll,skipped --scenario s1,s4 --sweep size
check "exit code without failures" ends_with 0
check "s1" row epoll-s1 PASS -
check "sweep" row epoll-s3-size-100 PASS -
check "sweep of the smallest size" row epoll-s3-size-16 PASS -
check "transport" row epoll-s4-tcp-s2 PASS -
check "transport that is not there" row epoll-s4-tls-s2 SKIP the_server_speaks_tcp_only

export CPPSERVER_CMD="NAME=value '$dir/epoll_echo' --port {port} --io-threads {threads}"
run --stacks cppserver --scenario s2
check "CPPSERVER_CMD" row cppserver-s2 PASS -
check "it had the port and the threads" has "epoll_echo' --port [0-9]* --io-threads 2" scenario.log
CPPSERVER_CMD="'$dir/epoll_echo' --port 0" run --stacks cppserver,epoll --scenario s1
check "CPPSERVER_CMD without {port}" row cppserver-s1 FAIL "server_ended_before_it_listened;code_1"
check "the log says what is missing" has "no {port}" scenario.log
check "no stack of ours failed" ends_with 0
CPPSERVER_CMD="$dir/none {port}" run --stacks cppserver,epoll --scenario s1 --required cppserver
check "CPPSERVER_CMD is not there" row cppserver-s1 FAIL "server_ended_before_it_listened;code_127"
check "a required stack failed" ends_with 1
run --stacks gone,epoll --scenario s1 --required epoll
check "a stack failed that is not required" ends_with 0
check "how many rows failed" has "2 runs in [0-9]* s: .*1 rows FAIL" scenario.log

# ------------------------------------------------------------------- limit

# limit COMMAND...: as the runner has it.
limit() { bash -c '. "$0/limit.sh"; "$@"' "$here" "$@"; }

# loops SIZE INFLIGHT: those worth trying.
loops() {
    SIZE=$1 INFLIGHT=$2 LIMIT_THREADS="1 2" LIMIT_BUFFERS="65536 262144 1048576" limit limit_loops | tr '\n' ' '
}

fastest() { limit fastest_loop "$dir/trials.csv" "$1"; }

cat >"$dir/trials.csv" <<END
stack,label,throughput,pass_fail
epoll-1x65536,s2,900.4,PASS
epoll-2x65536,s2,1000.6,PASS
epoll-1x262144,s2,5000,FAIL
epoll-1x65536,s2,1200.2,PASS
epoll-2x65536,s2,500,PASS
epoll-2x65536,other,7000,PASS
epoll-2x65536,none,7000,SKIP
END
rc=0 out=$dir
check "a buffer that no window fills is not tried" [ "$(loops 64 30)" = "1x65536 2x65536 " ]
check "the first buffer that holds a window is" [ "$(loops 20000 4)" = "1x65536 2x65536 1x262144 2x262144 " ]
check "the best of all runs of a loop counts, of those that passed" [ "$(fastest s2)" = "1x65536 1200" ]
check "each case has its own winner" [ "$(fastest other)" = "2x65536 7000" ]
check "without a run that passed there is none" [ -z "$(fastest none)" ]

export EXTRA_STACKS=$dir/loops.sh
LIMIT_THREADS="1 2" LIMIT_BUFFERS="65536 262144" SIZE=32768 run --scenario s2
check "the winner is the limit" row epoll-s2 PASS -
check "it is named" has '^s2,2,262144,[0-9]' limits.csv
check "the log names it" has 'the limit of s2: 2 threads, buffers of 256 KiB, [0-9]* messages/s' scenario.log
check "the other loops were tried" has '^epoll-1x65536-s2,.*,FAIL,wrong_bytes' trials.csv
check "their failures are none of the run" ends_with 0
run --scenario s2
check "no loop that works" row epoll-s2 FAIL wrong_bytes
check "no winner" [ "$(cat "$dir/out/limits.csv")" = label,threads,buffer,messages_per_s ]
export EXTRA_STACKS=$dir/stacks.sh

# ------------------------------------------------------------------- peers

export PEER_CMD_mine="'$dir/epoll_echo' --port {port} --io-threads {threads}" PEER_CMD_other="$dir/none {port}"
export PEER_CMD_web=$PEER_CMD_mine PEER_TRANSPORT_web="ws wss"
run --stacks mine,other,web,epoll --scenario s1
check "PEER_CMD" row mine-s1 PASS -
check "it had the port, too" has "mine: '$dir/epoll_echo' --port [0-9]* --io-threads 2" scenario.log
check "another one, which is not there" row other-s1 FAIL "server_ended_before_it_listened;code_127"
check "one for other transports" row web-s1 SKIP "web_is_a_peer_for_ws_wss"
check "peers are not required" ends_with 0
PEER_CMD_epoll=$PEER_CMD_mine run
check "a peer with the name of a stack" refuses "PEER_CMD_epoll: there is a stack of that name"

# ------------------------------------------------------------------- bench

export EXTRA_STACKS=$dir/loops.sh CELLS_FILE=$dir/cells.txt OUT_DIR=$dir/out FLOOR=$dir/floor.txt
unset PEER_CMD_other PEER_CMD_web PEER_TRANSPORT_web
run_bench() {
    rm -rf "$out"
    timeout 240 "$here/bench.sh" "$@" >"$dir/stdout" 2>"$dir/stderr"
    rc=$?
}
export LIMIT_BUFFERS=262144 LIMIT_THREADS=2 WARMUP=0 MEASURE=0.3
printf 'tcp-small zlink 0.01\ntcp-long zlink 0.01\n' >"$FLOOR"
run_bench
check "bench" ends_with 0
check "each cell has its settings" row zlink-cell-tcp-long PASS -
check "peers are in it" row mine-cell-tcp-small PASS -
check "a table" has '^| tcp 2 × 64 KiB × 4 | zlink |' bench.md
check "with the loop that is the limit" has 'epoll, 2 threads, 256 KiB' bench.md
check "the same as CSV" has '^tcp-small,5,64,4,zlink,' bench.csv
check "a heat map" has 'tcp 2 × 64 KiB × 4' bench.svg
check "the client only counts" has '"CHECK": "frames"' summary.json
printf 'tcp-small zlink 2\n' >"$FLOOR"
for _ in 1 2 3 4 5; do # on a busy machine the limit may have had no turn
    run_bench --cells tcp-small
    [ "$rc" -eq 0 ] || break
done
check "a ratio below its floor" ends_with 1
check "it is named" grep -q "zlink in tcp-small has [0-9.]* of the limit's rate .*less than its floor, 2.00" "$dir/stderr"
check "one cell alone" [ "$(grep -c zlink-cell "$out/metrics.csv")" = 1 ]
: >"$FLOOR"
run_bench --cells tcp-small
check "no floor for a stack in a cell" ends_with 1
check "it is named as well" grep -q "floor.txt has no line for zlink in tcp-small" "$dir/stderr"
run_bench --cells none
check "unknown cell" refuses "unknown cell 'none'"
unset OUT_DIR FLOOR CELLS_FILE PEER_CMD_mine
export EXTRA_STACKS=$dir/stacks.sh LIMIT_THREADS=1 LIMIT_BUFFERS=65536

# ------------------------------------------------- interrupts, and wrong use

# Ends as soon as the client's run has ended.
HOLD=2 run --stacks epoll,mortal --scenario s1 --rounds 9 &
for _ in $(seq 1000); do # the first run has left its row
    runner=$(pgrep -f "^bash .*/run_stream_compare.sh --out $dir/out") && [ -s "$dir/out/metrics.csv" ] && break
    sleep 0.1
done
sleep 1
kill -TERM "$(head -n 1 <<<"$runner")"
wait
out=$dir/out
check "interrupted: what there is is summarised" has '"epoll"' summary.json
check "interrupted: no process is left" no_process_left

if command -v script >/dev/null; then
    script -qec "'$here/run_stream_compare.sh' --out '$dir/terminal' --stacks epoll --scenario s1" "$dir/typescript" >/dev/null
    rc=$?
    check "a terminal shows how much is left" grep -q '\[1/1, [0-9]* s left\]  epoll-s1' "$dir/typescript"
else
    echo "skip the progress on a terminal: there is no command script to make one"
fi

run --stacks epoll,nonsense
check "unknown stack" refuses "unknown stack 'nonsense'"
run --stacks epoll --required nonsense
check "unknown required stack" refuses "unknown required stack 'nonsense'"
run --sweep nonsense
check "unknown sweep" refuses "unknown sweep 'nonsense'"
run --rounds none
check "ROUNDS that is no number" refuses "ROUNDS must be a positive number"
run --stacks
check "argument without its value" refuses "needs a value"
run --scenario s9
check "unknown scenario" refuses "unknown scenario 's9'"
SIZE=15 run
check "setting out of range" refuses "15 is not in the range 16"
S3_CCU="1 none" run --scenario s3 --sweep ccu
check "value of a sweep" refuses '"none" is not a number'
EXTRA_STACKS=$dir/none run
check "stacks that cannot be read" refuses "cannot read"

echo "$checks checks, $failed failed"
[ "$failed" -eq 0 ]
