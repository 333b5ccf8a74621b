#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# zlink-cat with itself, over every transport and framing, and its failures.
# usage: test_cat.sh ZLINK_CAT WORK_DIR
set -u

cat=$1
work=$2
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

# listen NAME OPTION... ENDPOINT: sets endpoint to where it listens, and server to its process.
listen() {
    local name=$1
    shift
    "$cat" --listen "$@" >"$name.out" 2>"$name.err" <"${input:-/dev/null}" &
    server=$!
    endpoint=
    until [ -n "$endpoint" ]; do
        endpoint=$(sed -n 's/^zlink-cat: listening on //p' "$name.err")
        kill -0 "$server" 2>/dev/null || break
        sleep 0.01
    done
    [ -n "$endpoint" ] || {
        cat "$name.err" >&2
        exit 1
    }
}

# exchange NAME OPTION... -- SERVER_OPTION...: two lines from a client, one of them not ended.
exchange() {
    local name=$1 options=()
    shift
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    listen "$name" --count 2 "$@"
    printf 'one\n\xc3\xa9 two' | "$cat" "${options[@]}" "${endpoint/any:/tcp:}" 2>"$name.client"
    is "$name: the client's end" 0 $?
    wait "$server"
    is "$name: the server's end" 0 $?
    is "$name: lines" $'one\n\xc3\xa9 two' "$(cat "$name.out")"
}

exchange tcp -- 'tcp://127.0.0.1:*'
exchange ipc -- "ipc://$work/socket"
exchange ws -- 'ws://127.0.0.1:*/chat'
exchange text --framing text -- --framing binary 'ws://127.0.0.1:*/'
exchange any -- 'any://127.0.0.1:*'

# A message of more than a queue takes, from one side to both others; it waits in no peer's way.
head -c 6000000 /dev/zero | tr '\0' x >"$work/long"
input=$work/long
listen long --all 'tcp://127.0.0.1:*'
first=$endpoint
"$cat" --count 1 "$first" >client.out </dev/null
is "long: the client's end" 0 $?
is "long: a message" "6000001 $(md5sum <<<"$(cat long)")" "$(wc -c <client.out) $(md5sum <client.out)"
kill "$server"
wait "$server" 2>/dev/null
unset input

# Bytes as they are, and no line ends.
listen raw --framing raw --wait 0 --send $'hello\n' 'tcp://127.0.0.1:*'
"$cat" --framing raw "$endpoint" </dev/null >raw.out
is "raw: bytes" $'hello\n.' "$(cat raw.out; echo .)"

# A name without TLS certificates is dialled anew until somebody is there.
listen port 'tcp://127.0.0.1:*'
kill "$server"
wait "$server" 2>/dev/null
"$cat" --retry --count 1 --hex --ids "$endpoint" >retry.out </dev/null &
client=$!
listen retry --send $'\x01z' "$endpoint"
wait "$client"
is "retry: the client's end" 0 $?
is "retry: digits" 017a "$(cut -f 2 retry.out)"
kill "$server"
wait "$server" 2>/dev/null
# It ends --wait after the last message, however often it dials meanwhile: more often than once in that time.
listen once --count 1 'tcp://127.0.0.1:*'
timeout 30 "$cat" --retry --send last --wait 1000 "$endpoint"
is "retry: the end of the wait" 0 $?
wait "$server"
is "retry: what came" last "$(cat once.out)"

if command -v openssl >/dev/null; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -days 2 \
        -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null
    for scheme in tls wss; do
        exchange $scheme --ca cert.pem -- --cert cert.pem --key key.pem "$scheme://127.0.0.1:*"
    done
    listen strict --cert cert.pem --key key.pem 'tls://127.0.0.1:*'
    "$cat" "$endpoint" </dev/null 2>strict.client
    is "strict: an unknown certificate" 1 $?
    is "strict: why" 1 "$(grep -c 'certificate' strict.client)"
    kill "$server"
else
    echo "skipped tls and wss: there is no openssl here"
fi

# fails CODE TEXT ARGUMENT...
fails() {
    local code=$1 text=$2
    shift 2
    "$cat" "$@" </dev/null >fails.out 2>&1
    is "the end of: zlink-cat $*" "$code" $?
    grep -q -- "$text" fails.out
    is "what it says: $text" 0 $?
}
fails 1 'no connection' "$(sed -n 's/^zlink-cat: listening on //p' port.err)"
fails 1 'has no "://"' nothing
fails 1 'Protocol not supported' foo://127.0.0.1:1
fails 2 'endpoint is missing'
fails 2 'more than one endpoint' tcp://a:1 tcp://b:1
fails 2 "at least 1, not 'x'" --count x tcp://a:1
fails 2 "no framing 'none'" --framing none tcp://a:1
fails 2 'unrecognized option' --none
fails 0 'usage: zlink-cat' --help
fails 0 '^zlink-cat [0-9]' --version
exit $failed
