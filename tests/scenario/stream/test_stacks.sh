#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# test_stacks.sh BIN_DIR: every stack in every scenario with a small load. A stack
# that cannot run here says why; cppserver runs the asio server.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${1:?usage: test_stacks.sh BIN_DIR}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

export BIN_DIR=$bin OUT_DIR=$dir/results ROUNDS=1
export CCU=50 SIZE=256 INFLIGHT=8 WARMUP=0.1 MEASURE=0.5 HOLD=0.2 CONNECT_CONCURRENCY=16
if [ -z "${CPPSERVER_CMD:-}" ] && [ -x "$bin/asio_echo" ]; then
    export CPPSERVER_CMD="'$bin/asio_echo' --port {port} --io-threads {threads}"
fi

names=$(bash -c '. "$1/stacks.sh"; IFS=,; echo "${stack_names[*]}"' - "$here")
"$here/run_stream_compare.sh" --required "$names" >"$dir/out" 2>&1 </dev/null
code=$?

# A row: scenario_id,…,pass_fail,reason,… as the header names them.
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
    { printf "%-4s %-16s %s\n", $column["pass_fail"], $1, $column["reason"] }' \
    "$OUT_DIR/metrics.csv" | tee "$dir/rows"

IFS=, read -ra stacks <<<"$names"
[ "$(wc -l <"$dir/rows")" -eq $((${#stacks[@]} * 3)) ] || {
    echo "not every stack has a row for s0, s1 and s2"
    code=1
}
if [ $code -ne 0 ]; then
    grep -v '^METRIC' "$dir/out"
    cat "$OUT_DIR/scenario.log"
fi
exit $code
