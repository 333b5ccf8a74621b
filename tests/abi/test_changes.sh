#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# A change of the ABI is found, and an addition has to be written down: test_abi.sh with other headers.
# usage: test_changes.sh CC WORK_DIR
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cc=$1
work=$2
failed=0

# tree: a copy of what test_abi.sh reads.
tree() {
    rm -rf "$work"
    mkdir -p "$work/tests" "$work/packaging/debian"
    cp -r "$here/../../include" "$work"
    cp -r "$here" "$work/tests/abi"
    cp "$here/../../packaging/debian/libzlink5.symbols" "$work/packaging/debian"
}

abi() { "$work/tests/abi/test_abi.sh" "$cc" "$work/out" "$@" >"$work/log" 2>&1; }

# says TEXT: of the last run.
says() {
    if grep -q -- "$1" "$work/log"; then echo "ok $1"; else
        echo "FAILED: nothing says: $1" >&2
        cat "$work/log" >&2
        failed=1
    fi
}

tree
header=$work/include/zlink.h
sed -i 's/^#define ZLINK_STREAM_MODE 300/#define ZLINK_STREAM_MODE 299/
    s/^    uint64_t dialled;/    uint32_t dialled;/
    s/^    short revents;/    short pad, revents;/
    s/^ZLINK_EXPORT int zlink_close (void \*socket);/ZLINK_EXPORT long zlink_close (void *socket);/
    s/^ZLINK_EXPORT int zlink_socket_peer_count (void \*socket);//
    s/^typedef void (zlink_thread_fn) (void \*arg);/typedef int (zlink_thread_fn) (void *arg);/' "$header"
! abi || failed=1
says 'rely on this'
says '^value ZLINK_STREAM_MODE 300'
says '^member zlink_stream_stats_t.dialled at 24 size 8'
says '^member zlink_pollitem_t.revents at 14'
says '^function int zlink_close (void \*socket)'
says '^function int zlink_socket_peer_count'
says '^type void (zlink_thread_fn)'
! abi --write || failed=1

tree
sed -i 's/^#define ZLINK_STREAM_MODE 300/&\n#define ZLINK_STREAM_ANOTHER 999/
    s/^ZLINK_EXPORT int zlink_close/ZLINK_EXPORT int zlink_another (void);\n&/' "$header"
! abi || failed=1
says 'this is new'
says '^value ZLINK_STREAM_ANOTHER 999'
says 'not in packaging/debian/libzlink5.symbols'
if abi --write && abi; then echo "ok written down"; else
    echo "FAILED written down" >&2
    cat "$work/log" >&2
    failed=1
fi
rm -rf "$work"
exit $failed
