#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The USDT probes as the system's tools see them, and tools/zlink.bt where bpftrace works. What the probes
# tell is tested in c_probes. usage: test_probes.sh LIBRARY ZLINK_CAT WORK_DIR
set -u

library=$(realpath "$1")
cat=$2
work=$3
script=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../tools/zlink.bt")
failed=0
rm -rf "$work"
mkdir -p "$work"
cd "$work" || exit 1
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

# is WHAT EXPECTED FOUND
is() {
    if [ "$2" = "$3" ]; then echo "ok $1"; else
        printf 'FAILED %s: expected %q, found %q\n' "$1" "$2" "$3" >&2
        failed=1
    fi
}

names='accept close driver frame_in frame_out frame_taken refuse turn_away'

# of FILE: the names of zlink's probes that have a semaphore, in one line.
of() {
    LC_ALL=C readelf -n "$1" | awk '
        /Provider:/ { provider = $2 }
        /Name:/ { name = $2 }
        /Semaphore:/ && provider == "zlink" && $NF != "0x0000000000000000" { print name }' | sort | xargs
}

is "the probes of the library" "$names" "$(of "$library")"
strip --strip-unneeded --remove-section=.comment --remove-section=.note -o stripped.so "$library"
is "the probes of a package's library" "$names" "$(of stripped.so)"

if ! timeout -s KILL 60 bpftrace -e 'BEGIN { printf("works\n"); exit(); }' 2>bpftrace.err | grep -q works; then
    echo "skipped: bpftrace does not work here: $(tail -n 1 bpftrace.err)"
    exit $failed
fi

"$cat" --listen --all 'tcp://127.0.0.1:*' >server.out 2>server.err </dev/null &
server=$!
endpoint=
until [ -n "$endpoint" ]; do
    endpoint=$(sed -n 's/^zlink-cat: listening on //p' server.err)
    kill -0 $server || exit 1
    sleep 0.01
done
timeout -s KILL 300 bpftrace -p $server "$script" >trace.out 2>trace.err &
tracer=$!
# Until it looks, and its first report has come.
until grep -q '^@messages_in: [1-9]' trace.out && grep -q '^closed peer' trace.out; do
    if ! kill -0 $tracer 2>/dev/null; then
        if grep -q 'ERROR.*usdt' trace.err; then
            echo "skipped: this bpftrace finds no USDT probes: $(tail -n 1 trace.err)"
            exit $failed
        fi
        cat trace.out trace.err >&2
        exit 1
    fi
    exec 3<>"/dev/tcp/127.0.0.1/${endpoint##*:}"
    printf '\0\0\0\3one\0\0\0\3two' >&3
    exec 3>&-
    sleep 0.2
done
for line in '^accepted peer [0-9a-f]* tcp://127\.0\.0\.1:[0-9]*$' \
    '^closed peer [0-9a-f]* tcp://127\.0\.0\.1:[0-9]* reason 1, 0 messages lost$' \
    '^@bytes_in: [1-9]' '^@waited_us'; do
    is "a line like $line" 0 "$(grep -q "$line" trace.out && echo 0)"
done
kill $server
wait $tracer
is "the end with the process" 0 $?
exit $failed
