#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Very many connections on one machine (million.c says what happens), and a page with charts.
#
#   million.sh [CONNECTIONS [tcp|ws...]]
#
# Without CONNECTIONS it is 1,000,000 over tcp and then 500,000 over ws: below 10 minutes on two processors, with
# 24 GB, when nothing else runs. With CONNECTIONS it is so many over each. OUT_DIR names the folder of the results.
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${BIN_DIR:-$root/build/bin}
dir=${OUT_DIR:-$root/build/results/million-$(date +%Y-%m-%d-%H%M%S)}
connections=${1-}
[ $# -eq 0 ] || shift
transports=("$@")
[ ${#transports[@]} -gt 0 ] || transports=(tcp ws)

STARTED=$(date '+%Y-%m-%d %H:%M')
COMMIT=$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)
COMMAND="./build.sh million${connections:+ $connections ${transports[*]}}"
export STARTED COMMIT COMMAND

failed=0
for transport in "${transports[@]}"; do
    count=$connections
    [ -n "$count" ] || case $transport in
    ws) count=500000 ;;
    *) count=1000000 ;;
    esac
    mkdir -p "$dir/$transport"
    echo "==> $count connections over $transport"
    code=0
    "$bin/million" "$count" "$transport" "$dir/$transport" || code=$?
    [ "$code" -ne 2 ] || exit 2
    [ "$code" -eq 0 ] || failed=$code
    [ "$code" -eq 0 ] || echo "million.sh: $count connections over $transport: the run failed, as its last lines say" >&2
done
"$bin/stream_report" scale "$dir"
echo "load at the end: $(cut -d ' ' -f 1-3 /proc/loadavg)"
echo "$dir/report.html"
exit "$failed"
