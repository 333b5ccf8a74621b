#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Builds, runs and tests zlink. Everything it makes is under build/.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$root"

usage() {
    cat <<'EOF'
usage: ./build.sh COMMAND [-v]

  lib                  build build/lib/libzlink.so
  run [ARG...]         build what it takes, then compare zlink with the limit in two
                       minutes; the arguments go to
                       tests/scenario/stream/run_quick.sh
  bench [ARG...]       build, then compare zlink with the limit in every cell of
                       tests/scenario/stream/cells.txt, in about 12 minutes: one table and one
                       heat map; fails when a ratio is below its line in floor.txt
                       there; not part of test; --cells NAME,... runs some
  million [CONNECTIONS [tcp|ws...]]
                       build, then have very many connections on this machine: a million over
                       tcp and half a million over ws, in below 10 minutes, or so many over each.
                       A page with charts, and CSV files; not part of test, but for
                       2,000 of each
  bench-check          the first cell of bench, for a minute
  test [--only PART]   run every check, or one part of them:
                       lint   as ./build.sh lint
                       go     Go tests, Go tests with -race, those of the gateway
                       c      C programs, C tests, install test; clients and
                              servers of others: openssl, curl, Node, Chromium;
                              C tests by Go's rules alone
                       asan   C tests with AddressSanitizer
                       model  Spin models
                       report the report of the load scenarios, with its charts
                       doc    the documents against the code, and against what
                              ran in go and c
                       What is missing for it is installed; how much that is, is
                       said before.
  lint [--fix]         the formatters and checkers of Go, C and shell scripts; --fix has the
                       formatters write what they would
  one [OPTION...] NAME[:CASE]
                       build what it takes and run one test: a C test program, or one
                       of its cases (basic, basic:two_clients); a Go test (TestOpen,
                       core/engine:TestGate). --asan: a C test with AddressSanitizer;
                       --no-hot: one by Go's rules alone, without C's short ways;
                       --race: a Go test with the race detector; --times N
  cover                what the tests reach of core/ and capi/, as a table; fails below
                       90 %; takes about 8 minutes
  gateway              build build/bin/zlink-gateway, which joins clients to NATS (gateway/);
                       the first time Go loads 15 modules for it, and compiles for minutes
  lab [FLAG...]        what a cluster of gateways does when something fails, and what it costs, in network
                       namespaces (as root): report and CSV in build/lab, in less than 10 minutes;
                       not part of test; the flags are in gateway/lab/main.go
  cluster [FLAG...]    three nats-servers, three gateways, HAProxy and an echo on this machine, until Ctrl-C
  site [--pictures]    the documents as a site, in build/site; a dead link fails. What its pages look like is in
                       build/pictures, where chromium is; --pictures: makes those that the documents show
                       (doc/pictures) anew
  newcomer             run both commands of the README, in order, in a bare Debian
                       that is made for it and removed (as root, with debootstrap)
  mutate [NAME...]     put faults into a copy of the library, one at a time, and expect
                       the tests to fail (tests/mutation); not part of test
  dist [--check]       build/dist/zlink-VERSION.tar.gz of HEAD, with the Go modules that it needs, and
                       its checksum; --check: made again it is the same, and builds offline, also by
                       the port of vcpkg and the recipe of Conan
  deb [--check]        Debian packages of that, in build/deb, and lintian's word on them; --check
                       makes them again, and installs and uses them in a bare Debian (as root), and
                       those of the bindings, as doc/first-programs.md says
  packages             packages of the bindings, for an installed libzlink.so.5, in build/packages: a wheel,
                       one for npm, a jar and its library, one for NuGet
  release NEXT         the release of the version in include/zlink.h: changelog, tag, and on to
                       NEXT; pushes nothing
  arm64                the library and the C tests for arm64, built here and run by qemu
  clean                remove build/
  help                 show this text

-v shows what the tools say, as they say it. CC chooses the C compiler (default: gcc).
EOF
}

die() {
    printf 'build.sh: %s\n' "$*" >&2
    exit 1
}

verbose=
# shellcheck source=scripts/needs.sh
. scripts/needs.sh
# shellcheck source=scripts/compile.sh
. scripts/compile.sh
# shellcheck source=scripts/stages.sh
. scripts/stages.sh
# shellcheck source=scripts/lint.sh
. scripts/lint.sh
# shellcheck source=scripts/one.sh
. scripts/one.sh
# shellcheck source=scripts/cover.sh
. scripts/cover.sh
# shellcheck source=scripts/dist.sh
. scripts/dist.sh
# shellcheck source=scripts/deb.sh
. scripts/deb.sh
# shellcheck source=scripts/packages.sh
. scripts/packages.sh
# shellcheck source=scripts/arm64.sh
. scripts/arm64.sh
# shellcheck source=scripts/site.sh
. scripts/site.sh

