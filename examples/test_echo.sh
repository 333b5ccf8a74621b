#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The two examples talk to each other, also beside a client that sends without end
# and reads nothing: test_echo.sh ECHO_SERVER RAW_CLIENT
set -eu

port=$((20000 + $$ % 10000))
"$1" "tcp://127.0.0.1:$port" &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT

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

# Empty messages until the server gives the client up.
exec 3<>"/dev/tcp/127.0.0.1/$port"
if head -c 1G /dev/zero 1>&3 2>/dev/null; then
    echo "the server took a gigabyte of a client that reads nothing"
    exit 1
fi
ask "still there?" "$2" || {
    echo "a client that reads nothing stopped the server: '${answer:-none}'"
    exit 1
}
