#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# ./build.sh release NEXT: makes the release of the version that the header states, and goes on to NEXT. Two
# commits and a tag, here; nothing is pushed. SOURCE_DATE_EPOCH gives another day than today.
# usage: release.sh NEXT, from the top of a clone
set -euo pipefail

die() {
    echo "release: $*" >&2
    exit 1
}

version_of_header() {
    awk '/^#define ZLINK_VERSION_(MAJOR|MINOR|PATCH) / { printf "%s%s", dot, $3; dot = "." }' include/zlink.h
}

# The places that tell the version: the header, and pages that a test compares with it.
# set_version OLD NEW
set_version() {
    local part i=1 short=${1%.*} old=${1//./\\.}
    short=${short//./\\.}
    for part in MAJOR MINOR PATCH; do
        sed -i "s/^#define ZLINK_VERSION_$part [0-9]*\$/#define ZLINK_VERSION_$part $(cut -d . -f $i <<<"$2")/" include/zlink.h
        i=$((i + 1))
    done
    sed -i "s/^| $old |/| $2 |/; s/find_package(zlink $short)/find_package(zlink ${2%.*})/" doc/versions.md
    sed -i "/(doc\/versions\.md)/s/$old/$2/" README.md README.ko.md
}

next=${1-}
version=$(version_of_header)
[[ $next =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || die "the next version is three numbers with points between, not '$next'"
if [ "$next" = "$version" ] || [ "$(printf '%s\n' "$version" "$next" | sort -V | tail -n 1)" != "$next" ]; then
    die "$next is not behind $version, which the header states"
fi
[ -z "$(git status --porcelain)" ] || die "there is something that is not committed"
! git rev-parse -q --verify "refs/tags/v$version" >/dev/null || die "there is a v$version"
[ -n "$(awk '/^## / { there = /\[Unreleased\]/ } there && /^- /' CHANGELOG.md)" ] ||
    die "CHANGELOG.md says nothing below [Unreleased]"

day=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}" +%Y-%m-%d)
sed -i "s/^## \[Unreleased\]\$/&\n\n## [$version] - $day/" CHANGELOG.md
git commit -qam "release $version"
git tag -a "v$version" -m "zlink $version"
set_version "$version" "$next"
[ "$(version_of_header)" = "$next" ] || die "the header was not understood"
git commit -qam "version $next"
cat <<TEXT
v$version is tagged, and the header states $next. What is published is made of the tag:
    git worktree add build/release v$version
    (cd build/release && ./build.sh test && ./build.sh dist --check && ./build.sh deb --check)
    git push --follow-tags
TEXT
