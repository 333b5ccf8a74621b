#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# The library exports what the headers declare, and nothing else; its SONAME
# is fixed.
# usage: test_exports.sh LIBRARY HEADER...
set -u

library=$1
shift
soname=libzlink.so.5

# A failing nm or readelf leaves an empty list, which is a failure below.
exported=$(nm -D --defined-only "$library" | awk '{ sub (/@.*/, "", $NF); print $NF }' | sort -u)
declared=$(awk '/^ZLINK_EXPORT/ { inside = 1 } inside { print } /;/ { inside = 0 }' "$@" |
    grep -o 'zlink_[a-z0-9_]* (' | tr -d ' (' | sort -u)
failed=0

if [ -z "$declared" ]; then
    echo "$* declare nothing" >&2
    failed=1
fi
for symbol in $exported; do
    if ! echo "$declared" | grep -qx "$symbol"; then
        echo "exported, not declared: $symbol" >&2
        failed=1
    fi
done
for symbol in $declared; do
    if ! echo "$exported" | grep -qx "$symbol"; then
        echo "declared, not exported: $symbol" >&2
        failed=1
    fi
done

found=$(readelf -d "$library" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
if [ "$found" != "$soname" ]; then
    echo "SONAME is '$found', expected $soname" >&2
    failed=1
fi
exit "$failed"
