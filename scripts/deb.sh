# shellcheck shell=bash
# SPDX-License-Identifier: MPL-2.0
# ./build.sh deb: Debian packages from the tarball of ./build.sh dist and packaging/debian.

# What comes out, besides symbols for debuggers of each.
deb_packages=(libzlink5 libzlink-dev zlink-tools)

# The changelog of packages that nobody has uploaded: the release, or the commit after it.
# debian_changelog EPOCH
debian_changelog() {
    local revision what="Release of upstream."
    revision=1
    git describe --exact-match --tags HEAD >/dev/null 2>&1 || {
        revision=0+git$(date -u -d "@$1" +%Y%m%d).$(git rev-parse --short=8 HEAD)
        what="A commit that is no release."
    }
    printf 'zlink (%s-%s) unstable; urgency=medium\n\n  * %s\n\n -- zlink maintainers <zlink@users.noreply.github.com>  %s\n' \
        "$(version_of_header)" "$revision" "$what" "$(date -u -R -d "@$1")"
}

# build_debs DIR: the tarball's packages, in DIR, with the changelog and at the time of make_debs. Go is often
# newer than the system's package of it, so -d leaves it to need_go whether it is there.
build_debs() {
    local dir=$1 name epoch
    name=zlink-$(version_of_header)
    epoch=$(cat build/dist/epoch)
    rm -rf "$dir"
    mkdir -p "$dir"
    tar -xzf "build/dist/$name.tar.gz" -C "$dir"
    cp "build/dist/$name.tar.gz" "$dir/${name/-/_}.orig.tar.gz"
    cp -r "$dir/$name/packaging/debian" "$dir/$name/debian"
    cp build/dist/changelog "$dir/$name/debian"
    (
        cd "$dir/$name"
        PATH=$(go env GOROOT)/bin:$PATH GOCACHE=$(go env GOCACHE) SOURCE_DATE_EPOCH=$epoch \
            dpkg-buildpackage -us -uc -b -d "-j$(jobs_count)"
    ) >"$dir/build.log" 2>&1 || {
        tail -n 30 "$dir/build.log" >&2
        die "the packages were not built (log: $dir/build.log)"
    }
    rm -rf "${dir:?}/$name" "$dir"/*.orig.tar.gz
}

# Whatever lintian says fails.
deb_lintian() {
    lintian --allow-root --tag-display-limit 0 --display-info --fail-on error,warning,info build/deb/*.changes
}

# Made again in the same folder, whose path is in the library's build ID, the packages are the same.
deb_reproducible() {
    local file
    rm -rf build/deb-first
    mv build/deb build/deb-first
    build_debs build/deb
    for file in build/deb-first/*.deb; do
        cmp "$file" "build/deb/$(basename "$file")" || return 1
    done
    rm -rf build/deb-first
}

make_debs() {
    local package
    make_dist
    git log -1 --format=%ct >build/dist/epoch
    debian_changelog "$(cat build/dist/epoch)" >build/dist/changelog
    build_debs build/deb
    for package in "${deb_packages[@]}"; do ls build/deb/"${package}"_*.deb; done
    ls build/deb/libzlink5-dbgsym_*.deb
}

stages_deb() {
    stage "packages" "a tarball, and Debian packages of it, in build/deb" make_debs
    stage "lintian" "Debian's checks of packages" deb_lintian
}

stages_deb_check() {
    stages_deb
    stage "recipes" "the port of vcpkg and the recipe of Conan build the tarball, and programs use them" check_recipes
    stage "again" "the packages are the same when they are made again" deb_reproducible
    stage "install" "in a bare Debian: install, compile and run with pkg-config and CMake, remove" scripts/deb-check.sh build/deb
    stage "language packages" "of Python, Node.js, Java and C#, in build/packages" make_packages
    stage "first programs" "in a bare Debian: doc/first-programs.md, command by command" scripts/first-programs.sh build/deb build/packages
}
