#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# What the system checks of the library, and the library of itself: the flags that it
# was compiled and linked with.
# usage: [SANITIZED=1] test_hardening.sh LIBRARY
set -u

library=$1
failed=0

# has WHAT LISTING PATTERN
has() {
    if grep -Eq "$3" <<<"$2"; then echo "ok $1"; else echo "FAILED $1" >&2; failed=1; fi
}

hasnt() {
    if [ -z "$2" ] || grep -Eq "$3" <<<"$2"; then echo "FAILED $1" >&2; failed=1; else echo "ok $1"; fi
}

# The functions of the library's own C code that look at the guard of their stack.
guarded() {
    objdump -d --no-show-raw-insn "$library" |
        awk '/^[0-9a-f]+ <.*>:$/ { name = $2 } /call.*__stack_chk_fail/ { print name }'
}

needed=$(nm -D --undefined-only "$library")
segments=$(readelf -lW "$library")
dynamic=$(readelf -dW "$library")

has stack-protector "$(guarded)" '^<(take_messages|send_one|fill_event)>'
if [ -n "${SANITIZED-}" ]; then
    echo "skipped fortified functions: AddressSanitizer has its own checks"
else
    has fortified-functions "$needed" '__[a-z]+_chk@'
fi
# Assertions are for builds that test (core/check).
if [ -n "${SANITIZED-}" ]; then
    has assertions "$(strings "$library")" 'this does not hold'
else
    hasnt assertions "$(strings "$library")" 'this does not hold'
fi
has read-only-relocations "$segments" 'GNU_RELRO'
has bound-at-loading "$dynamic" 'FLAGS.*NOW'
has no-executable-stack "$segments" 'GNU_STACK.* RW +0x'
hasnt nothing-both-writable-and-executable "$segments" 'LOAD.* RWE '
hasnt no-relocations-of-code "$dynamic" 'TEXTREL'
hasnt no-search-path "$dynamic" 'R(UN)?PATH'
exit $failed
