# shellcheck shell=bash disable=SC2034,SC2153,SC2154
# SPDX-License-Identifier: MPL-2.0
# The limit of a case is the best of bare loops: with one or two threads, and read
# buffers of several sizes. run_stream_compare.sh, which sources this, tries them
# before the first round; the winner is then the stack epoll of that case.
# trials.csv has the rows of the trials, limits.csv the winners.

declare -A limits # THREADSxBYTES by a case's label

# The loops that a case is worth trying with, as THREADSxBYTES. A buffer larger than
# the smallest that holds a connection's whole window is never filled.
limit_loops() {
    local threads bytes window=$((INFLIGHT * (SIZE + 4)))
    for bytes in $LIMIT_BUFFERS; do
        for threads in $LIMIT_THREADS; do echo "${threads}x$bytes"; done
        [ "$bytes" -lt "$window" ] || break
    done
}

# fastest_loop CSV LABEL: the loop with the best single run, and its rate. What
# disturbs a run makes it slower, and none faster.
fastest_loop() {
    awk -F, -v label="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
        $column["label"] == label && $column["pass_fail"] == "PASS" && $column["throughput"] + 0 > best {
            best = $column["throughput"] + 0
            loop = $column["stack"]
            sub(/^epoll-/, "", loop)
        }
        END { if (loop) printf "%s %.0f\n", loop, best }' "$1" 2>/dev/null
}

# choose_limit CASE: runs every loop LIMIT_TRIES times, in turn. Without a run that
# passed there is no winner: the rounds then say what is wrong with the limit.
choose_limit() {
    local label scenario overrides assignment loop loops rate round
    local stack=epoll csv=$OUT_DIR/trials.csv exit_code=0 progress
    read_case "$1"
    for assignment in $overrides; do local -x "$assignment"; done
    local -x WARMUP=$LIMIT_WARMUP MEASURE=$LIMIT_MEASURE HOLD=0
    read -ra loops <<<"$(limit_loops | tr '\n' ' ')"
    for round in $(seq "$LIMIT_TRIES"); do
        for loop in "${loops[@]}"; do
            progress="[limit of $label, ${#loops[@]} loops]"
            note "$progress try $round, $loop"
            limits[$label]=$loop
            row_stack=epoll-$loop run_one "$1" >/dev/null
        done
    done
    unset "limits[$label]"
    read -r loop rate <<<"$(fastest_loop "$csv" "$label")"
    [ -n "$loop" ] || return 0
    limits[$label]=$loop
    echo "$label,${loop%x*},${loop#*x},$rate" >>"$OUT_DIR/limits.csv"
    note "the limit of $label: $(loop_text "$loop"), $rate messages/s"
}

# loop_text LOOP: "2 threads, buffers of 256 KiB".
loop_text() {
    local threads=${1%x*} buffers="$((${1#*x} / 1024)) KiB"
    if [ "$threads" = 1 ]; then echo "1 thread, a buffer of $buffers"; else echo "$threads threads, buffers of $buffers"; fi
}

# wants_limit CASE: is there anything to choose? Below the maximum rate all are alike.
wants_limit() {
    local label scenario overrides
    read_case "$1"
    [[ $scenario = s2 && " ${stacks[*]} " = *" epoll "* ]] && [ "$RATE" = 0 ]
}

choose_limits() {
    local case
    echo label,threads,buffer,messages_per_s >"$OUT_DIR/limits.csv"
    for case in "${cases[@]}"; do ! wants_limit "$case" || choose_limit "$case"; done
}
