#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# usage: test_systems.sh SOURCES WORK
# Configuring says at once for which systems the library is.
set -euo pipefail

sources=${1:?usage: test_systems.sh SOURCES WORK}
work=${2:?usage: test_systems.sh SOURCES WORK}
cmake() { command "${CMAKE:-cmake}" "$@"; }
fail() {
    echo "FAIL: $*" >&2
    exit 1
}

# configure FOLDER OPTION...
configure() {
    cmake -S "$sources" -B "$work/$1" -DZLINK_BUILD_TESTS=OFF "${@:2}" >"$work/$1.log" 2>&1
}

# refuses FOLDER TEXT OPTION...: configuring fails and says the text.
refuses() {
    ! configure "$1" "${@:3}" || fail "$1 is configured"
    # CMake breaks lines of messages.
    tr -s ' \n' ' ' <"$work/$1.log" | grep -F "$2" >/dev/null || {
        cat "$work/$1.log"
        fail "$1 is refused, but not with '$2'"
    }
    echo "ok refuses $1"
}

rm -rf "$work"
mkdir -p "$work/musl"
: >"$work/musl/features.h" # musl's has no __GLIBC__ either
refuses musl-libc "zlink needs glibc" "-DCMAKE_C_FLAGS=-I$work/musl"
refuses riscv "zlink is for amd64 and arm64" -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=riscv64
refuses freebsd "zlink is for Linux, not FreeBSD" -DCMAKE_SYSTEM_NAME=FreeBSD -DCMAKE_SYSTEM_PROCESSOR=amd64

# For another processor the library is built for that, whatever this machine is.
configure arm64 -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 || {
    cat "$work/arm64.log"
    fail "arm64 is refused"
}
grep "zlink for arm64" "$work/arm64.log" >/dev/null || fail "configuring does not tell of arm64"
grep -r "GOARCH=arm64" "$work/arm64" >/dev/null || fail "GOARCH is not arm64"
echo "ok arm64 is told and built for"
