#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Verifies every Spin model in this folder: run_models.sh [WORK_DIR]
#
# A line "// spin: FLAGS" in a model replaces the default flags. Flags that
# begin with -D or -O go to the C compiler, the others to the verifier. A line
# "// spin mutants: FLAGS" adds to them for mutants, of which only the error is wanted.
#
# A model passes when its whole state space was searched without an error, and
# when every statement of it was reached: what never runs proves nothing.
#
# A line "// mutate: WHAT: SED" breaks the model: the commands of sed are applied
# to a copy of it, and the verifier has to find an error in that. It says that the
# model would notice the same fault in the code. WHAT has no colon.
set -euo pipefail

models=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=${1:-build/model}
mkdir -p "$work"
work=$(cd "$work" && pwd)

time_limit_s=3000 # others may have the processors, and this is nice

# verify MODEL [FLAG...]: leaves the verifier's report in pan.log of the current
# folder. Searching a small model takes less time than optimizing the verifier, or than
# clearing memory for a large one. One that needs -DCOLLAPSE is large.
verify() {
    local model=$1 optimize=-O0 flag flags cc_flags=() pan_flags=(-m20000 -w18)
    flags=$(sed -n 's|^// spin: *||p' "$model" | head -n 1)
    flags=${flags:--DSAFETY}
    if [[ $flags == *-DCOLLAPSE* ]]; then
        optimize=-O2
        pan_flags=(-m1000000)
    fi
    for flag in $flags "${@:2}"; do
        case $flag in
            -D*) cc_flags+=("$flag") ;;
            -O*) optimize=$flag ;;
            *) pan_flags+=("$flag") ;;
        esac
    done
    spin -a "$model" &&
        "${CC:-gcc}" "$optimize" -w "${cc_flags[@]}" -o pan pan.c &&
        timeout "$time_limit_s" ./pan "${pan_flags[@]}" >pan.log 2>&1
}

# The end of a process that runs for ever is the one state that may stay
# unreached.
unreached() {
    grep -E '^[[:space:]]+.*:[0-9]+, state [0-9]+,' pan.log | grep -v '"-end-"'
}

# verdict: nothing when the report is a full and clean search, else the reason.
verdict() {
    if ! grep -q 'errors: 0' pan.log; then
        echo "the verifier found an error"
    elif grep -qE 'Search not completed|max search depth too small|out of memory' pan.log; then
        echo "the search was cut short"
    elif unreached >/dev/null; then
        echo "unreached statements"
    fi
}

check() {
    local model=$1 name reason
    name=$(basename "$model" .pml)
    rm -rf "${work:?}/$name"
    mkdir "$work/$name"
    cd "$work/$name"
    if ! verify "$model"; then
        reason="spin, the compiler or the verifier failed"
    else
        reason=$(verdict)
    fi
    if [ -n "$reason" ]; then
        printf '%s: FAILED: %s\n' "$name" "$reason"
        [ ! -f pan.log ] || cat pan.log
        return 1
    fi
    printf '%s: ok, %s states\n' "$name" "$(sed -n 's/ *\([0-9.e+]*\) states, stored.*/\1/p' pan.log)"
    check_mutants "$model" "$name"
}

check_mutants() {
    local model=$1 name=$2 line what reason count=0 lived=0
    while IFS= read -r line; do
        what=${line%%:*}
        count=$((count + 1))
        mkdir "mutant$count"
        reason=$(cd "mutant$count" && try_mutant "$model" "${line#*: }")
        [ -z "$reason" ] || {
            printf '%s: FAILED: mutant %d, %s: %s\n' "$name" "$count" "$what" "$reason"
            lived=$((lived + 1))
        }
    done < <(sed -n 's|^// mutate: *||p' "$model")
    [ "$count" -eq 0 ] ||
        printf '%s: the verifier found %d of %d mutants\n' "$name" $((count - lived)) "$count"
    [ "$lived" -eq 0 ]
}

# An error is found soon, so that the compiler's work would cost more than it saves.
# try_mutant MODEL SED: nothing when the verifier finds the error, else the reason.
# The lines of mutations are left out, as sed would change them too.
try_mutant() {
    local flags
    read -ra flags < <(sed -n 's|^// spin mutants: *||p' "$1") || true
    grep -v '^// mutate:' "$1" >plain.pml
    sed -e "$2" plain.pml >mutant.pml || {
        echo "sed does not take it"
        return
    }
    if cmp -s plain.pml mutant.pml; then
        echo "it changes nothing"
    elif ! verify mutant.pml -O0 "${flags[@]}" >mutant.log 2>&1; then
        echo "spin, the compiler or the verifier failed: $(tail -n 1 mutant.log)"
    elif ! grep -qE 'errors: [1-9]' pan.log; then
        echo "the verifier found no error"
    fi
}

# One for each processor at a time; what each says stays together. A check that fails
# leaves a file.
rm -f "$work"/*.failed
found=0
for model in "$models"/*.pml; do
    [ -e "$model" ] || continue
    found=$((found + 1))
    [ "$found" -le "$(nproc)" ] || wait -n || true
    (
        name=$(basename "$model" .pml)
        check "$model" >"$work/$name.log" 2>&1 || touch "$work/$name.failed"
        cat "$work/$name.log"
    ) &
done
wait
[ "$found" -gt 0 ] || {
    echo "no model in $models"
    exit 1
}
[ -z "$(find "$work" -maxdepth 1 -name '*.failed' -print -quit)" ]
