#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Built on the oldest system that is cared for, files need no newer glibc than doc/install.md says.
# usage: test_glibc.sh FILE...
set -eu

built_on=2.36 # Debian 12's: a newer one gives newer versions to symbols
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
said=$(sed -n 's/^glibc \(2\.[0-9]*\) or later.*/\1/p' "$here/../../doc/install.md")
[ -n "$said" ] || {
    echo "FAILED: doc/install.md does not say 'glibc 2.N or later' at the beginning of a line" >&2
    exit 1
}

newest() { printf '%s\n' "$@" | sort -V | tail -n 1; }

for file in "$@"; do
    mapfile -t versions < <(readelf --dyn-syms -W "$file" | grep -o 'GLIBC_2\.[0-9]*' | sed 's/GLIBC_//' | sort -u)
    [ ${#versions[@]} -gt 0 ] || {
        echo "FAILED: $file needs no glibc" >&2
        exit 1
    }
    found=$(newest "${versions[@]}")
    echo "$file needs glibc $found"
    [ "$(newest "$found" "$said")" = "$said" ] && continue
    here_is=$(getconf GNU_LIBC_VERSION | sed 's/glibc //')
    [ "$(newest "$here_is" "$built_on")" = "$built_on" ] || {
        echo "skipped: built with glibc $here_is, $file needs $found"
        exit 77
    }
    echo "FAILED: doc/install.md says glibc $said" >&2
    exit 1
done
