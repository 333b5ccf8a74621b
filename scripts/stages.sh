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

# The processor time of all that has ended and was waited for, in seconds.
processor_s() {
    local stat
    read -r stat <"/proc/$$/stat"
    read -ra stat <<<"${stat##*) }"
    echo $(((stat[13] + stat[14]) / clock_hz))
}
clock_hz=$(getconf CLK_TCK)

# stage NAME WHAT COMMAND...: runs the command in a shell of its own, where
# errors end it.
stage() {
    local name=$1 what=$2 start=$SECONDS rc log took processor
    shift 2
    if [ -n "$stages_counted" ]; then
        stages_total=$((stages_total + 1))
        return
    fi
    stage_number=$((stage_number + 1))
    log=$logs/$(printf '%02d-%s.log' "$stage_number" "${name//[^A-Za-z0-9]/-}")
    processor=$(processor_s)
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
    took="$((SECONDS - start)) s, $(($(processor_s) - processor)) s of processors"
    if [ "$rc" -eq 0 ]; then
        passed=$((passed + 1))
        not_run_in "$log"
        printf -- '--- %s: passed, %s\n' "$name" "$took"
    else
        failed=$((failed + 1))
        failures+=("$name|$log")
        failed_in "$log"
        printf -- '--- %s: FAILED (%d), %s\n' "$name" "$rc" "$took"
    fi
}

declare -A beside # the processes of begin_beside, by name

# begin_beside NAME COMMAND...: begins a command, or a function of compile.sh, beside the stages that follow, and
# gives way to them. Its log is build/NAME.log.
begin_beside() {
    local name=$1
    shift
    [ -z "$stages_counted${beside[$name]-}" ] || return 0
    rm -f "build/$name.code"
    # A kernel that shares processors among sessions takes nice as within one, and asks the session, too.
    # shellcheck disable=SC2016
    setsid nice -n 19 bash -c '{ echo 19 >/proc/self/autogroup; } 2>/dev/null
        (
            set -e
            verbose=
            . scripts/compile.sh
            "${@:2}"
        ) >"build/$1.log" 2>&1
        echo $? >"build/$1.code"' bash "$name" "$@" &
    beside[$name]=$!
    trap end_beside EXIT
}

# Each has a group of its own, which is gone when it has ended. A trap on EXIT whose last
# command fails makes the script fail.
end_beside() {
    local group
    for group in "${beside[@]}"; do kill -- -"$group" "$group" 2>/dev/null || true; done
}

# finish_beside NAME COMMAND...: waits for what begin_beside has begun, which need not give way any longer;
# where nothing was begun, runs it.
finish_beside() {
    local name=$1 group=${beside[$1]-}
    shift
    if [ -z "$group" ]; then
        "$@"
        return
    fi
    { echo 0 >"/proc/$group/autogroup"; } 2>/dev/null || true
    renice -n 0 -g "$group" >/dev/null 2>&1 || true
    while [ ! -s "build/$name.code" ] && kill -0 "$group" 2>/dev/null; do sleep 0.2; done
    cat "build/$name.log"
    [ "$(cat "build/$name.code")" -eq 0 ]
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
