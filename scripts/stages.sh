# shellcheck shell=bash
# SPDX-License-Identifier: MPL-2.0
# Stages of a long run: each says what it does, writes a log of its own, and is
# counted. The last lines are what failed, with the assertions that did.

stages_total=0
stages_counted= # set while they are only counted
stage_number=0
passed=0
failed=0
failures=() # "NAME|LOG"
logs=build/logs

# count_stages COMMAND: how many stages it has.
count_stages() {
    stages_counted=yes
    "$@"
    stages_counted=
}

# stage NAME WHAT COMMAND...: runs the command in a shell of its own, where
# errors end it.
stage() {
    local name=$1 what=$2 start=$SECONDS rc log
    shift 2
    if [ -n "$stages_counted" ]; then
        stages_total=$((stages_total + 1))
        return
    fi
    stage_number=$((stage_number + 1))
    log=$logs/$(printf '%02d-%s.log' "$stage_number" "${name//[^A-Za-z0-9]/-}")
    printf '\n==> stage %d of %d: %s: %s\n' "$stage_number" "$stages_total" "$name" "$what"
    set +e
    if [ -n "$verbose" ]; then
        (
            set -e
            "$@"
        ) 2>&1 | tee "$log"
        rc=${PIPESTATUS[0]}
    else
        (
            set -e
            "$@"
        ) >"$log" 2>&1
        rc=$?
    fi
    set -e
    if [ "$rc" -eq 0 ]; then
        passed=$((passed + 1))
        not_run_in "$log"
        printf -- '--- %s: passed, %d s\n' "$name" $((SECONDS - start))
    else
        failed=$((failed + 1))
        failures+=("$name|$log")
        failed_in "$log"
        printf -- '--- %s: FAILED (%d), %d s\n' "$name" "$rc" $((SECONDS - start))
    fi
}

# What the log of a passed stage says that it left out, and why.
not_run_in() { sed -n 's/^not run here: /    not run here: /p' "$1" | sort -u; }

# The failing assertions in a log, with what was found; when no tool's way of
# saying that is known, its last lines.
failed_in() {
    local found
    found=$(awk '
        # CTest: "12/98 Test #12: c_lookup ...***Failed", and what the program said.
        /Test +#[0-9]+: .*(\*\*\*|Failed)/ { show($4 ":" ($0 ~ /Timeout/ ? " timed out" : "")) }
        # A race: the two places, three calls of each.
        /DATA RACE/ { race = 1 }
        race && /^(Read|Write|Previous|  Read|  Write|  Previous)/ { show($0); place = 6; next }
        race && place-- > 0 { if ($0 ~ /^ *$/) place = 0; else show($0); next }
        race && /created (at|by)|^=====/ { race = $0 ~ /DATA RACE/ }
        /: failed: |not done after [0-9]+ s|^FAIL[: ]|^FAILED|ERROR: [A-Za-z]*Sanitizer|^SUMMARY: |runtime error:|DATA RACE/ { show($0) }
        /^found |^byte [0-9]+ of |, expected / { show($0) }
        # Go, and GoConvey with its lines up to an empty one.
        /--- FAIL: |^panic: |^fatal error: |_test\.go:[0-9]+: / { show($0) }
        /^  \* .*_test\.go/ { block = 1 }
        block && /^ *$/ { block = 0 }
        block { show($0) }
        # Compilers, linkers, CMake, Spin.
        /(^|[^A-Za-z])error: |undefined reference|CMake Error|errors: [1-9]/ { show($0) }
        /^[^ ]+\.go:[0-9]+:[0-9]+: / { show($0) }
        function show(line) { if (!(line in seen) && n++ < 40) print "    " line; seen[line] = 1 }' "$1")
    [ -n "$found" ] || found=$(tail -n 10 "$1" | sed 's/^/    /')
    printf '%s\n' "$found"
}

# Ends with the line "N passed, N failed"; false when one failed.
stages_end() {
    local failure
    for failure in "${failures[@]}"; do
        printf '\nFAILED: %s; whole log: %s\n' "${failure%%|*}" "$PWD/${failure#*|}"
        failed_in "${failure#*|}"
    done
    printf '\n%d stages in %d s; their logs are in %s\n' $((passed + failed)) "$SECONDS" "$PWD/$logs"
    printf '%d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ]
}
