#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Puts the faults of mutants.txt into a copy of the project, one at a time, and
# expects the tests named there to fail, which pass without a fault:
#
#   run.sh [-w WORK_DIR] [NAME...]
#
# It needs what `build.sh lib` needs. A mutant that lives, or that the code has left
# behind, is an error.
set -euo pipefail

mutation=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$mutation/../.." && pwd)
work=$root/build/mutation
if [ "${1-}" = -w ]; then
    work=$2
    shift 2
fi
wanted=("$@")
tree=$work/tree
time_limit_s=90 # a test that hangs has failed

copy_tree() {
    mkdir -p "$tree"
    (cd "$root" && git ls-files -z --cached --others --exclude-standard |
        while IFS= read -r -d '' file; do
            [ ! -e "$file" ] || printf '%s\0' "$file"
        done | tar --null -T - -cf -) | tar -C "$tree" -xf -
}

no_test=3 # of run_test: the test could not run

# run_test KIND ARG...: runs one test of the copy; its output goes to test.log.
run_test() {
    local kind=$1 race=0 dir options
    shift
    case $kind in
        go)
            [ "${3-}" != race ] || race=1
            (cd "$tree" && CGO_ENABLED=$race timeout "$time_limit_s" \
                go test -count=1 ${3:+-race} -run "^$2\$" "$1") >"$work/test.log" 2>&1
            ;;
        c | no_hot)
            dir=$work/build options=()
            [ "$kind" = c ] || dir=$work/no_hot options=(-DZLINK_NO_HOT=ON)
            (cd "$tree" && cmake -S . -B "$dir" "${options[@]}" &&
                cmake --build "$dir" --parallel 2 --target "$1") >"$work/build.log" 2>&1 || {
                echo "it does not build: $(grep -m 1 -E 'error' "$work/build.log")"
                return $no_test
            }
            (cd "$dir" && TSAN_OPTIONS=halt_on_error=1 timeout "$time_limit_s" \
                "bin/$1" "${@:2}") >"$work/test.log" 2>&1
            ;;
        *)
            echo "unknown kind of test: $kind"
            return $no_test
            ;;
    esac
}

is_wanted() {
    local name
    [ ${#wanted[@]} -gt 0 ] || return 0
    for name in "${wanted[@]}"; do
        [ "$name" != "$1" ] || return 0
    done
    return 1
}

killed=0
bad=0
name='' file='' edits=() tests=()
declare -A passes=() # tests that pass without a fault

complain() {
    bad=$((bad + 1))
    printf '%s: %s\n' "$name" "$1"
}

# Whether a test passes in the copy as it is.
passes_unchanged() {
    if [ -z "${passes[$1]-}" ]; then
        # shellcheck disable=SC2086
        run_test $1 && passes[$1]=yes || passes[$1]=no
    fi
    [ "${passes[$1]}" = yes ]
}

try_mutant() {
    local edit test code args=()
    is_wanted "$name" || return 0
    for test in "${tests[@]}"; do
        passes_unchanged "$test" || {
            complain "$test fails without a fault: $work/test.log"
            return 0
        }
    done
    cp "$tree/$file" "$work/plain"
    for edit in "${edits[@]}"; do
        cp "$tree/$file" "$work/before"
        sed -i -e "$edit" "$tree/$file"
        ! cmp -s "$tree/$file" "$work/before" || complain "this changes nothing in $file: $edit"
    done
    for test in "${tests[@]}"; do
        read -ra args <<<"$test"
        code=0
        run_test "${args[@]}" || code=$?
        case $code in
            0) complain "LIVES: $test passes" ;;
            "$no_test") complain "$test could not run" ;;
            *)
                killed=$((killed + 1))
                printf '%s: %s fails\n' "$name" "$test"
                ;;
        esac
    done
    cp "$work/plain" "$tree/$file"
}

rm -rf "$tree"
copy_tree
# What an earlier run has built of a mutant is older than this.
sed -n 's/^file //p' "$mutation/mutants.txt" | sort -u | while IFS= read -r file; do touch "$tree/$file"; done
while IFS= read -r line || [ -n "$line" ]; do
    case $line in
        '#'*) ;;
        'name '*) name=${line#name } ;;
        'file '*) file=${line#file } ;;
        'sed '*) edits+=("${line#sed }") ;;
        'test '*) tests+=("${line#test }") ;;
        '')
            [ -z "$name" ] || try_mutant
            name='' file='' edits=() tests=()
            ;;
        *)
            printf 'mutants.txt: what is this? %s\n' "$line" >&2
            exit 2
            ;;
    esac
done < <(cat "$mutation/mutants.txt"; echo)
printf '%d tests failed as they have to, %d did not\n' "$killed" "$bad"
[ "$killed" -gt 0 ] && [ "$bad" -eq 0 ]
