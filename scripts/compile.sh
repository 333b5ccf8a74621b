# shellcheck shell=bash
# SPDX-License-Identifier: MPL-2.0
# Configures and compiles, and says on the terminal what matters of it.

jobs_count() { nproc 2>/dev/null || echo 2; }

# The tools that a configuration remembers, or remembers to be missing.
build_tools() {
    local tool
    for tool in "${CC:-gcc}" "${CXX:-c++}" g++ clang++ go cmake make pkg-config openssl mono mcs dotnet; do
        echo "$tool $(command -v "$tool" || echo none)"
    done
}

# configure DIR [CMAKE_ARG...]: a configuration that was made with other tools,
# or before one was there, is made anew.
configure() {
    local dir=$1 tools
    shift
    mkdir -p "$dir"
    tools=$(build_tools)
    if [ -e "$dir/tools.txt" ] && [ "$tools" != "$(cat "$dir/tools.txt")" ]; then
        rm -rf "$dir/CMakeCache.txt" "$dir/CMakeFiles"
    fi
    CC=${CC:-gcc} cmake -S . -B "$dir" "$@" >"$dir/configure.log" 2>&1 || {
        cat "$dir/configure.log" >&2
        return 1
    }
    echo "$tools" >"$dir/tools.txt"
}

# compile DIR [CMAKE_ARG...]: quiet; -v of build.sh shows all.
compile() {
    local dir=$1 log=$1/build.log
    shift
    if [ -n "$verbose" ]; then
        cmake --build "$dir" --parallel "$(jobs_count)" "$@"
        return
    fi
    cmake --build "$dir" --parallel "$(jobs_count)" "$@" >"$log" 2>&1 || {
        grep -v '^\[ *[0-9]*%\]' "$log" | tail -n 40 >&2
        echo "the build failed; whole log: $PWD/$log" >&2
        return 1
    }
}

build_lib() { configure build && compile build --target zlink_lib; }

# In the project's own builds a warning about the library's C code is an error.
build_all() { configure build -DZLINK_WERROR=ON && compile build; }

# The sanitized builds spread connections over four io threads, whatever the machine
# has: what several of them do wrong shows there.
test_threads=4

configure_asan() {
    configure build/asan -DZLINK_SANITIZE=ON -DZLINK_WERROR=ON "-DZLINK_TEST_THREADS=$test_threads"
}

build_asan() { configure_asan && compile build/asan; }

# The rules of the data path that stand in C and in Go, for the C tests: those of Go alone.
configure_no_hot() { configure build/no_hot -DZLINK_NO_HOT=ON -DZLINK_WERROR=ON; }

build_no_hot() { configure_no_hot && compile build/no_hot; }

# What the load scenarios run: with stacks of the user's choice all there are.
build_scenarios() {
    local targets=(zlink_lib stream_client epoll_echo zlink_echo zlink_has zlink_go_echo stream_report fan_out)
    [[ " $* " != *" --stack"* ]] || targets=(zlink_lib fan_out tests/scenario/stream/all)
    echo "building what runs, the first time for about a minute (log: build/build.log; -v shows it)"
    configure build && compile build --target "${targets[@]}"
}
