#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The documents tell the truth where a program can tell: the README's server is
# the tested example, and links and named files exist.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
bad=0

complain() {
    printf '%s\n' "$*"
    bad=1
}

in_readme=$(sed -n '/^```c$/,/^```$/p' README.md | sed '1d;$d')
in_example=$(sed -n '/#include <stdio.h>/,$p' examples/echo_server.c)
[ "$in_readme" = "$in_example" ] || complain "README.md: the server is not examples/echo_server.c"

links=0
for page in README.md CHANGELOG.md SECURITY.md doc/*.md tests/scenario/stream/README.md; do
    while read -r target; do
        links=$((links + 1))
        case $target in
            http* | \#*) ;;
            *) [ -e "$(dirname "$page")/${target%%#*}" ] || complain "$page: no file $target" ;;
        esac
    done < <(grep -oE '\]\([^)]+\)' "$page" | sed 's/^](//; s/)$//')
done

# What pages name in backquotes with a folder and a suffix is a file.
files=0
for page in README.md doc/*.md; do
    while read -r file; do
        files=$((files + 1))
        [ -e "$file" ] || complain "$page: no file $file"
    done < <(grep -oE '`(core|capi|tests|include|examples|cmake|doc)/[A-Za-z0-9_/.-]+\.[a-z]+`' "$page" | tr -d '`')
done

grep -q '@' README.md && complain "README.md: a placeholder is left"
printf '%d links and %d file names checked\n' "$links" "$files"
exit "$bad"