# ------------------------------------------------------------------ stages

# go vet has seen all that these tests have (lint); go test's own would look again, also at all that is used. Files for
# the race detector alone are left to that of their tests.
no_vet=-vet=off

# The core must build and pass where there is no C compiler. The log is what
# doc/conformance.md is checked against.
go_tests() {
    CGO_ENABLED=0 go test "$no_vet" -v ./core/... >build/go-test.log 2>&1 || {
        cat build/go-test.log
        return 1
    }
    grep '^ok' build/go-test.log
    CGO_ENABLED=1 go test "$no_vet" ./capi
}

# The largest package in two halves: otherwise it computes alone for minutes at the end. It is compiled
# before the others, as two commands of Go that begin at once compile the same twice.
go_race_tests() {
    local half rc=0 first='^Test[A-G]' largest=./core/sockets/stream program=$root/build/go-race.test others
    local race=(go test -race "-ldflags=-X=github.com/zlink/zlink/core.testThreads=$test_threads")
    export CGO_ENABLED=1
    mapfile -t others < <(go list ./core/... | grep -v '/sockets/stream$')
    "${race[@]}" -c -o "$program" "$largest" || return
    go_race_half -test.run "$first" >build/go-race-half.log 2>&1 &
    half=$!
    "${race[@]}" "${others[@]}" || rc=1
    go_race_half -test.skip "$first" || rc=1
    wait "$half" || rc=1
    cat build/go-race-half.log
    return "$rc"
}

# go_race_half ARG...: as go test would run it.
go_race_half() { (cd "$largest" && "$program" -test.paniconexit0 -test.timeout 10m "$@"); }

# Most tests wait more than they compute, and no test is decided by how long something
# takes; those that need both processors run alone (RUN_SERIAL).
side_by_side=$(($(jobs_count) * 2))

# run_ctest DIR [ARG...]: tests that find what they need missing say "skipped"; the
# reasons are in CTest's log, also when they pass.
run_ctest() {
    local rc=0
    (cd "$1" && ctest --output-on-failure --no-tests=error --timeout 300 --parallel "$side_by_side" "${@:2}") || rc=$?
    awk '/^[0-9]+\/[0-9]+ Test: / { name = $3 }
        /^skipped|SKIPPED/ { print "not run here: " name ": " $0 }' "$1/Testing/Temporary/LastTest.log"
    return "$rc"
}

# Both at once, as either waits more than it computes.
go_tests_twice() {
    local race rc=0
    go_race_tests >build/go-race.log 2>&1 &
    race=$!
    go_tests || rc=1
    wait "$race" || rc=1
    cat build/go-race.log
    return "$rc"
}

# Each fuzz test for two seconds; its seeds are run with the tests. A package is compiled and
# linked once for all of its own. When its time is over while it gives out the next input, Go's
# fuzzer can take that for a failure and says so: then no input failed, and none was written.
go_fuzz() {
    local file name folder last='' program=$root/build/go-fuzz.test log=$root/build/go-fuzz-one.log cache
    cache=$(go env GOCACHE)/fuzz/$(go list -m)
    while IFS=: read -r file name; do
        folder=$(dirname "$file")
        [ "$folder" = "$last" ] || CGO_ENABLED=0 go test -c "$no_vet" -fuzz . -o "$program" "./$folder"
        last=$folder
        # Go's own tool gives each package such a folder, and runs a test where its files are.
        (cd "$folder" && "$program" -test.run '^$' -test.fuzz "^${name#func }\$" -test.fuzztime 2s \
            -test.fuzzminimizetime 1s -test.fuzzcachedir "$cache/$folder") >"$log" 2>&1 || only_out_of_time "$log" || {
            cat "$log"
            return 1
        }
        cat "$log"
    done < <(grep -roE --include='*_test.go' '^func Fuzz[A-Za-z]+' core | sort)
}

only_out_of_time() {
    grep -qx ' *context deadline exceeded' "$1" && ! grep -qE 'Failing input|panic|hung|_test\.go:' "$1"
}

