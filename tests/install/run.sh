#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# run.sh BUILD_DIR WORK_DIR: installs the build and uses it like a stranger.
# CMAKE, CC and CXX name the tools; an empty CXX leaves the C++ caller out.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$1
work=$2
cc=${CC:-cc}
strict=(-Wall -Wextra -Wpedantic -Werror)

# Each version stands in one place.
version=$(awk '/^#define ZLINK_VERSION_(MAJOR|MINOR|PATCH) / { printf "%s%s", dot, $3; dot = "." }' \
    "$here/../../include/zlink.h")
abi=$(sed -n 's/^set(zlink_abi \(.*\))$/\1/p' "$here/../../cmake/ZlinkLibrary.cmake")

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# The build remembers one install, which may be the user's.
keep_manifest() {
    local manifest=$build/install_manifest.txt
    if [ -e "$manifest" ]; then
        cp "$manifest" "$work/manifest"
        trap 'cp "$work/manifest" "$build/install_manifest.txt"' EXIT
    else
        trap 'rm -f "$build/install_manifest.txt"' EXIT
    fi
}

# Installed in one place and used in another: the tree must be movable.
install_and_move() {
    "${CMAKE:-cmake}" --install "$build" --prefix "$work/first" >"$work/install.log"
    mv "$work/first" "$work/prefix"
    libdir=$(dirname "$(find "$work/prefix" -name libzlink.so)")
}

check_library() {
    local alien
    [ "$(readlink "$libdir/libzlink.so")" = libzlink.so.5 ] || fail "libzlink.so is no link to libzlink.so.5"
    [ "$(readlink "$libdir/libzlink.so.5")" = "libzlink.so.$abi" ] || fail "libzlink.so.5 is no link to libzlink.so.$abi"
    readelf -d "$libdir/libzlink.so" >"$work/dynamic"
    grep -q 'SONAME.*\[libzlink.so.5\]' "$work/dynamic" || fail "wrong SONAME"
    grep -q NODELETE "$work/dynamic" || fail "the library can be unloaded"
    alien=$(nm -D --defined-only "$libdir/libzlink.so" | awk '$3 !~ /^zlink_/ { print $3 }')
    [ -z "$alien" ] || fail "exported beside zlink_*: $alien"
    echo "library: ok"
}

use_pkg_config() {
    local flags name
    if ! command -v pkg-config >/dev/null; then
        echo "pkg-config: SKIPPED, there is no pkg-config here"
        return
    fi
    export PKG_CONFIG_PATH="$libdir/pkgconfig"
    for name in zlink libzlink; do
        [ "$(pkg-config --modversion $name)" = "$version" ] || fail "pkg-config: wrong version of $name"
    done
    [ "$(pkg-config --cflags --libs libzlink)" = "$(pkg-config --cflags --libs zlink)" ] ||
        fail "pkg-config: libzlink is not zlink"
    read -ra flags <<<"$(pkg-config --cflags --libs libzlink)"
    compile_and_run "$cc" c99 "$here/consumer.c" "${flags[@]}"
    if [ -n "${CXX-}" ]; then
        compile_and_run "$CXX" c++98 "$here/consumer.cpp" "${flags[@]}"
        compile_and_run "$CXX" c++17 "$here/consumer.cpp" "${flags[@]}"
        compile_and_run "$CXX" c++17 "$here/consumer17.cpp" "${flags[@]}"
    else
        echo "pkg-config, C++: SKIPPED, there is no C++ compiler here"
    fi
}

# compile_and_run COMPILER STANDARD SOURCE FLAG...
compile_and_run() {
    local compiler=$1 standard=$2 source=$3
    shift 3
    "$compiler" "-std=$standard" "${strict[@]}" "$source" "$@" -Wl,-rpath,"$libdir" -o "$work/consumer-$standard"
    "$work/consumer-$standard"
    echo "pkg-config, $standard: ok"
}

use_find_package() {
    local languages=C
    [ -z "${CXX-}" ] || languages='C;CXX'
    "${CMAKE:-cmake}" -S "$here/consumer" -B "$work/cmake" -DLANGUAGES="$languages" \
        -DCMAKE_PREFIX_PATH="$work/prefix" >"$work/configure.log"
    "${CMAKE:-cmake}" --build "$work/cmake" >"$work/build.log"
    "$work/cmake/consumer_c"
    "$work/cmake/consumer_target"
    "$work/cmake/consumer_variables"
    [ -z "${CXX-}" ] || { "$work/cmake/consumer_cpp" && "$work/cmake/consumer_cpp17"; }
    echo "find_package, $languages: ok"
}

# As packagers install: stripped, and below a folder that is no part of the paths.
strip_and_uninstall() {
    local root=$work/root library left
    DESTDIR=$root "${CMAKE:-cmake}" --install "$build" --prefix /opt/x --strip >"$work/strip.log"
    library=$(find "$root" -name 'libzlink.so.5.*')
    [ "$(stat -c %s "$library")" -lt "$(stat -L -c %s "$libdir/libzlink.so")" ] || fail "--strip strips nothing"
    ! readelf -S "$library" | grep '\.debug_' >/dev/null || fail "--strip leaves what is for debuggers"
    LD_LIBRARY_PATH=$(dirname "$library") "$work/consumer-c99" || fail "a stripped library does not work"
    echo "strip: ok"

    mkdir -p "$root/opt/x/include"
    : >"$root/opt/x/include/other.h"
    DESTDIR=$root "${CMAKE:-cmake}" --build "$build" --target uninstall >"$work/uninstall.log"
    left=$(find "$root" ! -type d)
    [ "$left" = "$root/opt/x/include/other.h" ] || fail "uninstall leaves: $left"
    [ -z "$(find "$root" -type d -name zlink)" ] || fail "uninstall leaves a folder"
    ! "${CMAKE:-cmake}" --build "$build" --target uninstall >"$work/twice.log" 2>&1 ||
        fail "a second uninstall says nothing"
    echo "uninstall: ok"
}

rm -rf "$work"
mkdir -p "$work"
keep_manifest
install_and_move
check_library
use_pkg_config
use_find_package
strip_and_uninstall
