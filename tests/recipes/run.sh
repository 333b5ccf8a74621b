#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# run.sh DIST WORK: the port and the recipe of ./build.sh dist build the tarball without a network, and programs use the packages.
# Where conan is, it does that; where not, and for vcpkg, the files beside this one do what the manuals of both say.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dist=$(cd "$1" && pwd)
rm -rf "$2"
mkdir -p "$2"
work=$(cd "$2" && pwd)
export GOMODCACHE=$work/modules GOTOOLCHAIN=local # there are none but those of the tarball
PATH=$(dirname "$(command -v go)"):$PATH

offline=()
if unshare --net true 2>/dev/null; then offline=(unshare --net); else
    echo "not run here: recipes: no network namespace can be had, so they could have used the network"
fi

mkdir "$work/dist"
cp -r "$dist"/*.tar.gz "$dist/vcpkg" "$work/dist"
"${offline[@]}" cmake "-DPORT_DIR=$work/dist/vcpkg/zlink-stream" "-DWORK=$work/vcpkg" "-DCONSUMER=$here/../install/consumer" -P "$here/vcpkg.cmake"
echo "not run here: recipes: vcpkg itself; tests/recipes/vcpkg.cmake did what it does"

# Another tarball than the port was made for is refused. CMake breaks lines of what it says, where the length of a
# path has it.
echo >>"$work/dist/zlink-"*.tar.gz
if said=$(cmake "-DPORT_DIR=$work/dist/vcpkg/zlink-stream" "-DWORK=$work/vcpkg" -P "$here/vcpkg.cmake" 2>&1) || [[ $(tr -s '[:space:]' ' ' <<<"$said") != *"is another one"* ]]; then
    echo "FAILED: the port takes a changed tarball: $said"
    exit 1
fi

if command -v conan >/dev/null; then
    export CONAN_HOME=$work/conan
    conan profile detect
    "${offline[@]}" conan create "$dist/conan"
else
    "${offline[@]}" python3 "$here/conan_standin.py" "$dist/conan" "$work/conan"
    echo "not run here: recipes: Conan itself; tests/recipes/conan_standin.py did what it does"
fi