# The module is one of its own, which ./... does not reach. NATS takes long to compile, so once. Its log, too, is what
# doc/conformance.md is checked against. Tests wait more than they compute, so the manifests are checked beside them.
gateway_tests() {
    local lines='^(ok|not run here)' manifests rc=0
    CGO_ENABLED=0 go -C gateway build -o "$root/build/gateway/zlink-gateway" ./cmd/zlink-gateway
    nats_clients
    check_gateway_manifests >build/gateway-manifests-test.log 2>&1 &
    manifests=$!
    ZLINK_GATEWAY=$root/build/gateway/zlink-gateway NODE_PATH=$root/build/nats/node_modules PYTHONPATH=$root/build/nats/python \
        CGO_ENABLED=0 go -C gateway test "$no_vet" -v ./... >build/gateway-test.log 2>&1 || rc=1
    if [ "$rc" -eq 0 ]; then grep -E "$lines" build/gateway-test.log; else cat build/gateway-test.log; fi
    wait "$manifests" || rc=1
    cat build/gateway-manifests-test.log
    return "$rc"
}

# NATS' own clients, for back ends in Node.js and Python. A test says what is missing.
nats_clients() {
    mkdir -p build/nats
    [ -d build/nats/node_modules/nats ] || ! command -v npm >/dev/null ||
        timeout 60 npm install --silent --no-audit --no-fund --prefix build/nats nats@2 >build/nats/npm.log 2>&1 || true
    [ -d build/nats/python/nats ] || python3 -c 'import nats' 2>/dev/null ||
        timeout 60 python3 -m pip install --quiet --retries 0 --timeout 5 --target build/nats/python nats-py >build/nats/pip.log 2>&1 || true
}

# The manifests against the types of Kubernetes, whose modules (40 MB) are loaded for it.
check_gateway_manifests() {
    local check=gateway/deploy/kubernetes/check
    if ! go -C "$check" mod download >build/gateway-manifests.log 2>&1; then
        echo "not run here: the manifests of Kubernetes against its types: $(tail -n 1 build/gateway-manifests.log)"
        return 0
    fi
    CGO_ENABLED=0 nice -n 19 go -C "$check" test .
}

stages_go() {
    [ -z "$also_models" ] || begin_models
    stage "go test" "Go tests, without a C compiler and with the race detector; layouts of Go and C" go_tests_twice
    stage "go fuzz" "every fuzz test for two seconds" go_fuzz
    stage "gateway" "clients, the gateway, and an embedded NATS" gateway_tests
}

stages_c() {
    stage "build" "the library and all programs (log: build/build.log)" build_all
    [ -z "$also_models" ] || begin_models
    begin_beside build_no_hot build_no_hot
    stage "ctest" "C programs and C tests, install test, clients and servers of others, small loads" run_ctest build
    stage "build no hot" "a library whose calls all go to Go, and the C tests" finish_beside build_no_hot build_no_hot
    [ -z "$also_asan" ] || begin_beside build_asan build_asan
    stage "ctest no hot" "C tests by Go's rules, without C's short ways" no_hot_tests
}

also_models= # they are run, too
also_asan=   # it is, too

# Tests that wait run beside each other; those that need the machine run alone.
no_hot_tests() {
    run_ctest build/no_hot || return
    echo "not run here: no hot: programs of others, scenarios, examples, bindings and the install test: they make the same calls as the C tests"
    echo "not run here: no hot: tests of the header, of the library's file and of what is not in it: no call differs"
}

stages_asan() {
    stage "build asan" "library and C tests with AddressSanitizer" finish_beside build_asan build_asan
    [ -z "$also_models" ] || begin_models
    stage "ctest asan" "C tests with AddressSanitizer" run_ctest build/asan
}

# The models compute on both processors. Where tests, which wait more than they compute, run
# in front of them, they begin with these.
begin_models() { begin_beside "${models[@]}"; }
models=(models tests/model/run_models.sh build/model)

stages_model() {
    stage "spin" "the models of the queues and wake-ups, every state" finish_beside "${models[@]}"
}

# -count=1: the documents are not all that the result depends on. Tests that were
# skipped are told.
check_documents() {
    CGO_ENABLED=0 go test -count=1 "$no_vet" -v ./doc/draw ./doc/man ./doc/site ./tests/doc >build/doc-test.log 2>&1 || {
        cat build/doc-test.log
        return 1
    }
    grep -E '^(ok|not run here: )' build/doc-test.log
}

stages_doc() {
    stage "library" "build it, if it is not there" build_lib
    stage "documents" "doc/ against the code, and against what ran" check_documents
}

# The module is one of its own, which ./... does not reach.
report_tests() {
    cd tests/scenario/stream/report
    export CGO_ENABLED=0
    go vet .
    go test -count=1 "$no_vet" .
}

