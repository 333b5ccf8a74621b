#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Installs the packages of ./build.sh deb in a bare Debian that has no Go and no network, and uses
# them as their users do; then removes them.
# usage: deb-check.sh DIR_OF_PACKAGES [--keep]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(cd "$here/.." && pwd)
debs=$1
dir=$project/build/deb-root
packages=gcc,libc6-dev,pkg-config,cmake,make,openssl
keep=
[ "${2-}" != --keep ] || keep=yes
# shellcheck disable=SC2034 # root.sh's
program=deb-check
# shellcheck source=scripts/root.sh
. "$here/root.sh"

need_roots
make_root

mkdir "$root/root/debs"
cp "$debs"/*.deb "$root/root/debs"
cp -r "$project/tests/install" "$root/root/tests"
cp "$project/tests/tools/test_cat.sh" "$project/examples/echo_server.c" "$project/examples/raw_client.c" \
    "$project/examples/test_echo.sh" "$root/root/tests"

# enter COMMAND: a shell in the root, with a loopback device and no other.
enter() {
    # The text is for another shell.
    # shellcheck disable=SC2016
    inside unshare --net bash -euc '
        mount --make-rprivate /
        mount -t proc proc "$1/proc"
        mount --rbind /dev "$1/dev"
        ip link set lo up 2>/dev/null || python3 -c "
import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack(\"16sh14x\", b\"lo\", 0x49))"
        exec chroot "$1" /usr/bin/env -i HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
            PATH=/usr/sbin:/usr/bin:/sbin:/bin bash -euc "cd /root && $2"
    ' bash "$root" "$1"
}

failed=0
check() {
    say "$1"
    if enter "$2"; then echo "ok"; else
        echo "FAILED: $1" >&2
        failed=1
    fi
}

library="dpkg -L libzlink5 | grep '/libzlink.so.5\$'"
check "the library alone installs, and with it the tools" \
    'dpkg -i debs/libzlink5_*.deb debs/zlink-tools_*.deb && ldconfig -p | grep libzlink.so.5 && zlink-cat --version'
check "the library's file of symbols names the package" 'grep -q "^libzlink.so.5 libzlink5 " /var/lib/dpkg/info/libzlink5:*.symbols'
check "the rest installs" 'dpkg -i debs/libzlink-dev_*.deb debs/libzlink5-dbgsym_*.deb && dpkg --audit'
# shellcheck disable=SC2016 # as in enter
check "an example with pkg-config" '
    cc -Wall -Wextra -Werror tests/echo_server.c $(pkg-config --cflags --libs zlink) -o server &&
    cc tests/raw_client.c -o client && tests/test_echo.sh ./server ./client'
# shellcheck disable=SC2016
check "callers with find_package" '
    cmake -S tests/consumer -B consumer -DLANGUAGES=C >/dev/null && cmake --build consumer >/dev/null &&
    for program in c target variables; do consumer/consumer_$program; done'
check "zlink-cat over every transport" 'tests/test_cat.sh /usr/bin/zlink-cat /root/cat'
check "the script for bpftrace" 'grep "^usdt:\*:zlink:accept" /usr/share/zlink/zlink.bt'
check "the debugger's symbols belong to the library" "
    id=\$(readelf -n \"\$(readlink -f \"\$($library)\")\" | sed -n 's/.*Build ID: //p') && test -n \"\$id\" &&
    test -e /usr/lib/debug/.build-id/\${id:0:2}/\${id:2}.debug"
# shellcheck disable=SC2016
check "everything goes" '
    dpkg --purge zlink-tools libzlink-dev libzlink5-dbgsym libzlink5 &&
    test -z "$(find /usr -name "*zlink*")"'
exit "$failed"
