#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# A host program must end as it would without the library: test_host.sh HOST
set -u

host=$1
bad=0
ulimit -c 0

# ends HABIT CODE: 128 + n is an end by signal n.
ends() {
    local output code
    output=$("$host" "$1" 2>&1)
    code=$?
    if [ "$code" -ne "$2" ] || [ -n "$(printf '%s' "$output" | grep -i goroutine)" ]; then
        printf '%s: ended with %d, expected %d\n%s\n' "$1" "$code" "$2" "$output"
        bad=1
    else
        printf '%s: ok\n' "$1"
    fi
}

ends timer 0
ends process 0
ends pipe 141
ends crash "${CRASH_CODE:-139}"
ends no-term 7
ends fork 0
exit "$bad"