stages_report() {
    stage "report" "the report of the load scenarios, with its charts" report_tests
}

needs_of() {
    case $1 in
        lint) echo shellcheck ;;
        c) echo g++ clang pkg-config openssl curl node chromium certutil python3 ss ;;
        asan | cover) echo g++ clang pkg-config openssl ;;
        model) echo spin ;;
        arm64) echo aarch64-linux-gnu-gcc qemu-aarch64 ;;
        deb) echo dpkg-buildpackage dh lintian ;;
        deb_check) echo dpkg-buildpackage dh lintian python3 ;;
    esac
}

# ---------------------------------------------------------------- commands

# Thousands of sockets in one process are a normal use here.
allow_many_sockets() { ulimit -n "$(ulimit -H -n)" 2>/dev/null || true; }

cmd_test() {
    local parts=(lint go c asan model report doc)
    while [ $# -gt 0 ]; do
        case $1 in
            -v | --verbose) verbose=yes ;;
            --only)
                parts=("${2-}")
                [[ ${2-} =~ ^(lint|go|c|asan|model|report|doc)$ ]] ||
                    die "--only takes lint, go, c, asan, model, report or doc"
                shift
                ;;
            *) die "test does not know '$1'; see ./build.sh help" ;;
        esac
        shift
    done

    run_parts "all parts take 25 to 35 minutes on 2 processors" "${parts[@]}"
}

# run_parts TIME PART...: installs what they need, and runs their stages.
run_parts() {
    local time=$1 part tools
    shift
    need_build_tools
    for part in "$@"; do
        read -ra tools <<<"$(needs_of "$part")"
        need "${tools[@]}"
        case $part in
            c)
                want_stacks
                want has_fronts "proxies in front of a server" haproxy nginx-light libnginx-mod-stream
                want has_tmux "zlink-top in a terminal" tmux
                want has_yaml "a look at the manifests of Kubernetes" python3 python3-yaml
                ;;
            deb_check) want_packages ;;
            lint) want has_clang_format "the layout of C files" "clang-format-$clang_format_version" ;;
        esac
        case $part in c | asan | cover) need_library libuv libuv1-dev ;; esac
    done
    install_missing
    case " $* " in *" lint "*) say_staticcheck ;; esac
    allow_many_sockets

    rm -rf "$logs"
    mkdir -p "$logs"
    for part in "$@"; do count_stages "stages_$part"; done
    echo "$stages_total stages; $time (logs: $PWD/$logs; -v shows them)"
    [[ " $* " != *" model "* ]] || also_models=yes
    [[ " $* " != *" asan "* ]] || also_asan=yes
    for part in "$@"; do "stages_$part"; done
    stages_end
}

cmd_lint() {
    take_verbose "$@"
    logs=build/lint/logs # a test may be running
    case ${rest[*]} in
        '') run_parts "half a minute; two minutes when the tools have to be built first" lint ;;
        --fix) lint_fix ;;
        *) die "lint does not know '${rest[*]}'; see ./build.sh help" ;;
    esac
}

cmd_one() {
    local name=
    while [ $# -gt 0 ]; do
        case $1 in
            -v | --verbose) verbose=yes ;;
            --asan) one_asan=yes ;;
            --no-hot) one_no_hot=yes ;;
            --race) one_race=yes ;;
            --times)
                one_times=${2-}
                [[ $one_times =~ ^[1-9][0-9]*$ ]] || die "--times takes a number"
                shift
                ;;
            -*) die "one does not know '$1'; see ./build.sh help" ;;
            *)
                [ -z "$name" ] || die "one takes one name, not '$name' and '$1'"
                name=$1
                ;;
        esac
        shift
    done
    [ -n "$name" ] || die "one takes the name of a test; see ./build.sh help"
    need_build_tools
    install_missing
    allow_many_sockets
    one_test "$name"
}

cmd_cover() {
    take_verbose "$@"
    logs=build/cover/logs
    run_parts "about 8 minutes on 2 processors" cover
}

# take_verbose ARG...: sets verbose, and rest to what is no -v.
take_verbose() {
    rest=()
    for arg in "$@"; do
        case $arg in
            -v | --verbose) verbose=yes ;;
            *) rest+=("$arg") ;;
        esac
    done
}

cmd_run() {
    take_verbose "$@"
    need_build_tools
    install_missing
    build_scenarios "${rest[@]}"
    allow_many_sockets
    exec tests/scenario/stream/run_quick.sh "${rest[@]}"
}

