# shellcheck shell=bash
# SPDX-License-Identifier: MPL-2.0
# ./build.sh one: one test, by the name that doc/conformance.md, CTest or Go has for it.

# ---------------------------------------------------------------- Go tests

# packages_with NAME: the folders whose tests have a function of that name.
packages_with() { grep -rlE --include='*_test.go' --exclude-dir=build "^func $1\(" . | xargs -r dirname | sort -u; }

# one_go PACKAGES NAME CASE: NAME is Test..., Fuzz..., Benchmark... or a pattern for those.
one_go() {
    local packages=$1 name=$2 case=$3 arguments=(-v -count="$one_times") package
    [ -z "$one_race" ] || arguments+=(-race)
    case $name in
        Benchmark*) arguments+=(-run '^$' -bench "^$name\$${case:+/$case}") ;;
        *) arguments+=(-run "^$name\$${case:+/$case}") ;;
    esac
    for package in $packages; do
        CGO_ENABLED=$([ -n "$one_race" ] || [[ $package != *core* ]] && echo 1 || echo 0) \
            go -C "$package" test "${arguments[@]}" .
    done
}

# ------------------------------------------------------ C and other programs

# ctest_command DIR NAME: the words of its command, one a line.
ctest_command() {
    (cd "$1" && ctest -N -V -R "^$2\$") | sed -n 's/^[0-9]*: Test command: //p' | xargs -n 1 printf '%s\n'
}

# one_program DIR NAME CASE: without a case CTest runs it as the suite does.
one_program() {
    local dir=$1 name=$2 case=$3 target command i
    target=test_${name#c_}
    if [[ $(cmake --build "$dir" --target help) == *"... $target"$'\n'* ]]; then
        compile "$dir" --target zlink_lib "$target"
    else
        compile "$dir"
    fi
    if [ -z "$case" ]; then
        (cd "$dir" && ctest -V --no-tests=error --repeat until-fail:"$one_times" -R "^$name\$")
        return
    fi
    mapfile -t command < <(ctest_command "$dir" "$name")
    for ((i = 0; i < one_times; i++)); do "${command[@]}" "$case"; done
}

# find_program DIR NAME: what CTest calls it.
find_program() {
    local name known
    known=$(cd "$1" && ctest -N | sed -n 's/^ *Test *#[0-9]*: //p')
    for name in "$2" "c_$2" "c_${2#test_}"; do
        ! grep -qx -- "$name" <<<"$known" || {
            echo "$name"
            return
        }
    done
    return 1
}

# ----------------------------------------------------------------- command

one_asan=
one_no_hot=
one_race=
one_times=1

# one_test NAME[:CASE]
one_test() {
    local name=${1%%:*} case='' dir=build packages program
    [[ $1 != *:* ]] || case=${1#*:}
    if [[ $name == */* && -d $name ]]; then # core/engine:TestX, as documents have it
        [ -z "$case" ] || packages_with "$case" | grep -qx "\./${name%/}" || die "$name has no function $case"
        one_go "./$name" "${case:-.*}" ''
        return
    fi
    if [[ $name =~ ^(Test|Fuzz|Benchmark|Example) ]]; then
        packages=$(packages_with "$name")
        [ -n "$packages" ] || die "no Go package has a function $name"
        one_go "$packages" "$name" "$case"
        return
    fi
    if [ -n "$one_asan" ]; then
        dir=build/asan
        configure_asan
    elif [ -n "$one_no_hot" ]; then
        dir=build/no_hot
        configure_no_hot
    else
        configure build
    fi
    program=$(find_program "$dir" "$name") || die "there is no test '$name'; names: ctest --test-dir $dir -N"
    one_program "$dir" "$program" "$case"
}
