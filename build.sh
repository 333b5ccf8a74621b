#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Builds, runs and tests zlink. Everything it makes is under build/.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$root"

usage() {
    cat <<'EOF'
usage: ./build.sh COMMAND

  lib                  build build/lib/libzlink.so
  run [ARG...]         build, then compare zlink with the limit in two minutes;
                       the arguments go to tests/scenario/stream/run_quick.sh
  bench-check          build, then compare zlink with the limit in a short s2, for
                       about a minute: fails when the ratio is below the one in
                       tests/scenario/stream/floor.txt; not part of test
  test [--only PART]   run every check, or one part of them:
                       go     gofmt, go vet, Go tests, Go tests with -race
                       c      C programs, C tests, install test; clients and
                              servers of others: openssl, curl, Node, Chromium
                              (installs it: 75 MB to load, 270 MB on disk)
                       asan   C tests with AddressSanitizer
                       model  Spin models
                       report the report of the load scenarios, drawn by Chromium
                       doc    the documents against the code, and against what
                              ran in go and c
  clean                remove build/
  help                 show this text

CC chooses the C compiler (default: gcc).
EOF
}

die() {
    printf 'build.sh: %s\n' "$*" >&2
    exit 1
}

jobs_count() { nproc 2>/dev/null || echo 2; }

# ------------------------------------------------------------------ needs

# The Debian package of a command.
package_of() {
    case $1 in
        gcc) echo gcc libc6-dev ;;
        node) echo nodejs ;;
        certutil) echo libnss3-tools ;;
        *) echo "$1" ;;
    esac
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

can_install() {
    command -v apt-get >/dev/null && { [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null; }
}

apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@"; }

# The package lists may be missing or out of date; then the first try fails.
apt_install() {
    apt_get install -y --no-install-recommends "$@" ||
        { apt_get update && apt_get install -y --no-install-recommends "$@"; }
}

# need COMMAND...: all of them are there afterwards, or the script has ended.
need() {
    local tool missing=() packages=()
    for tool in "$@"; do
        command -v "$tool" >/dev/null && continue
        missing+=("$tool")
        read -ra names <<<"$(package_of "$tool")"
        packages+=("${names[@]}")
    done
    [ ${#missing[@]} -eq 0 ] || install "${packages[@]}"
}

# install PACKAGE...: installs Debian packages, or ends the script.
install() {
    can_install || die "missing: $*
Install what your system's package manager has of them; on Debian and Ubuntu:
  apt-get install $*"

    echo "installing $*"
    mkdir -p build
    apt_install "$@" >build/apt.log 2>&1 || {
        tail -n 5 build/apt.log >&2
        die "apt-get could not install: $* (log: build/apt.log)"
    }
}

# need_library PACKAGE DEBIAN_PACKAGE: pkg-config finds it afterwards.
need_library() {
    pkg-config --exists "$1" || install "$2"
}

has_asio() { echo '#include <asio.hpp>' | g++ -E -x c++ - >/dev/null 2>&1; }

has_openssl() {
    command -v openssl >/dev/null && echo '#include <openssl/ssl.h>' | "${CC:-gcc}" -E - >/dev/null 2>&1
}

has_csharp() {
    { command -v mono && command -v mcs; } >/dev/null || [ -n "$(dotnet --list-sdks 2>/dev/null)" ]
}

# want TEST WHAT PACKAGE...: what only single programs need is installed where
# that can be done, and left out elsewhere.
want() {
    "$1" && return
    if can_install; then
        echo "installing ${*:3}"
        apt_install "${@:3}" >build/apt.log 2>&1 || echo "left out, as apt-get failed (build/apt.log): $2"
    else
        echo "left out, as it is not here: $2"
    fi
}

# Asio is 6 MB, OpenSSL's headers are 13 MB; mono with its assemblies is 50 MB,
# and takes about 15 seconds.
want_stacks() {
    want has_asio "the stack asio" libasio-dev
    want has_openssl "tls and wss in the scenarios" libssl-dev openssl
    want has_csharp "the stacks in C#" mono-runtime mono-mcs libmono-posix4.0-cil
}

need_go() {
    command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
    command -v go >/dev/null || die "missing: go
Get Go $(go_wanted) or later from https://go.dev/dl and put its bin folder into the PATH."
    # An old Go cannot read a new go.mod, and does not say so plainly.
    go list -m >/dev/null 2>build/go.log || {
        cat build/go.log >&2
        die "$(go version) cannot build this; Go $(go_wanted) or later can: https://go.dev/dl"
    }
}

go_wanted() { sed -n 's/^go //p' go.mod; }

need_build_tools() {
    mkdir -p build
    need_go
    need "${CC:-gcc}" cmake make
}

# ------------------------------------------------------------------ build

# configure DIR [CMAKE_ARG...]
configure() {
    local dir=$1
    shift
    mkdir -p "$dir"
    CC=${CC:-gcc} cmake -S . -B "$dir" "$@" >"$dir/configure.log" 2>&1 || {
        cat "$dir/configure.log" >&2
        return 1
    }
}

compile() { cmake --build "$1" --parallel "$(jobs_count)" "${@:2}"; }

build_lib() {
    configure build && compile build --target zlink_lib
}

build_all() {
    configure build && compile build
}

# ------------------------------------------------------------------ stages

passed=0
failed=0

# stage NAME COMMAND...: runs the command in a shell of its own, where errors
# end it, and counts the result.
stage() {
    local name=$1 start=$SECONDS rc
    shift
    printf '\n==> %s\n' "$name"
    set +e
    (
        set -e
        "$@"
    )
    rc=$?
    set -e
    if [ "$rc" -eq 0 ]; then
        passed=$((passed + 1))
        printf -- '--- %s: passed, %d s\n' "$name" $((SECONDS - start))
    else
        failed=$((failed + 1))
        printf -- '--- %s: FAILED (%d), %d s\n' "$name" "$rc" $((SECONDS - start))
    fi
}

check_format() {
    local bad
    bad=$(find . -path ./build -prune -o -name '*.go' -print0 | xargs -0 gofmt -l)
    [ -z "$bad" ] || {
        printf 'not formatted:\n%s\n' "$bad"
        return 1
    }
}

# The core must build and pass where there is no C compiler. The log is what
# doc/conformance.md is checked against.
go_tests() {
    CGO_ENABLED=0 go test -v ./core/... >build/go-test.log 2>&1 || {
        cat build/go-test.log
        return 1
    }
    grep '^ok' build/go-test.log
    go test ./capi
}

go_race_tests() { CGO_ENABLED=1 go test -race ./core/...; }

run_ctest() {
    (cd "$1" && ctest --output-on-failure --no-tests=error --timeout 300)
}

build_asan() {
    configure build/asan -DZLINK_SANITIZE=ON && compile build/asan
}

stages_go() {
    stage "gofmt" check_format
    stage "go vet" go vet ./...
    stage "go test" go_tests
    stage "go test -race" go_race_tests
}

stages_c() {
    stage "build" build_all
    stage "ctest" run_ctest build
}

stages_asan() {
    stage "build with AddressSanitizer" build_asan
    stage "ctest with AddressSanitizer" run_ctest build/asan
}

stages_model() {
    stage "spin models" tests/model/run_models.sh build/model
}

# -count=1: the documents are not all that the result depends on.
stages_doc() {
    stage "build the library" build_lib
    stage "documents" go test -count=1 ./tests/doc
}

# The module is one of its own, which ./... does not reach.
report_tests() {
    cd tests/scenario/stream/report
    go vet .
    REPORT_RENDER=required go test -count=1 .
}

stages_report() {
    stage "get ECharts" tests/scenario/stream/report/get_echarts.sh build/echarts
    stage "report of the scenarios" report_tests
}

needs_of() {
    case $1 in
        report)
            echo chromium
            [ -s build/echarts/echarts.common.min.js ] || echo npm
            ;;
        c) echo g++ clang pkg-config openssl curl node chromium certutil ;;
        asan) echo g++ clang pkg-config openssl ;;
        model) echo spin ;;
    esac
}

