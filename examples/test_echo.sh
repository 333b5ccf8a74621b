#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The two examples talk to each other, also beside a client that sends without end
# and reads nothing: test_echo.sh ECHO_SERVER RAW_CLIENT
set -eu

port=$((20000 + $$ % 10000))
"$1" "tcp://127.0.0.1:$port" &
server=$!
flood=$(mktemp)
trap 'kill "$server" 2>/dev/null || true; rm -f "$flood"' EXIT

ask() {
    answer=$("$2" "$port" "$1" 2>/dev/null) && [ "$answer" = "$1" ]
}

for _ in $(seq 100); do
    if ask "hello, peer" "$2"; then
        break
    fi
    kill -0 "$server" # it could not bind
    sleep 0.05
done
ask "hello, peer" "$2" || {
    echo "wrong answer: '${answer:-none}'"
    exit 1
}

# Messages of 16 KiB until the server gives the client up; it takes 4 MiB a second of them.
for _ in $(seq 64); do
    printf '\0\0\100\0'
    head -c 16384 /dev/zero
done >"$flood"
send_a_gigabyte() {
    for _ in $(seq 1024); do
        cat "$flood" || return
    done
}
exec 3<>"/dev/tcp/127.0.0.1/$port"
if send_a_gigabyte 1>&3 2>/dev/null; then
    echo "the server took a gigabyte of a client that reads nothing"
    exit 1
fi
ask "still there?" "$2" || {
    echo "a client that reads nothing stopped the server: '${answer:-none}'"
    exit 1
}
