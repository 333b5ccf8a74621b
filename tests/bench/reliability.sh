#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Measures what doc/reliability.md tells, one line for each number. The programs are
# those of the last build; the library is the one in LD_LIBRARY_PATH (the build's,
# unless it is set), so that an older one can be measured beside it.
# usage: reliability.sh [PART]...
#   parts: fairness queues floods tls crowd ends handles corners load; all of these, without any
#   testssl: what testssl, which has to be installed, finds in a server; about a minute
#   environment: BIN_DIR, LD_LIBRARY_PATH, SECONDS_EACH (of a flood beside a quiet
#   peer, of races; 3)
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${BIN_DIR:-$root/build/bin}
seconds=${SECONDS_EACH:-3}
export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-$root/build/lib}

folder=$(mktemp -d) || exit
trap 'rm -rf "$folder"' EXIT
cert=$folder/cert.pem key=$folder/key.pem
have_tls() {
    [ -x "$bin/tls_attacks" ] || { echo "$1: tls is left out, as OpenSSL was not there when this was built"; return 1; }
    [ -s "$cert" ] && return
    "$root/tests/scenario/stream/make_certificate.sh" "$folder" >/dev/null 2>&1 && [ -s "$cert" ] ||
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$key" -out "$cert" \
            -days 2 -subj /CN=localhost 2>/dev/null || { echo "$1: tls is left out: no certificate could be made"; return 1; }
}

failed=0
run() {
    timeout 300 "$bin/$1" "${@:2}" || { echo "$*: ended with $?"; failed=1; }
}

fairness() {
    local tls=()
    ! have_tls fairness || tls=("$cert" "$key")
    run fairness "$seconds" "${tls[@]}"
}

queues() {
    for size in 16 64 1024 4096 65536; do
        for pace in one batch; do run slow_peer "$size" "$pace"; done
    done
}

floods() {
    for size in 60 1000; do
        for others in idle busy; do run after_flood "$size" "$others"; done
    done
}

tls() {
    have_tls tls_attacks || return
    for attack in keys start hello part big; do run tls_attacks "$attack" "$cert" "$key"; done
}

crowd() {
    have_tls crowd || return
    for clients in 3000 10000; do run tls_crowd "$clients" "$cert" "$key"; done
}

ends() {
    for how in close peer; do
        run ends late "$how"
        have_tls ends && run ends late "$how" "$cert" "$key"
    done
    for how in peer term; do run ends never "$how"; done
}

handles() {
    for what in senders counters; do run handles "$what" "$seconds"; done
}

corners() {
    run corners ipc 1000
    run corners lock "$seconds"
    run corners events 40000
}

load() {
    run load libzlink.so.5
}

# The certificate is one as an authority makes it: not over soon, and with a revocation list.
testssl() {
    local server endpoint
    command -v testssl >/dev/null || { echo "testssl: it is not installed (testssl.sh)"; return; }
    (
        cd "$folder" || exit
        openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 300 -subj /CN=authority
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout own.key -out own.csr -subj /CN=localhost
        printf '%s\n' subjectAltName=DNS:localhost,IP:127.0.0.1 extendedKeyUsage=serverAuth \
            crlDistributionPoints=URI:http://127.0.0.1/ca.crl >own.ext
        openssl x509 -req -in own.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 300 -extfile own.ext -out own.pem
    ) >/dev/null 2>&1
    coproc "$bin/tls_server" "$folder/own.pem" "$folder/own.key" "tls://127.0.0.1:*"
    server=$COPROC_PID
    read -r endpoint <&"${COPROC[0]}"
    command testssl --quiet --warnings off --color 0 --nodns none --add-ca "$folder/ca.pem" -p -s -f -P -S -U \
        --jsonfile "$folder/findings" "${endpoint#tls://}"
    kill "$server"
    ! grep -E '"severity" *: "(MEDIUM|HIGH|CRITICAL|WARN|FATAL)"' "$folder/findings" || failed=1
    grep -o '"severity" *: "[A-Z]*"' "$folder/findings" | sort | uniq -c
}

[ $# -gt 0 ] || set -- fairness queues floods tls crowd ends handles corners load
for part in "$@"; do
    case $part in
        fairness | queues | floods | tls | crowd | ends | handles | corners | load | testssl)
            echo "# $part: $(date -u '+%F %H:%M') UTC, load $(cut -d' ' -f1 /proc/loadavg), $(nproc) processors, $LD_LIBRARY_PATH"
            "$part" ;;
        *) echo "reliability.sh: no part $part" >&2; exit 2 ;;
    esac
done
exit "$failed"