cmd_bench() {
    take_verbose "$@"
    need_build_tools
    install_missing
    build_scenarios "${rest[@]}"
    allow_many_sockets
    exec tests/scenario/stream/bench.sh "${rest[@]}"
}

cmd_million() {
    take_verbose "$@"
    need_build_tools
    install_missing
    configure build && compile build --target zlink_lib million stream_report
    allow_many_sockets
    exec tests/scale/million.sh "${rest[@]}"
}

cmd_lib() {
    take_verbose "$@"
    need_build_tools
    install_missing
    build_lib
    ls -l build/lib/libzlink.so*
}

cmd_gateway() {
    take_verbose "$@"
    [ ${#rest[@]} -eq 0 ] || die "gateway does not know '${rest[*]}'; see ./build.sh help"
    CGO_ENABLED=0 go -C gateway build -trimpath -ldflags "-X main.version=$(version_of_header)" \
        -o "$root/build/bin/zlink-gateway" ./cmd/zlink-gateway
    ls -l build/bin/zlink-gateway
}

# build_gateway_lab: the gateway, and the lab's own program.
build_gateway_lab() {
    need_go
    install_missing
    rest=()
    cmd_gateway >/dev/null
    CGO_ENABLED=0 go -C gateway build -o "$root/build/bin/zlink-lab" ./lab
    allow_many_sockets
}

# A folder and flags of the lab may follow, as in gateway/lab/main.go.
cmd_lab() {
    local flags=("$@")
    want has_fronts_of_lab "the lab" haproxy iproute2 util-linux procps
    build_gateway_lab
    exec gateway/lab/lab.sh build/bin/zlink-lab "${flags[@]}"
}

has_fronts_of_lab() { command -v haproxy && command -v ip && command -v unshare && command -v sysctl; } >/dev/null

cmd_cluster() {
    local flags=("$@")
    build_gateway_lab
    exec build/bin/zlink-lab cluster --out build/cluster --gateways 3 "${flags[@]}"
}

cmd_dist() {
    take_verbose "$@"
    need_build_tools
    [[ ${rest[*]} != --check ]] || need python3
    install_missing
    case ${rest[*]} in
        '') make_dist ;;
        --check)
            make_dist
            check_dist
            check_recipes
            ;;
        *) die "dist does not know '${rest[*]}'; see ./build.sh help" ;;
    esac
    cat build/dist/SHA256SUMS
}

cmd_deb() {
    take_verbose "$@"
    logs=build/deb-logs
    case ${rest[*]} in
        '') run_parts "5 minutes on 2 busy processors" deb ;;
        --check) run_parts "15 minutes on 2 busy processors" deb_check ;;
        *) die "deb does not know '${rest[*]}'; see ./build.sh help" ;;
    esac
}

cmd_packages() {
    [ $# -eq 0 ] || die "packages takes no arguments"
    need_build_tools
    need python3
    want_packages
    install_missing
    make_packages
    ls build/packages
}

cmd_arm64() {
    take_verbose "$@"
    [ ${#rest[@]} -eq 0 ] || die "arm64 does not know '${rest[*]}'; see ./build.sh help"
    logs=build/arm64-logs
    run_parts "the build takes minutes, and the tests more" arm64
}

cmd_mutate() {
    need_build_tools
    install_missing
    exec tests/mutation/run.sh "$@"
}

case ${1-help} in
    lib) cmd_lib "${@:2}" ;;
    run) cmd_run "${@:2}" ;;
    test) cmd_test "${@:2}" ;;
    lint) cmd_lint "${@:2}" ;;
    one) cmd_one "${@:2}" ;;
    cover) cmd_cover "${@:2}" ;;
    bench) cmd_bench "${@:2}" ;;
    million) cmd_million "${@:2}" ;;
    bench-check) cmd_bench "${@:2}" --cells tcp-10000x1k-30 ;;
    gateway) cmd_gateway "${@:2}" ;;
    lab) cmd_lab "${@:2}" ;;
    cluster) cmd_cluster "${@:2}" ;;
    dist) cmd_dist "${@:2}" ;;
    deb) cmd_deb "${@:2}" ;;
    packages) cmd_packages "${@:2}" ;;
    arm64) cmd_arm64 "${@:2}" ;;
    release) exec scripts/release.sh "${@:2}" ;;
    mutate) cmd_mutate "${@:2}" ;;
    site) cmd_site "${@:2}" ;;
    newcomer) exec scripts/newcomer.sh "${@:2}" ;;
    clean) rm -rf build ;;
    help | -h | --help) usage ;;
    *)
        usage >&2
        exit 2
        ;;
esac
