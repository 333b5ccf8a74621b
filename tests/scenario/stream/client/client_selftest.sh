#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Runs the load client against servers with one fault each, and checks that it
# names the fault; and against a good server, which must pass.
# usage: client_selftest.sh BIN_DIR
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${1:?usage: client_selftest.sh BIN_DIR}
dir=$(mktemp -d)
server_pid=
failed=0
checks=0

stop_server() {
    [ -z "$server_pid" ] && return
    kill "$server_pid" 2>/dev/null
    wait "$server_pid" 2>/dev/null
    server_pid=
}
trap 'stop_server; rm -rf "$dir"' EXIT

# start_server COMMAND...: sets server_pid and port.
start_server() {
    : >"$dir/server" # here and now: the line of the server before must be gone
    "$@" >"$dir/server" &
    server_pid=$!
    port=
    for _ in $(seq 1200); do
        port=$(awk '/^LISTENING/ { print $2 }' "$dir/server")
        [ -n "$port" ] && return
        sleep 0.05
    done
    echo "no LISTENING line from: $*" >&2
    exit 1
}

# What a client is told about the server is a port, or a name over ipc. Its time-outs
# are for a busy machine; where one has to run out, quick comes behind them.
quick=(--drain-timeout 0.4 --connect-timeout 0.5)

run_client() {
    local where=--port
    [ "${TRANSPORT:-tcp}" != ipc ] || where=--path
    timeout 120 "$bin/stream_client" $where "$port" --ccu 50 --inflight 8 \
        --size 128 --warmup 0.1 --measure 0.3 --drain-timeout 20 --hold 0.6 \
        --connect-timeout 20 --latency-sample-rate 4 "$@" \
        >"$dir/out" 2>"$dir/err"
    rc=$?
}

metric() { sed -n "s/^METRIC .* $1=\([^ ]*\).*/\1/p" "$dir/out"; }

# traces TOOL: it may watch other processes here.
traces() {
    case $1 in
        perf) perf stat -e raw_syscalls:sys_enter true >/dev/null 2>&1 ;;
        strace) strace -c true >/dev/null 2>&1 ;;
    esac
}

field() { sed -n "s/^RESULT .* $1=\([^ ]*\).*/\1/p" "$dir/out"; }

# check NAME CONDITION...: counts, and shows the client's output when it fails.
check() {
    local name=$1
    shift
    checks=$((checks + 1))
    if "$@"; then
        printf 'ok   %-16s %s\n' "$name" "$(field reason)"
    else
        failed=$((failed + 1))
        printf 'FAIL %-16s exit code %s\n' "$name" "$rc"
        cat "$dir/out" "$dir/err"
    fi
}

fails_with() {
    local reason
    [ "$rc" -eq 1 ] && [ "$(field pass_fail)" = FAIL ] || return 1
    for reason in "$@"; do
        [[ ";$(field reason);" == *";$reason;"* ]] || return 1
    done
}

# run_frames NAME: the check frames with a good server; short messages, messages that
# no buffer holds, more in flight than the kernel takes, and a rate.
run_frames() {
    local arguments
    for arguments in "--scenario s0" "--scenario s2" "--scenario s2 --size 16 --inflight 1000" \
        "--scenario s2 --size 300000 --ccu 5" "--scenario s2 --rate 500 --burst 4"; do
        # shellcheck disable=SC2086
        run_client $arguments --check frames
        check "$1-frames" passes
    done
    check "$1-check" [ "$(metric check)" = frames ]
}

passes() { [ "$rc" -eq 0 ] && [ "$(field pass_fail)" = PASS ]; }

refuses() { [ "$rc" -eq 2 ] && grep -q "$1" "$dir/err"; }

# until_fault NAME OPTION...: runs a client of a server with this fault. Most faults come with the hundredth message of a
# connection. On a busy machine that many may take longer, so a client that has seen none gets more time.
until_fault() {
    local name=$1 measure
    shift
    for measure in 0.3 2 10 40; do
        start_server "$bin/bad_server" --fault "$name"
        run_client --scenario s2 --warmup 0 --measure "$measure" --server-pid "$server_pid" "$@"
        stop_server
        passes || return
    done
}

# fault NAME REASON...: a server with this fault fails for these reasons.
fault() {
    local name=$1 times=()
    shift
    [[ " $* " != *timeout* ]] || times=("${quick[@]}")
    until_fault "$name" --stack bad "${times[@]}"
    check "$name" fails_with "$@"
}

