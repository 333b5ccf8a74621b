#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# One message to many, in turn with its rivals: the tables of doc/performance-runs.md.
# usage: tests/bench/fan_out.sh [tables|sweep|quick] [DIR]
#
# tables (the default) is all of it, in about twelve minutes; sweep is 100 to 10,000 peers; quick is a
# sweep in ten seconds, which run_quick.sh draws. FAN_CMD_<name> names servers of others
# (fan_ways.h); uws and what FAN_WS lists speak WebSocket, the others tcp. ROUNDS says how
# often everything has its turn (5).
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
what=${1:-tables}
dir=${2:-$root/build/results/fanout-$(date +%Y-%m-%d-%H%M%S)}
bin=${BIN_DIR:-$root/build/bin}
rounds=${ROUNDS:-5}

others=(tcp) ws=(web)
for variable in "${!FAN_CMD_@}"; do
    name=${variable#FAN_CMD_}
    case " uws ${FAN_WS-} " in
    *" $name "*) ws+=("$name") ;;
    *) others+=("$name") ;;
    esac
done
others=("${others[@]:1}") ws=("${ws[@]:1}")

# say PEERS SIZE TIMES TRANSPORT MODE WAY...
say() {
    local peers=$1 size=$2 times=$3 transport=$4 mode=$5 way
    shift 5
    for way in "$@"; do
        # shellcheck disable=SC2086 # no argument when it is empty
        "$bin/fan_out" "$peers" "$size" "$times" "$transport" "$way" $mode
    done
}

tables() {
    local size mode
    for size in 64 1024 16384; do
        say 10000 $size 11 tcp "" publish bare bare2 loop sends ${others[@]+"${others[@]}"}
        say 10000 $size 11 web "" publish ${ws[@]+"${ws[@]}"}
    done
    for size in 64 1024; do
        say 10000 $size 20 tcp back-to-back publish sends ${others[@]+"${others[@]}"}
        say 10000 $size 20 web back-to-back publish ${ws[@]+"${ws[@]}"}
    done
    for mode in echo echo-first; do
        say 10000 1024 2 tcp $mode publish loop bare
        say 10000 1024 2 web $mode publish ${ws[@]+"${ws[@]}"}
    done
}

sweep() {
    local peers
    for peers in 100 300 1000 3000 10000; do
        say $peers 1024 21 tcp "" publish bare
    done
}

quick() {
    local peers
    for peers in 100 1000 10000; do
        [ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -gt $((peers + 100)) ] || continue
        say $peers 1024 7 tcp "" publish bare
    done
}

mkdir -p "$dir"
export FAN_CSV=$dir/fanout.csv FAN_ROUND
rm -f "$FAN_CSV"
[ "$what" != quick ] || rounds=1
for FAN_ROUND in $(seq "$rounds"); do
    case $what in
    tables) tables ;&
    sweep) sweep ;;
    quick) quick ;;
    *) echo "usage: tests/bench/fan_out.sh [tables|sweep|quick] [DIR]" >&2 && exit 2 ;;
    esac
done
echo "load: $(cut -d ' ' -f 1-3 /proc/loadavg), commit $(git -C "$root" rev-parse --short HEAD)"
"$bin/stream_report" fanout "$dir"
echo "Results: $FAN_CSV"
