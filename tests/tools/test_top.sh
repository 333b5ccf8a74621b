#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# zlink-top on a server of zlink-cat: one page, and live in a terminal of tmux.
# usage: test_top.sh ZLINK_TOP ZLINK_CAT WORK_DIR
set -u

top=$1
cat=$2
work=$3
failed=0
rm -rf "$work"
mkdir -p "$work"
cd "$work" || exit 1
folder=$(mktemp -d) # short enough for the path of a socket
stats=$folder/stats
session=zlink-top
export TMUX_TMPDIR=$folder
has_tmux() { [ -n "$(type -P tmux)" ]; } # command -v finds the function
tmux() { command tmux -L test -f /dev/null "$@"; }
clean() {
    ! has_tmux || tmux kill-server 2>/dev/null
    jobs -p | xargs -r kill 2>/dev/null
    rm -rf "$folder"
}
trap clean EXIT

# has WHAT PATTERN FILE
has() {
    if grep -qE -- "$2" "$3"; then echo "ok $1"; else
        printf 'FAILED %s: nothing like %q in:\n' "$1" "$2" >&2
        cat "$3" >&2
        failed=1
    fi
}

# is WHAT EXPECTED FOUND
is() {
    if [ "$2" = "$3" ]; then echo "ok $1"; else
        printf 'FAILED %s: expected %q, found %q\n' "$1" "$2" "$3" >&2
        failed=1
    fi
}

# A server, and a client that stays.
"$cat" --listen --stats "$stats" 'tcp://127.0.0.1:*' 2>server.err >server.out </dev/null &
until endpoint=$(sed -n 's/^zlink-cat: listening on //p' server.err) && [ -n "$endpoint" ]; do
    kill -0 $! 2>/dev/null || {
        cat server.err >&2
        exit 1
    }
    sleep 0.01
done
mkfifo lines
"$cat" "$endpoint" <lines >client.out 2>&1 &
exec 3>lines
echo hello >&3
until [ -s server.out ]; do sleep 0.01; done

"$top" --once --interval 0.2 "$stats" >once.out
is "one page: the end" 0 $?
has "one page: who" '^zlink-cat \([0-9]+\) .* 1 sockets, 1 peers' once.out
has "one page: the socket" "^ +1 +1 .* $endpoint\$" once.out
has "one page: the drivers" '^drivers 0: (thread|caller|flusher|none), 1 peers, 1 sockets' once.out
has "one page: memory" '^memory +[0-9.]+ MiB resident' once.out
"$cat" -s bye --wait 0 "$endpoint" </dev/null # one that ends
until [ "$(wc -l <server.out)" -eq 2 ] && "$top" --once --interval 0.2 "$stats" >ended.out && grep -q '^ENDED' ended.out; do sleep 0.01; done
has "one page: reasons" '^ENDED +peer_closed 1' ended.out

if has_tmux; then
    # screen PATTERN: until the terminal shows it.
    screen() {
        for ((i = 0; i < 1000; i++)); do
            tmux capture-pane -p -t $session >screen.out 2>/dev/null && grep -qE -- "$1" screen.out && break
            sleep 0.02
        done
        has "live: $1" "$1" screen.out
    }
    tmux new-session -d -s $session -x 200 -y 12 "$(printf '%q ' "$top" --interval 0.2 "$stats") 2>live.err; echo \$? >live.code"
    screen '^zlink-cat \([0-9]+\)'
    screen '\*SOCKET'
    screen '^q end'
    tmux send-keys -t $session s
    screen '\*PEERS'
    tmux send-keys -t $session S
    screen '\*SOCKET'
    tmux send-keys -t $session Space
    screen 'stopped'
    tmux send-keys -t $session q
    until [ -s live.code ]; do sleep 0.02; done
    is "live: the end" 0 "$(cat live.code)"
else
    echo "skipped live: there is no tmux here"
fi

# fails CODE TEXT ARGUMENT...
fails() {
    local code=$1 text=$2
    shift 2
    "$top" "$@" </dev/null >fails.out 2>&1
    is "the end of: zlink-top $*" "$code" $?
    has "what it says: $text" "$text" fails.out
}
fails 1 'no such file' --once "$folder/nobody"
fails 1 'no terminal' "$stats"
fails 2 'one file is needed'
fails 2 'no order "x"' --sort x "$stats"
fails 2 'interval is from' --interval 0 "$stats"
fails 2 'not defined: -none' --none "$stats"
fails 0 'usage: zlink-top' --help
fails 0 '^zlink-top [0-9]' --version
exit $failed