# Faults that both checks find.
find_faults() {
    fault wrong-length wrong_length
    fault duplicate gating_violation
    fault lost wrong_number
    fault dies server_ended connection_lost drain_timeout
    fault silent no_answer drain_timeout
    fault stalls incomplete drain_timeout
    fault slow drain_timeout
}

find_faults
fault wrong-bytes wrong_bytes
fault wrong-header wrong_bytes
fault swap wrong_number gating_violation
fault foreign wrong_connection

# The check frames knows no bytes, and no echo from another one.
CHECK=frames find_faults
# Of long bodies only the heads are read.
for fault in "wrong-length wrong_length" "duplicate gating_violation" "lost wrong_number"; do
    read -r name reason <<<"$fault"
    CHECK=frames until_fault "$name" --size 65536 --ccu 2
    check "long-$name" fails_with "$reason"
done
for name in none wrong-bytes wrong-header swap foreign; do
    start_server "$bin/bad_server" --fault $name
    CHECK=frames run_client --scenario s2
    check "frames-$name" passes
    stop_server
done
run_client --scenario s2 --check some
check "check" refuses 'all or frames'

# Over ws; ws-none and ws-split are no faults.
export TRANSPORT=ws
for name in none split; do
    start_server "$bin/bad_server" --fault ws-$name
    for CHECK in all frames; do
        CHECK=$CHECK run_client --scenario s2
        check "ws-$name-$CHECK" passes
    done
    stop_server
done
unset CHECK
start_server "$bin/zlink_echo"
for scenario in s0 s1 s2; do
    run_client --scenario $scenario
    check "ws-zlink-$scenario" passes
done
run_client --scenario s2 --size 300000 --ccu 5
check "ws-zlink-300000" passes
run_frames ws-zlink
stop_server
fault ws-refuses ws_refused connect_fail
fault ws-upgrade ws_bad_upgrade connect_fail
fault ws-accept ws_bad_accept connect_fail
fault ws-mute connect_timeout
fault ws-masked ws_masked_frame connection_lost
fault ws-text ws_bad_opcode connection_lost
fault ws-opcode ws_bad_opcode connection_lost
fault ws-stray ws_bad_opcode connection_lost
fault ws-reserved ws_reserved_bits connection_lost
fault ws-long-ping ws_bad_control connection_lost
fault ws-part-ping ws_bad_control connection_lost
fault ws-close ws_closed connection_lost
CHECK=frames fault ws-text ws_bad_opcode connection_lost
CHECK=frames fault ws-part-ping ws_bad_control connection_lost
CHECK=frames fault ws-close ws_closed connection_lost

# Over ipc, and over tls where OpenSSL is.
export TRANSPORT=ipc
start_server "$bin/zlink_echo"
run_client --scenario s2
check "ipc" passes
run_frames ipc
stop_server
run_client --scenario s1
check "ipc-refused" fails_with connect_fail
check "ipc-errno" grep -q 'errors_by_errno=ECONNREFUSED:50 ' "$dir/out"

export TRANSPORT=tls
message=$(TLS_CA=/dev/null "$bin/stream_client" --scenario s0 --port 1 2>&1 >/dev/null)
if [ $? -eq 2 ] || ! message=$("$here/../make_certificate.sh" "$dir" 2>&1); then
    echo "skip tls, wss: $message"
else
    export TLS_CERT=$dir/cert.pem TLS_KEY=$dir/key.pem TLS_CA=$dir/cert.pem
    servers=(zlink_echo)
    [ ! -x "$bin/asio_tls_echo" ] || servers+=(asio_tls_echo)
    for server in "${servers[@]}"; do
        start_server "$bin/$server"
        for scenario in s0 s1 s2; do
            run_client --scenario $scenario --server-pid "$server_pid"
            check "tls-$server-$scenario" passes
        done
        run_client --scenario s2 --size 300000 --ccu 5
        check "tls-$server-300000" passes
        run_frames "tls-$server"
        stop_server
    done

    start_server "$bin/zlink_echo"
    "$here/../make_certificate.sh" "$dir/other"
    TLS_CA=$dir/other/cert.pem run_client --scenario s1
    check "tls-other-ca" fails_with tls_certificate connect_fail
    # 127.0.0.2 is the same server, but no name of the certificate's.
    run_client --scenario s1 --host 127.0.0.2
    check "tls-other-name" fails_with tls_certificate connect_fail
    TRANSPORT=tcp run_client --scenario s2
    check "tcp-to-tls" fails_with connection_lost
    TRANSPORT=ws run_client --scenario s1
    check "ws-to-tls" fails_with connect_fail
    run_client --scenario s0 --silent 100
    check "silent" passes
    check "silent-count" [ "$(metric silent)" = 100 ]
    run_client --scenario s0 --silent 100 --silent-stay 0.1
    check "silent-stay" passes
    check "silent-replaced" [ "$(metric silent_replaced)" -gt 0 ]
    TLS_CIPHER=nonsense run_client --scenario s1
    check "tls-cipher" grep -q nonsense "$dir/err"
    stop_server
    start_server "$bin/epoll_echo" # the client's own first bytes come back
    run_client --scenario s1
    check "tls-to-tcp" fails_with tls_failed connect_fail
    stop_server

    export TRANSPORT=wss
    start_server "$bin/zlink_echo"
    run_client --scenario s2
    check "wss" passes
    run_client --scenario s2 --size 300000 --ccu 5
    check "wss-300000" passes
    run_frames wss
    TRANSPORT=tls run_client --scenario s2 "${quick[@]}"
    check "tls-to-wss" fails_with no_answer
    stop_server
