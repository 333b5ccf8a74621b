#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The tree of Go that the library is built with (cmake/GoRuntime.cmake): Go's own
# files stay as they are, and a Go that lacks something stops the build.
# usage: test_goroot.sh CMAKE GO SCRIPT TREE WORK_DIR
set -u

cmake=$1 go=$2 script=$3 tree=$4 work=$5
own=$("$go" env GOROOT)
edited=src/runtime/sigtab_linux_generic.go
failed=0

check() {
    local what=$1
    shift
    if "$@"; then echo "ok $what"; else echo "FAILED $what" >&2; failed=1; fi
}

# refused NAME PATTERN: the script ends with this message for such a setting.
refused() {
    rm -rf "$work"
    ! "$cmake" "-DGO=$go" "-DOUT=$work" "-DGODEBUG_NAMES=asyncpreemptoff;$1" -P "$script" \
        >"$work.log" 2>&1 && tr -s '\n ' ' ' <"$work.log" | grep -q "$2"
}

check copy-is-a-file test -f "$tree/$edited" -a ! -L "$tree/$edited"
# shellcheck disable=SC2016 # the words are for the other shell
check copy-differs bash -c '! cmp -s "$1" "$2"' - "$tree/$edited" "$own/$edited"
check original-is-as-it-was grep -q '_SigNotify' "$own/$edited"
check unknown-godebug-setting refused nosuchsetting "no GODEBUG setting 'nosuchsetting'"
rm -rf "$work"
exit $failed
