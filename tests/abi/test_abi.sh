#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# What compiled programs rely on, as a text: functions and their types, values of constants, and places of
# members. Compares it with libzlink5.abi, and the functions with the symbols of the Debian package.
#
#   test_abi.sh CC WORK_DIR           fails when something differs
#   test_abi.sh CC WORK_DIR --write   writes down what is new; what has changed or gone stays an error
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(cd "$here/../.." && pwd)
cc=$1
work=$2
known=$here/libzlink5.abi
symbols=$project/packaging/debian/libzlink5.symbols
headers=(zlink.h zlink_services.h)
export LC_ALL=C
mkdir -p "$work"

# The headers' own lines, preprocessed, one declaration a line.
own_lines() {
    printf '#include <%s>\n' "${headers[@]}" | "$cc" -I"$project/include" -E - |
        awk '/^# [0-9]+ "/ { own = $3 ~ /\/zlink[a-z_]*\.h"$/; next } own' |
        tr -s ' \n\t' '   ' | sed 's/__attribute__ ((visibility ("default"))) //g' |
        awk 'BEGIN { RS = ";"; ORS = "" }
            { depth += gsub(/\{/, "{") - gsub(/\}/, "}"); print $0 (depth ? ";" : "\n") }' |
        sed 's/^ *//; s/ *$//; s/ *( */ (/g; s/( */(/g; s/ *)/)/g' | grep .
}

# Constants: what the headers define, but the guards, fallbacks of the system's and the version.
constants() {
    (cd "$project/include" && sed -n 's/^#define \(ZLINK_[A-Z0-9_]*\|EFSM\|ENOCOMPATPROTO\|ETERM\|EMTHREAD\) ..*/\1/p' "${headers[@]}") |
        grep -v '_INCLUDED$\|^ZLINK_EXPORT$\|^ZLINK_VERSION\|^ZLINK_MAKE_VERSION$' | sort -u
}

# members: "STRUCT MEMBER..." for each structure of declarations on standard input.
members() {
    sed -n 's/^typedef struct \(zlink_[a-z_]*\) { *\(.*\)}.*/\1;\2/p' | awk 'BEGIN { FS = ";" }
        { line = $1
          for (i = 2; i <= NF; i++) {
              sub(/__attribute__.*/, "", $i)
              sub(/\[.*/, "", $i)
              if (match($i, /[A-Za-z_0-9]+ *$/)) line = line " " substr($i, RSTART, RLENGTH)
          }
          print line }' | tr -s ' '
}

# program DECLARATIONS: prints values and places.
program() {
    local name struct member
    printf '#include <stdio.h>\n'
    printf '#include <%s>\n' "${headers[@]}"
    printf 'int main (void)\n{\n'
    for name in $(constants); do printf '    printf ("value %s %%lld\\n", (long long) (%s));\n' "$name" "$name"; done
    members <"$1" | while read -r struct rest; do
        # The caller says how large its own is, so this one may grow at its end.
        [ "$struct" = zlink_stream_stats_t ] ||
            printf '    printf ("struct %s %%zu aligned %%zu\\n", sizeof (%s), _Alignof (%s));\n' "$struct" "$struct" "$struct"
        for member in $rest; do
            printf '    printf ("member %s.%s at %%zu size %%zu\\n", offsetof (%s, %s), sizeof (((%s *) 0)->%s));\n' \
                "$struct" "$member" "$struct" "$member" "$struct" "$member"
        done
    done
    printf '    return 0;\n}\n'
}

describe() {
    own_lines >"$work/declarations"
    program "$work/declarations" >"$work/places.c"
    "$cc" -std=gnu11 -I"$project/include" "$work/places.c" -o "$work/places"
    {
        grep -v '^typedef struct' "$work/declarations" | sed 's/^typedef/type/; t; s/^/function /'
        "$work/places"
    } | sort
}

describe >"$work/now"
for kind in function:100 value:100 member:20; do
    [ "$(grep -c "^${kind%:*} " "$work/now")" -ge "${kind#*:}" ] || {
        echo "FAILED: the headers were not understood: hardly a ${kind%:*}" >&2
        exit 1
    }
done
failed=0
gone=$(comm -13 "$work/now" <(grep -v '^#' "$known"))
new=$(comm -23 "$work/now" <(grep -v '^#' "$known"))
[ -z "$gone" ] || {
    printf 'FAILED: programs that are compiled rely on this, which has changed or gone:\n%s\n' "$gone" >&2
    failed=1
}
exports() { sed -n 's/^function .*\b\(zlink_[a-z0-9_]*\) (.*/\1/p' "$1" | sort -u; }
new_symbols=$(comm -23 <(exports "$work/now") <(sed -n 's/^ \(zlink_[a-z0-9_]*\)@Base .*/\1/p' "$symbols" | sort -u))

if [ "${3-}" = --write ] && [ "$failed" -eq 0 ]; then
    { grep '^#' "$known"; cat "$work/now"; } >"$work/abi"
    cp "$work/abi" "$known"
    version=$(awk '/^#define ZLINK_VERSION_(MAJOR|MINOR|PATCH) / { printf "%s%s", dot, $3; dot = "." }' "$project/include/zlink.h")
    [ -z "$new_symbols" ] || {
        # shellcheck disable=SC2086 # a word is a name
        { grep '^[^ ]' "$symbols"; { grep '^ ' "$symbols"; printf ' %s@Base '"$version"'\n' $new_symbols; } | sort; } >"$work/symbols"
        cp "$work/symbols" "$symbols"
    }
    exit
fi
[ -z "$new" ] || {
    printf 'FAILED: this is new; if it is to stay as it is, run %s CC DIR --write:\n%s\n' "tests/abi/test_abi.sh" "$new" >&2
    failed=1
}
[ -z "$new_symbols" ] || {
    printf 'FAILED: not in packaging/debian/libzlink5.symbols:\n%s\n' "$new_symbols" >&2
    failed=1
}
left_symbols=$(comm -13 <(exports "$work/now") <(sed -n 's/^ \(zlink_[a-z0-9_]*\)@Base .*/\1/p' "$symbols" | sort -u))
[ -z "$left_symbols" ] || {
    printf 'FAILED: no functions, and in packaging/debian/libzlink5.symbols:\n%s\n' "$left_symbols" >&2
    failed=1
}
exit "$failed"
