#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# scripts/release.sh in a small clone: the version and the changelog go on, a tag stays, and what cannot be
# released changes nothing.
# usage: test_release.sh SOURCE_DIR WORK_DIR
set -euo pipefail

source_dir=$1
work=$2
failed=0
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.com
export SOURCE_DATE_EPOCH=86400 GIT_CONFIG_GLOBAL=/dev/null GIT_CEILING_DIRECTORIES=$work/..

command -v git >/dev/null || {
    echo "skipped: there is no git here"
    exit 77
}
rm -rf "$work"
mkdir -p "$work"
cd "$work"
(cd "$source_dir" && tar -c include/zlink.h CHANGELOG.md README.md README.ko.md doc/versions.md scripts/release.sh) | tar -x
sed -i '/^## \[[0-9]/,$d' CHANGELOG.md
git init -q
git add .
git commit -qm first
version=$(awk '/^#define ZLINK_VERSION_(MAJOR|MINOR|PATCH) / { printf "%s%s", dot, $3; dot = "." }' include/zlink.h)

check() {
    local what=$1
    shift
    if "$@"; then echo "ok $what"; else
        echo "FAILED $what" >&2
        failed=1
    fi
}

# refused WHAT TEXT NEXT
refused() {
    local before
    before=$(git rev-parse HEAD; git status --porcelain)
    ! scripts/release.sh "$3" >.git/log 2>&1 || echo "it was made" >>.git/log
    check "$1" grep -q -- "$2" .git/log
    check "$1 changes nothing" test "$before" = "$(git rev-parse HEAD; git status --porcelain)"
}

refused no-version "three numbers" 2.0
refused same-version "is not behind" "$version"
refused older-version "is not behind" 0.9.9
: >new
refused unclean "not committed" 999.1.2
rm new
scripts/release.sh 999.1.2 >.git/release.log
check tag test "$(git rev-parse "v$version^{commit}")" = "$(git rev-parse HEAD^)"
check header-of-tag grep -q "VERSION_MAJOR ${version%%.*}\$" <(git show "v$version:include/zlink.h")
check changelog grep -qx "## \[$version\] - 1970-01-02" CHANGELOG.md
check header grep -q '^#define ZLINK_VERSION_MAJOR 999$' include/zlink.h
check patch grep -q '^#define ZLINK_VERSION_PATCH 2$' include/zlink.h
check versions grep -q '^| 999.1.2 |.*find_package(zlink 999.1)' doc/versions.md
check readme grep -q 'what 999.1.2 and' README.md
check korean grep -q '999.1.2' README.ko.md
check clean test -z "$(git status --porcelain)"
refused nothing-new "nothing below" 999.2.0
git tag -a v999.1.2 -m x
refused released "there is a v999.1.2" 999.2.0
exit "$failed"
