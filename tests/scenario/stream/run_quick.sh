#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# zlink in its modes against the limit, a bare epoll echo, in two minutes.
# Arguments go to run_stream_compare.sh, and its settings are environment
# variables.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)

export CCU=${CCU:-10000} WARMUP=${WARMUP:-1} MEASURE=${MEASURE:-3} ROUNDS=${ROUNDS:-2}
export INFLIGHT=${INFLIGHT:-30}
export BIN_DIR=${BIN_DIR:-$root/build/bin}
export OUT_DIR=${OUT_DIR:-$root/build/results/$(date +%Y-%m-%d-%H%M%S)}

stacks=zlink,zlink-fast,zlink-batch,epoll
mkdir -p "$OUT_DIR" || exit 2
OUT_DIR=$(cd "$OUT_DIR" && pwd)
report=file://${OUT_DIR// /%20}/report.html
echo "$stacks (the limit) in turn: ROUNDS=$ROUNDS CCU=$CCU WARMUP=$WARMUP MEASURE=$MEASURE"
echo "the report will be $report"
# One message to many comes first: the report draws what is there.
fan_out=0
[ "${FAN_OUT:-1}" = 0 ] || "$root/tests/bench/fan_out.sh" quick "$OUT_DIR" >"$OUT_DIR/fanout.md" || fan_out=$?
# The two lines of every run are in scenario.log too.
"$here/run_stream_compare.sh" --stacks "$stacks" "$@" >/dev/null
code=$?
[ -s "$OUT_DIR/metrics.csv" ] || exit $code

echo
"$BIN_DIR/stream_report" table "$OUT_DIR"
cat <<END

zlink     two frames for a message (COMPAT); -fast: one call; -batch: many in a call
s0        one connection, one message in flight: the round trip by itself
s1        $CCU connections opened and closed
s2        $INFLIGHT messages in flight on each of $CCU connections, as many as go
rate      median of the rounds; ratio: a rate divided by the limit's of the same
          round, median, then lowest and highest. 1.00 is as fast as the limit.
p50, p99  round trip. In s2 it is queueing: with $((INFLIGHT * CCU)) messages on their way
          all the time, one waits for nearly all others, so p50 is about $((INFLIGHT * CCU))
          divided by the rate. s0 shows what a round trip takes by itself, RATE=…
          (messages per second) what it takes below the maximum.
MB        resident memory of the server: all connections open and silent (idle),
          highest while messages flow (busy)

fan-out   one message to 100 to 10,000 peers, in fanout.md and in the report

Results: $OUT_DIR (report.html, metrics.csv, summary.json, scenario.log)
Report:  $report
END
[ "$code" != 0 ] || code=$fan_out
exit $code
