# shellcheck shell=bash
# SPDX-License-Identifier: MPL-2.0
# ./build.sh cover: what the tests reach of core/ and of capi/. Go's own tests count for
# the core; the C tests run a library that counts for itself, in Go and in C.

cover_least=90 # percent, of core and of capi
cover_dir=build/cover

cover_go_tests() {
    mkdir -p "$cover_dir"
    CGO_ENABLED=0 go test -coverpkg=./core/... "-coverprofile=$cover_dir/go-tests.txt" ./core/...
}

cover_build() { configure "$cover_dir" -DZLINK_COVER=ON && compile "$cover_dir"; }

# shellcheck disable=SC2154 # root is build.sh's
cover_c_tests() {
    local counters=$root/$cover_dir/go-counters
    rm -rf "$counters" "$cover_dir"/gcov/*.gcda
    mkdir -p "$counters"
    # Those two look at the process's descriptors and variables, of which counting takes some.
    GOCOVERDIR=$counters run_ctest "$cover_dir" -L '^c$' -E '^c_host_(state|load)$'
    go tool covdata textfmt "-i=$counters" "-o=$cover_dir/c-tests.txt"
}

# "PLACE COUNTED RUN BY_GO BY_C" for each package of Go: statements that are there, that
# any test reached, the Go tests, the C tests.
cover_of_go() {
    awk '/^mode:/ { next }
        { split($1, at, ":"); n[$1] = $2; if ($3 > 0) ran[$1, FILENAME ~ /c-tests/] = 1 }
        END {
            for (block in n) {
                place = block
                sub(/^github.com\/zlink\/zlink\//, "", place)
                sub(/\/[^\/]*$/, "", place)
                all[place] += n[block]
                if ((block, 0) in ran || (block, 1) in ran) any[place] += n[block]
                if ((block, 0) in ran) go[place] += n[block]
                if ((block, 1) in ran) c[place] += n[block]
            }
            for (place in all) print place, all[place], any[place] + 0, go[place] + 0, c[place] + 0
        }' "$cover_dir/go-tests.txt" "$cover_dir/c-tests.txt" | sort
}

# The same for each file of C, in lines. A header's line counts once, whoever includes it.
cover_of_c() {
    (cd capi && gcov --stdout --relative-only "../$cover_dir"/gcov/*.gcda 2>/dev/null) | awk -F : '
        $3 == "Source" || $2 ~ /^ *0$/ { if ($3 == "Source") file = $4; next }
        file !~ /^[a-z]+\.[ch]$/ { next }
        $1 ~ /-$/ { next }
        { all[file, $2 + 0] = file; if ($1 !~ /#####|=====/) ran[file, $2 + 0] = 1 }
        END {
            for (line in all) { n[all[line]]++; any[all[line]] += (line in ran) }
            for (file in n) print "capi/" file, n[file], any[file], 0, any[file]
        }' | sort
}

cover_table() {
    { cover_of_go; cover_of_c; } | awk -v least="$cover_least" '
        function percent(part, all) { return all ? sprintf("%5.1f", 100 * part / all) : "    -" }
        BEGIN { printf "%-28s %8s  %s\n", "", "counted", "any  Go tests  C tests   (percent)" }
        {
            printf "%-28s %8d %s     %s    %s\n", $1, $2, percent($3, $2), $4 ? percent($4, $2) : "    -", percent($5, $2)
            part = $1 ~ /^core/ ? "core" : "capi"
            all[part] += $2; any[part] += $3; go[part] += $4; c[part] += $5
        }
        END {
            for (i = split("core capi", parts, " "); i > 0; i--) {
                part = parts[i]
                printf "%-28s %8d %s     %s    %s\n", "all of " part, all[part], percent(any[part], all[part]),
                    go[part] ? percent(go[part], all[part]) : "    -", percent(c[part], all[part])
                if (100 * any[part] < least * all[part]) low = low " " part
            }
            if (low) { print "below " least " %:" low; exit 1 }
        }'
}

stages_cover() {
    stage "go test" "Go tests of the core, counted" cover_go_tests
    stage "build" "a library that counts, and the C tests" cover_build
    stage "ctest" "the C tests over it" cover_c_tests
    stage "table" "at least $cover_least percent of core and of capi" cover_table
}
