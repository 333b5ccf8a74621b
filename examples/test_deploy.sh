#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The files of deploy/ are accepted by the programs that they are for, and HAProxy and nginx
# lead to the service with them, until it drains: test_deploy.sh SERVICE RAW_CLIENT
set -eu

service=$1 client=$2
deploy=$(cd "$(dirname "$0")/deploy" && pwd)
dir=$(mktemp -d)
base=$((20000 + $$ % 10000))
tcp=$base web=$((base + 1)) front=$((base + 2)) pages=$((base + 3))
running=()
trap 'kill "${running[@]}" 2>/dev/null || true; rm -rf "$dir"' EXIT

fail() {
    tail -n 3 "$dir"/*.log 2>/dev/null || true
    echo "FAILED: $*"
    exit 1
}

# until_true COMMAND...: waits for it.
until_true() {
    for _ in $(seq 200); do
        ! "$@" >/dev/null 2>&1 || return 0
        sleep 0.05
    done
    fail "never: $*"
}

answers() { [ "$(timeout 5 "$client" "$1" hello 2>/dev/null)" = hello ]; }

# status PORT PATH [LINE...]: of a request with these lines.
status() {
    local port=$1 path=$2 word=
    shift 2
    exec 4<>"/dev/tcp/127.0.0.1/$port" || return
    printf '%s\r\n' "GET $path HTTP/1.1" "Host: 127.0.0.1" "$@" "" >&4
    read -r -t 5 _ word _ <&4 || true
    exec 4>&-
    echo "$word"
}

is() { [ "$("${@:2}" 2>/dev/null)" = "$1" ]; }

upgrade=("Connection: Upgrade" "Upgrade: websocket" "Sec-WebSocket-Version: 13"
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==")

# With other ports, and without TLS.
here() {
    sed -e "s/5555/$tcp/; s/port 8080/port $web/; s/127\.0\.0\.1:8080/127.0.0.1:$web/; s/\bbind :443 ssl.*/bind 127.0.0.1:$front/" \
        -e "s/listen 5443 ssl/listen 127.0.0.1:$front/; s/listen 8443 ssl/listen 127.0.0.1:$pages/; /ssl_certificate/d" \
        -e "s/inter 2s/inter 300ms/; s|/var/log/nginx/error.log|stderr|; s|/run/nginx.pid|$dir/nginx.pid|; s/20000;/500;/; s/maxconn 20000/maxconn 1000/" \
        "$deploy/$1" >"$dir/$1"
}

start_service() {
    "$service" "drain=$1" "${@:2}" "tcp://127.0.0.1:$tcp" from= "ws://127.0.0.1:$web/chat" &
    served=$!
    running+=("$served")
    until_true is 200 status "$web" /health
}

stop_service() {
    kill -TERM "$served"
    wait "$served" || fail "the service ended with $?"
}

has() {
    command -v "$1" >/dev/null || {
        echo "skipped: there is no $1 here"
        return 1
    }
}

# HAProxy sends clients until the health path answers 503, and those that are there stay.
behind_haproxy() {
    has haproxy || return 0
    if has openssl; then
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=site -days 1 \
            -keyout "$dir/site.key" -out "$dir/site.crt" 2>/dev/null
        cat "$dir/site.crt" "$dir/site.key" >"$dir/site.pem"
        sed "s|/etc/haproxy/site.pem|$dir/site.pem|" "$deploy/haproxy.cfg" >"$dir/tls.cfg"
        haproxy -c -q -f "$dir/tls.cfg" || fail "haproxy refuses haproxy.cfg"
    fi
    here haproxy.cfg
    start_service 50000 from=127.0.0.1
    haproxy -db -f "$dir/haproxy.cfg" 2>"$dir/haproxy.log" &
    proxy=$!
    running+=("$proxy")
    until_true answers "$front"
    ! answers "$tcp" || fail "a client passed by the proxy"
    exec 3<>"/dev/tcp/127.0.0.1/$front"
    printf '\0\0\0\2ab' >&3
    [ "$(head -c 6 <&3 | tail -c 2)" = ab ] || fail "no echo through HAProxy"
    kill -TERM "$served"
    until_true is 503 status "$web" /health
    until_true grep -q 'DOWN.* code: 503' "$dir/haproxy.log"
    printf '\0\0\0\2cd' >&3
    [ "$(head -c 6 <&3 | tail -c 2)" = cd ] || fail "a peer was ended at the beginning of the drain"
    exec 3>&- # the last peer goes, and the drain is over
    wait "$served" || fail "the service ended with $?"
    kill "$proxy"
    wait "$proxy" || true
}

behind_nginx() {
    has nginx || return 0
    [ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || {
        echo "skipped: nginx has no module stream here"
        return 0
    }
    here nginx.conf
    start_service 0 from=127.0.0.1
    nginx -c "$dir/nginx.conf" -g 'daemon off;' 2>"$dir/nginx.log" &
    running+=($!)
    until_true answers "$front"
    is 101 status "$pages" /chat "${upgrade[@]}" || fail "no WebSocket through nginx"
    is 404 status "$pages" /other "${upgrade[@]}" || fail "nginx led another path to the service"
    stop_service
}

# It complains of a line that it does not know, and fails without the program.
unit_is_right() {
    has systemd-analyze || return 0
    sed "s|/usr/local/bin/service|$service|" "$deploy/zlink-service.service" >"$dir/zlink-service.service"
    systemd-analyze verify "$dir/zlink-service.service" >"$dir/unit.log" 2>&1 || fail "systemd refuses zlink-service.service"
    [ ! -s "$dir/unit.log" ] || fail "systemd complains of zlink-service.service"
}

manifests_are_right() {
    /usr/bin/python3 -c 'import yaml' 2>/dev/null || {
        echo "skipped: Python has no module yaml here"
        return 0
    }
    /usr/bin/python3 "$(dirname "$0")/deploy/check_manifests.py" "$deploy/kubernetes.yaml"
}

behind_haproxy
behind_nginx
unit_is_right
manifests_are_right
