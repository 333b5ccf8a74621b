#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# A guard against losing speed: a short s2 of zlink (COMPAT) and the limit in
# turn. Code 1 when the ratio of the medians is below the one in floor.txt.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)

export CCU=${CCU:-10000} WARMUP=${WARMUP:-1} MEASURE=${MEASURE:-5} ROUNDS=${ROUNDS:-3}
export BIN_DIR=${BIN_DIR:-$root/build/bin}
export OUT_DIR=${OUT_DIR:-$root/build/results/bench-check}

echo "zlink and epoll (the limit) in turn: ROUNDS=$ROUNDS CCU=$CCU WARMUP=$WARMUP MEASURE=$MEASURE"
"$here/run_stream_compare.sh" --stacks zlink,epoll --scenario s2 >/dev/null || exit
"$BIN_DIR/stream_report" -floor "${FLOOR:-$here/floor.txt}" check "$OUT_DIR"
