#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# Compiles the header checks with every compiler that is there, in every
# language standard the header supports.
# usage: test_header.sh INCLUDE_DIR
set -u

include_dir=$1
source_dir=$(dirname "$0")
warnings='-Wall -Wextra -Wpedantic -Werror'
compiled=0
failed=0

# compile COMPILER SOURCE STANDARD...
compile() {
    compiler=$1
    source=$2
    shift 2
    command -v "$compiler" >/dev/null || {
        echo "skipped: $compiler is not installed"
        return 0
    }
    for standard in "$@"; do
        # shellcheck disable=SC2086
        if "$compiler" "-std=$standard" $warnings -fsyntax-only \
            -I"$include_dir" "$source_dir/$source"; then
            compiled=$((compiled + 1))
        else
            echo "failed: $compiler -std=$standard $source" >&2
            failed=$((failed + 1))
        fi
    done
}

for compiler in gcc clang; do
    compile "$compiler" test_header.c c99 c11 c17
done
for compiler in g++ clang++; do
    compile "$compiler" test_header_cpp.cpp c++98 c++11 c++17 c++20
done

echo "$compiled compilations passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$compiled" -gt 0 ]
