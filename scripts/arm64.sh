# shellcheck shell=bash
# SPDX-License-Identifier: MPL-2.0
# ./build.sh arm64: the library and the C tests for arm64, built here, and the tests run by qemu.

arm64_dir=build/arm64

build_arm64() {
    local root=/usr/aarch64-linux-gnu
    configure "$arm64_dir" -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
        -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc "-DCMAKE_CROSSCOMPILING_EMULATOR=qemu-aarch64;-L;$root" \
        -DCMAKE_DISABLE_FIND_PACKAGE_PkgConfig=ON -DZLINK_WERROR=ON && compile "$arm64_dir"
}

# What cannot pass there, and why: "NAME: REASON" in tests/arm64.txt.
test_arm64() {
    local names
    names=$(sed -n 's/^\([a-z_0-9]*\): .*/\1/p' tests/arm64.txt | paste -sd '|')
    sed -n 's/^[a-z_0-9]*: /not run here: arm64: &/p' tests/arm64.txt
    run_ctest "$arm64_dir" -L '^c$' -E "^($names)\$"
}

stages_arm64() {
    stage "build arm64" "the library, the tools and the C tests with aarch64-linux-gnu-gcc" build_arm64
    stage "ctest arm64" "the C tests under qemu-aarch64" test_arm64
}
