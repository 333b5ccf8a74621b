#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The grid of cells against the limit, in about 12 minutes: one table (bench.md and
# bench.csv) and one heat map (bench.svg). Code 1 when a ratio is below its line in
# floor.txt. Arguments go to run_stream_compare.sh (--cells NAME,... runs some), and
# its settings are environment variables.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)

export CHECK=${CHECK:-frames} WARMUP=${WARMUP:-0.5} MEASURE=${MEASURE:-1} HOLD=${HOLD:-0.1} ROUNDS=${ROUNDS:-4}
export BIN_DIR=${BIN_DIR:-$root/build/bin}
export OUT_DIR=${OUT_DIR:-$root/build/results/bench-$(date +%Y-%m-%d-%H%M%S)}

cells=(--cells all)
[[ " $* " != *" --cells "* ]] || cells=()
mkdir -p "$OUT_DIR" || exit 2
echo "cells in turn with the limit: ROUNDS=$ROUNDS CHECK=$CHECK WARMUP=$WARMUP MEASURE=$MEASURE"
rm -f "$OUT_DIR/metrics.csv"
"$here/run_stream_compare.sh" "${cells[@]}" "$@" >/dev/null
code=$?
[ -s "$OUT_DIR/metrics.csv" ] || exit $code
"$BIN_DIR/stream_report" -floor "${FLOOR:-$here/floor.txt}" bench "$OUT_DIR" || code=1
echo "Results: $OUT_DIR (bench.md, bench.csv, bench.svg, report.html, metrics.csv, trials.csv, scenario.log)"
exit $code
