#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Host programs must end as they would without the library:
# test_host.sh HOST [HOST_CPP]
set -u

host=$1
host_cpp=${2-}
crash=${CRASH_CODE:-139}
bad=0
ulimit -S -c 0

# ends PROGRAM HABIT CODE [OUTPUT]: 128 + n is an end by signal n.
ends() {
    local output code
    output=$(timeout 30 "$1" "$2" 2>&1)
    code=$?
    if [ "$code" -ne "$3" ] || grep -qi goroutine <<<"$output"; then
        printf '%s: ended with %d, expected %d\n%s\n' "$2" "$code" "$3" "$output"
        bad=1
    elif grep '^skipped' <<<"$output"; then
        : # it has said why
    else
        printf 'ok %s-%s\n' "$(basename "$1")" "$2"
    fi
}

ends "$host" timer 0
ends "$host" process 0
ends "$host" pipe 141
ends "$host" crash "$crash"
ends "$host" crash-early "$crash"
ends "$host" crash-thread "$crash"
ends "$host" division "${CRASH_CODE:-136}"
ends "$host" abort 134
ends "$host" signal 143
[ "$crash" -ne 139 ] || ends "$host" core 0
ends "$host" no-term 7
ends "$host" return 21
ends "$host" exit 22
ends "$host" quick-exit 23
ends "$host" _exit 24
ends "$host" leave-main 25
ends "$host" exit-thread 25

if [ -n "$host_cpp" ]; then
    ends "$host_cpp" return 31
    ends "$host_cpp" exit 32
    ends "$host_cpp" exit-thread 33
    ends "$host_cpp" thread-local 0
    ends "$host_cpp" exceptions 0
    ends "$host_cpp" thread-exceptions 0
    ends "$host_cpp" uncaught 134
    ends "$host_cpp" uncaught-thread 134
else
    echo "C++ hosts: skipped, there is no C++ compiler"
fi
exit "$bad"
