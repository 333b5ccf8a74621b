#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Runs every attack of the program attack, with each profile, and prints a Markdown table.
# What each run tells is in OUT_DIR. The library is the one in LD_LIBRARY_PATH, or the build's.
# usage: run.sh [--kinds KIND,KIND...] [--profiles PROFILE,...] [OPTION OF attack]...
#   environment: BIN_DIR, OUT_DIR, LD_LIBRARY_PATH
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${BIN_DIR:-$root/build/bin}
out=${OUT_DIR:-$root/build/results/attack-$(date +%Y-%m-%d-%H%M%S)}
export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-$root/build/lib}

kinds=flood,unread,length,vanish,silent,hello,ping,keys,rate profiles=private,public options=()
while [ $# -gt 0 ]; do
    case $1 in
        --kinds) kinds=$2 ;;
        --profiles) profiles=$2 ;;
        *) options+=("$1" "${2-}") ;;
    esac
    shift 2 || { echo "run.sh: $1 needs a value" >&2; exit 2; }
done

mkdir -p "$out" || exit
"$root/tests/scenario/stream/make_certificate.sh" "$out" || exit
commit=$(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown)

failed=0
for kind in ${kinds//,/ }; do
    for profile in ${profiles//,/ }; do
        log=$out/$kind-$profile.txt
        echo "$kind, $profile: $(date -u '+%F %H:%M') UTC, load $(cut -d' ' -f1 /proc/loadavg)" >&2
        timeout 600 "$bin/attack" --kind "$kind" --profile "$profile" --cert "$out/cert.pem" --key "$out/key.pem" \
            "${options[@]}" >"$log" 2>&1
        code=$?
        [ "$code" -eq 0 ] || [ "$code" -eq 77 ] || { failed=1; echo "$kind, $profile: ended with $code; see $log" >&2; }
        cat "$log" >&2
        sed -n 's/^row: //p' "$log" >"$log.row"
    done
done

echo "| attack | profile | echoes | p50, p99 alone | beside one elsewhere | during | p99: times alone, times elsewhere | new clients: served, p99 | memory before, highest, after | TCP in the kernel, highest | descriptors before, highest, after | processors alone, during | attackers: came, cut | ended by |"
echo "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
for kind in ${kinds//,/ }; do
    for profile in ${profiles//,/ }; do cat "$out/$kind-$profile.txt.row"; done
done | tee "$out/table.md"
echo "$(nproc) processors, commit $commit, $(date -u '+%F'), tests/attack/run.sh${options[*]:+ ${options[*]}}"
exit "$failed"
