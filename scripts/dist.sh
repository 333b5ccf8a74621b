# shellcheck shell=bash
# SPDX-License-Identifier: MPL-2.0
# ./build.sh dist: the sources of a commit with the Go modules that the library needs, as one file that is
# the same whenever and wherever it is made.

# The header is the one place that states it.
version_of_header() {
    awk '/^#define ZLINK_VERSION_(MAJOR|MINOR|PATCH) / { printf "%s%s", dot, $3; dot = "." }' include/zlink.h
}

# pack DIR NAME EPOCH FILE: the folder NAME of DIR, without what differs between machines.
pack() {
    tar -C "$1" --sort=name --format=gnu --mtime="@$3" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
        -cf - "$2" | gzip -9n >"$4"
}

# make_dist: build/dist/zlink-VERSION.tar.gz, of HEAD, and SHA256SUMS.
make_dist() {
    local name version
    version=$(version_of_header)
    name=zlink-$version
    git rev-parse --verify -q HEAD >/dev/null || die "a tarball is made of a commit, and this is no clone"
    [ -z "$(git status --porcelain)" ] || echo "the tarball has HEAD, without what is not committed"
    rm -rf build/dist
    mkdir -p build/dist/tree
    git archive --prefix="$name/" HEAD | tar -x -C build/dist/tree
    # What the library and its tests import; the tool chain of Go is not among it.
    go -C "build/dist/tree/$name" mod vendor
    pack build/dist/tree "$name" "$(git log -1 --format=%ct)" "build/dist/$name.tar.gz"
    (cd build/dist && sha256sum "$name.tar.gz" >SHA256SUMS)
    make_recipes "$version" "$name"
    rm -rf build/dist/tree
}

# make_recipes VERSION NAME: a port for vcpkg and a recipe for Conan that build this very tarball.
make_recipes() {
    local file sum to=build/dist
    read -r sum _ < <(sha512sum "$to/$2.tar.gz")
    mkdir -p "$to/vcpkg/zlink-stream"
    cp -r packaging/conan "$to"
    cp tests/install/consumer.c "$to/conan/test_package/test_package.c"
    ln "$to/$2.tar.gz" "$to/conan"
    for file in packaging/vcpkg/vcpkg.json packaging/vcpkg/portfile.cmake packaging/conan/conanfile.py; do
        sed "s/@VERSION@/$1/g; s/@SHA512@/$sum/g" "$file.in" >"build/dist/tree/$(basename "$file")"
    done
    mv "$to/tree/vcpkg.json" "$to/tree/portfile.cmake" "$to/vcpkg/zlink-stream"
    mv "$to/tree/conanfile.py" "$to/conan"
    rm "$to/conan/conanfile.py.in"
}

# check_dist: the tarball is the same when it is made again, and builds where there is neither a network
# nor a module of Go.
check_dist() {
    local name work=$PWD/build/dist/check offline=()
    name=zlink-$(version_of_header)
    cp build/dist/SHA256SUMS build/dist.first
    make_dist
    cmp build/dist.first build/dist/SHA256SUMS || die "made again, the tarball differs"
    rm build/dist.first
    if unshare --net true 2>/dev/null; then offline=(unshare --net); fi
    mkdir -p "$work/modules"
    tar -xzf "build/dist/$name.tar.gz" -C "$work"
    (
        cd "$work/$name"
        export GOMODCACHE=$work/modules GOPROXY=off GOTOOLCHAIN=local
        PATH=$(go env GOROOT)/bin:$PATH
        "${offline[@]}" cmake -S . -B build -DZLINK_BUILD_TESTS=OFF
        "${offline[@]}" cmake --build build
        DESTDIR=$work/root cmake --install build --prefix /usr
        LD_LIBRARY_PATH=$(dirname "$(find "$work/root" -name libzlink.so)") "$work/root/usr/bin/zlink-cat" --version
    ) >build/dist/check.log 2>&1 || {
        tail -n 20 build/dist/check.log >&2
        die "the tarball does not build (log: build/dist/check.log)"
    }
    [ ${#offline[@]} -gt 0 ] || echo "not run here: dist: no network namespace can be had, so the build could have used the network"
    rm -rf "$work"
    echo "the tarball is reproducible, and builds offline"
}

# check_recipes: the port and the recipe build the tarball, and programs use their packages.
check_recipes() {
    local log=build/dist/recipes.log
    tests/recipes/run.sh build/dist build/recipes >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        die "the port or the recipe does not build (log: $log)"
    }
    rm -rf build/recipes
    grep -E '^(-- )?ok |^not run here: ' "$log"
}
