#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# usage: test_tools.sh SOURCES WORK
# A configuration that was made before a compiler was there, or with another one,
# does not stay so.
set -euo pipefail

sources=${1:?usage: test_tools.sh SOURCES WORK}
work=${2:?usage: test_tools.sh SOURCES WORK}
cmake() { command "${CMAKE:-cmake}" "$@"; }
targets() { cmake --build "$1" --target help; }
cached() { sed -n "s/^CMAKE_C_COMPILER:[A-Z]*=//p" "$1/CMakeCache.txt"; }
fail() {
    echo "FAIL: $*" >&2
    exit 1
}

rm -rf "$work"
mkdir -p "$work"
cd "$sources"

# This is what CMake remembers when it has found no C++ compiler.
if command -v c++ >/dev/null; then
    cmake -S . -B "$work/cxx" -DCMAKE_CXX_COMPILER=NOTFOUND >"$work/cxx.log"
    targets "$work/cxx" | grep 'host_cpp$' >/dev/null || fail "a C++ compiler that came later is not used"
    echo "ok a C++ compiler that came later is used"
else
    echo "skipped: there is no C++ compiler"
fi

# shellcheck source=scripts/compile.sh
. scripts/compile.sh
if command -v gcc >/dev/null && command -v clang >/dev/null; then
    CC=gcc configure "$work/cc"
    [[ $(cached "$work/cc") == */gcc ]] || fail "CC=gcc is not heeded: $(cached "$work/cc")"
    CC=clang configure "$work/cc"
    [[ $(cached "$work/cc") == */clang ]] || fail "CC=clang is not heeded after CC=gcc: $(cached "$work/cc")"
    echo "ok another CC makes another configuration"
else
    echo "skipped: gcc and clang are not both here"
fi
