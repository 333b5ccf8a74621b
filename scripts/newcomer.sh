#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Does what a newcomer does: makes a bare Debian, clones HEAD into it, and runs the
# commands of the README in their order. Fails when one fails, when the report
# has no charts, or when a C++ program was not built. What the commands said, and how long they took, is left in
# build/newcomer-record, from which scripts/first_programs.py writes a part of doc/first-programs.md.
#
# The root is a folder below NEWCOMER_DIR (default: build/newcomer).
# usage: newcomer.sh [--write] [--keep]
#   --write: doc/first-programs.md gets that, when everything passed
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(cd "$here/.." && pwd)
dir=${NEWCOMER_DIR:-$project/build/newcomer}
packages=ca-certificates,gcc,libc6-dev,git # and Go, from this machine
record=$project/build/newcomer-record
page=$project/doc/first-programs.md

# shellcheck disable=SC2034 # root.sh's
program=newcomer
# shellcheck source=scripts/root.sh
. "$here/root.sh"
take_options "$@"

command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
command -v go >/dev/null || die "missing: go"
need_roots

# The commands of the README: the block of code under "Two commands".
mapfile -t commands < <(awk '/^## Two commands/ { there = 1 }
    there && /^```/ { if (open++) exit; next }
    there && open { sub(/ *#.*/, ""); print }' "$project/README.md")
[ ${#commands[@]} -eq 2 ] || die "README.md has ${#commands[@]} commands under 'Two commands', not 2"

make_root

git clone --quiet --no-hardlinks "$project" "$root/root/zlink"
[ -z "$(git -C "$project" status --porcelain)" ] ||
    echo "newcomer: HEAD is tried, without what is not committed"

# ------------------------------------------------------------- environment

environment=(HOME=/root USER=root LANG=C.UTF-8 "TERM=${TERM:-dumb}"
    PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
[ ! -e "$root/etc/ssl/machine.pem" ] || environment+=(SSL_CERT_FILE=/etc/ssl/machine.pem)
for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    [ -z "${!name-}" ] || environment+=("$name=${!name}")
done
for name in GOPROXY GOSUMDB GOPRIVATE GONOPROXY GONOSUMDB GOINSECURE GOFLAGS; do
    value=$(go env "$name")
    [ -z "$value" ] || environment+=("$name=$value")
done
# Go modules that this machine has as they were loaded are not loaded again; go.sum says what they must be. Nothing
# that was compiled here is in the root.
modules=$(go env GOMODCACHE)/cache/download
if [ -d "$modules" ]; then
    environment+=("GOPROXY=file:///usr/local/go-modules,$(go env GOPROXY)")
    echo "newcomer: Go modules come from this machine where it has them"
else
    modules=
fi

# enter COMMAND: a shell in the root, in the clone.
enter() {
    # The text is for another shell. A job in the background ignores signals.
    # shellcheck disable=SC2016
    inside bash -euc '
        root=$1 goroot=$2 command=$3 modules=$4
        shift 4
        mount --make-rprivate /
        mkdir -p "$root/usr/local/go"
        mount --bind "$goroot" "$root/usr/local/go"
        mount -o remount,bind,ro "$root/usr/local/go"
        if [ -n "$modules" ]; then
            mkdir -p "$root/usr/local/go-modules"
            mount --bind "$modules" "$root/usr/local/go-modules"
            mount -o remount,bind,ro "$root/usr/local/go-modules"
        fi
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount -t sysfs -o ro sysfs "$root/sys" || echo "newcomer: no /sys in the root"
        exec chroot "$root" /usr/bin/env --default-signal -i "$@" bash -c "cd /root/zlink && $command"
    ' bash "$root" "$(go env GOROOT)" "$1" "$modules" "${environment[@]}"
}

# ------------------------------------------------------------------ checks

passed=0
failed=0
results=()

# The root goes, and what it says about a failure stays.
keep_logs() {
    local logs=$project/build/newcomer-logs name
    rm -rf "$logs"
    mkdir -p "$logs"
    for name in logs apt.log build.log configure.log go-test.log doc-test.log Testing/Temporary/LastTest.log; do
        cp -r "$root/root/zlink/build/$name" "$logs" 2>/dev/null || true
    done
    echo "the logs are kept in $logs"
}

# check NAME COMMAND...
check() {
    local name=$1 start=$SECONDS verdict=passed
    shift
    say "$name"
    if "$@"; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        verdict=FAILED
        keep_logs
    fi
    results+=("$verdict, $((SECONDS - start)) s: $name")
}

# recorded NUMBER COMMAND: in the root; what it says is kept, with its time.
recorded() {
    local stem tee rc=0 start=$SECONDS out
    stem=$record/$(printf %02d "$1")
    echo "$2" >"$stem.title"
    exec {out}> >(exec tee "$stem.out")
    tee=$!
    enter "$2" >&"$out" 2>&1 || rc=$?
    exec {out}>&-
    wait "$tee" || true
    echo $((SECONDS - start)) >"$stem.seconds"
    return "$rc"
}

# The report of the run, whose address its last line is.
# shellcheck disable=SC2016 # the text is for the shell in the root
charts() {
    enter 'for report in build/results/*/report.html; do build/bin/stream_report charts "$(dirname "$report")"; done' >"$record/charts" 2>&1 || {
        cat "$record/charts"
        return 1
    }
    cat "$record/charts"
}

# Every C++ source that a CMakeLists.txt names has an object.
cpp_programs() {
    local source missing=0 count=0
    while read -r source; do
        count=$((count + 1))
        [ -n "$(find "$root/root/zlink/build" -name "$(basename "$source").o" -print -quit)" ] || {
            echo "not built: $source"
            missing=1
        }
    done < <(git -C "$project" ls-files -z '*CMakeLists.txt' | (cd "$project" && xargs -0 grep -ohE '[A-Za-z0-9_/]+\.cpp') | sort -u)
    echo "$count C++ sources"
    [ "$missing" -eq 0 ] && [ "$count" -gt 0 ]
}

rm -rf "$record"
mkdir -p "$record"
for number in "${!commands[@]}"; do check "${commands[number]}" recorded "$number" "${commands[number]}"; done
check "the report has its charts" charts
check "the C++ programs are built" cpp_programs

say "what came of it, after $SECONDS s"
printf '%s\n' "${results[@]}"
from="Go loaded its modules"
[ -z "$modules" ] || from="Go had its modules"
echo "Measured on $(date -u +%Y-%m-%d) at commit $(git -C "$project" rev-parse --short=7 HEAD) by \`./build.sh newcomer\`," \
    "with $(nproc) processors and, at the end, a load of $(cut -d ' ' -f 1 /proc/loadavg); $from. $(cat "$record/charts")." >"$record/machine"
if [ -n "$write" ] && [ "$failed" -eq 0 ]; then
    python3 "$here/first_programs.py" readme "$page" "$record" >"$record/page.md"
    cp "$record/page.md" "$page"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