fi
export TRANSPORT=tcp

fault no-accept connect_timeout
run_client --scenario s1 # the port of the last server, which is gone
check refused fails_with connect_fail
check errno grep -q 'errors_by_errno=ECONNREFUSED:50 ' "$dir/out"

start_server "$bin/bad_server" --fault none
run_client --scenario s2
check no-fault passes
stop_server

# A server that takes 200 ms for a message, of which a connection has one every
# 5 ms: the last ones are due long before the window lets them go.
start_server "$bin/bad_server" --fault slow
run_client --scenario s2 --ccu 5 --inflight 1 --rate 1000 --measure 0.4
late() { awk -v us="$(metric max)" 'BEGIN { exit !(us > 300000) }'; }
check paced-slow passes
check paced-late late
stop_server

start_server "$bin/epoll_echo"
for scenario in s0 s1 s2; do
    run_client --scenario $scenario --stack epoll --server-pid "$server_pid" \
        --csv "$dir/metrics.csv"
    check "epoll-$scenario" passes
done
rows() { awk -F, -v rows="$1" 'NR == 1 { n = NF } NF != n { exit 1 }
    END { exit NR != rows }' "$dir/metrics.csv"; }
check csv rows 4
run_client --scenario s2 --size 16
check "size-16" passes
run_client --scenario s1 --sources 20 --hold 2 &
# Fifty established connections (01) from twenty addresses: what those before left behind is over.
from_20() { [ "$(awk -v to="$(printf '0100007F:%04X' "$port")" '$3 == to && $4 == "01" { print substr($2, 1, 8) }' /proc/net/tcp | sort -u | wc -l)" -eq 20 ]; }
for _ in $(seq 600); do from_20 && break; sleep 0.05; done
rc=0
check "sources" from_20
wait $!
run_client --scenario s1 --sources 20 --host 10.0.0.1
check "sources-elsewhere" refuses 'a host of 127.0.0.0/8'
for burst in 1 4; do
    run_client --scenario s2 --rate 500 --burst $burst
    # Unpaced it would be a hundred times that; a busy machine may catch up.
    paced() { passes && awk -v rate="$(metric throughput)" 'BEGIN { exit !(rate > 0 && rate < 5000) }'; }
    check "paced-$burst" paced
done
run_client --scenario s2 --rate 500 --burst 9
check "burst-9" refuses 'more than INFLIGHT 8'
for tool in perf strace; do
    run_client --scenario s2 --server-pid "$server_pid" --syscalls "$tool" --label s2-syscalls
    # An echo server makes calls, and fewer than a few for each message.
    counted() { awk -v n="$(metric syscalls_per_message)" 'BEGIN { exit !(n > 0.01 && n < 10) }'; }
    if ! traces "$tool"; then
        echo "skip $tool: it cannot count here"
    else
        check "syscalls-$tool" counted
    fi
done
run_frames epoll
# A frame longer than any buffer, and more in flight than the kernel takes.
run_client --scenario s2 --size 300000 --ccu 5
check "size-300000" passes
run_client --scenario s2 --size 15
check "size-15" refuses '15 is not in the range 16'
TRANSPORT=quic run_client --scenario s2
check "transport" refuses 'this client speaks tcp, tls'
run_client --scenario s7
check "s7" refuses 's0, s1 or s2'
stop_server

echo "$checks checks, $failed failed"
[ "$failed" -eq 0 ]
