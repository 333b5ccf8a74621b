#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Clients of openssl show certificates, or none: test_mtls.sh MTLS_LOG
set -eu

command -v openssl >/dev/null || {
    echo "skipped: openssl is not here"
    exit 0
}
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=test authority" -keyout ca.key -out ca.pem 2>/dev/null
for name in server alice; do
    openssl req -newkey rsa:2048 -nodes -subj "/O=Example/CN=$name" -keyout $name.key -out $name.csr 2>/dev/null
    openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out $name.pem 2>/dev/null
done

"$1" "tls://127.0.0.1:*" server.pem server.key ca.pem >log &
server=$!

# wait_for TEXT: until the log has it. The test's time limit ends what never comes.
wait_for() {
    until grep -qF "$1" log; do
        kill -0 "$server"
        sleep 0.02
    done
}

wait_for "listening on "
port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' log)
talk() {
    { printf '\0\0\0\5hello'; sleep 0.2; } |
        openssl s_client -connect "127.0.0.1:$port" "$@" >/dev/null 2>&1 || true
}
talk # shows no certificate, and becomes no peer
talk -cert alice.pem -key alice.key
wait_for "CN=alice,O=Example (sha256 "
wait_for ") said something"
wait_for ") went"
[ "$(grep -c ' came$' log)" = 1 ] || {
    echo "somebody without a certificate came in:"
    cat log
    exit 1
}
