#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The two examples talk to each other: test_echo.sh ECHO_SERVER RAW_CLIENT
set -eu

port=$((20000 + $$ % 10000))
"$1" "tcp://127.0.0.1:$port" &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT

for _ in $(seq 100); do
    if answer=$("$2" "$port" "hello, peer" 2>/dev/null); then
        break
    fi
    kill -0 "$server" # it could not bind
    sleep 0.05
done
[ "${answer:-}" = "hello, peer" ] || {
    echo "wrong answer: '${answer:-none}'"
    exit 1
}