# ---------------------------------------------------------------- commands

# Thousands of sockets in one process are a normal use here.
allow_many_sockets() { ulimit -n "$(ulimit -H -n)" 2>/dev/null || true; }

cmd_test() {
    local parts=(go c asan model report doc) part tools
    case ${1-} in
        '') ;;
        --only)
            parts=("${2-}")
            [[ ${2-} =~ ^(go|c|asan|model|report|doc)$ ]] ||
                die "--only takes go, c, asan, model, report or doc"
            ;;
        *) die "test does not know '$1'; see ./build.sh help" ;;
    esac

    need_build_tools
    for part in "${parts[@]}"; do
        mapfile -t tools < <(needs_of "$part" | tr ' ' '\n')
        need "${tools[@]}"
        case $part in c | asan) need_library libuv libuv1-dev ;; esac
        [ "$part" != c ] || want_stacks
    done
    allow_many_sockets

    for part in "${parts[@]}"; do
        "stages_$part"
    done
    printf '\n%d stages in %d s\n' $((passed + failed)) "$SECONDS"
    printf '%d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ]
}

cmd_run() {
    need_build_tools
    build_all
    allow_many_sockets
    exec tests/scenario/stream/run_quick.sh "$@"
}

cmd_bench_check() {
    need_build_tools
    build_all
    allow_many_sockets
    exec tests/scenario/stream/bench_check.sh
}

cmd_lib() {
    need_build_tools
    build_lib
    ls -l build/lib/libzlink.so*
}

case ${1-help} in
    lib) cmd_lib ;;
    run) cmd_run "${@:2}" ;;
    test) cmd_test "${@:2}" ;;
    bench-check) cmd_bench_check ;;
    clean) rm -rf build ;;
    help | -h | --help) usage ;;
    *)
        usage >&2
        exit 2
        ;;
esac
