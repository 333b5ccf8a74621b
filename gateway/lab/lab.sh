#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Runs the lab in network namespaces that end with it, however it ends: lab.sh LAB [FLAG...]
#
# All of it lies in one namespace of processes, one of mounts and one of the network. When their first process
# ends, which it does when this one ends, the system ends all others in it, and no name, mount or interface is left.
set -euo pipefail

lab=$1
shift

skip() {
    echo "SKIP lab: $*"
    exit 0
}

[ "$(id -u)" -eq 0 ] || skip "only root can make network namespaces"
for program in ip haproxy unshare setpriv; do
    command -v "$program" >/dev/null || skip "there is no $program here"
done
inside=(setpriv --pdeathsig KILL unshare --mount --net --pid --fork --kill-child --mount-proc)
"${inside[@]}" true 2>/dev/null || skip "no namespaces can be had here"

# A shell cannot wait in the foreground and take a signal.
# shellcheck disable=SC2016 # the text is for the shell in the namespace
"${inside[@]}" bash -euc '
    mount --make-rprivate /
    mkdir -p /run/netns
    mount -t tmpfs tmpfs /run/netns
    # Ports of thousands of clients of one address; connections that wait to be accepted.
    sysctl -qw net.ipv4.ip_local_port_range="10000 65000" net.core.somaxconn=16384 net.ipv4.tcp_max_syn_backlog=16384 2>/dev/null ||
        echo "the settings of the network cannot be changed here"
    exec "$@"' bash "$lab" run --namespaces "$@" </dev/null &
child=$!
trap 'kill -KILL "$child" 2>/dev/null || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
rc=0
wait "$child" || rc=$?
exit "$rc"
