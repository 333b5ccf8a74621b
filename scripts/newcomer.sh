#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Does what a newcomer does: makes a bare Debian, clones HEAD into it, and runs the
# commands of the README in their order. Fails when one fails, when the report
# has no charts, or when a C++ program was not built.
#
# The root is a folder below NEWCOMER_DIR (default: build/newcomer). What is
# mounted in it is mounted in a namespace that ends with this process, however that
# ends; the folder is removed then, or by the next call if this one was killed.
# usage: newcomer.sh [--keep]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(cd "$here/.." && pwd)
dir=${NEWCOMER_DIR:-$project/build/newcomer}
suite=bookworm
packages=ca-certificates,gcc,libc6-dev,git # and Go, from this machine
keep=
[ "${1-}" != --keep ] || keep=yes

say() { printf '\n==> newcomer: %s\n' "$*"; }

# A machine that cannot do this is no failure of the project.
skip() {
    echo "SKIP newcomer: $*"
    exit 0
}

die() {
    echo "newcomer: $*" >&2
    exit 1
}

# ------------------------------------------------------------------- needs

[ "$(id -u)" -eq 0 ] || skip "only root can make a root"
command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
command -v go >/dev/null || die "missing: go"
# The first process of such a namespace ends with this one, and all others with it.
namespace=(setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child)
"${namespace[@]}" mount --make-rprivate / 2>/dev/null || skip "no mount namespace can be had here"
command -v debootstrap >/dev/null || {
    command -v apt-get >/dev/null || skip "neither debootstrap nor apt-get is here"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update >/dev/null 2>&1 || true
    apt-get -qq install -y --no-install-recommends debootstrap >/dev/null 2>&1 ||
        skip "debootstrap is not here and cannot be installed"
}

# The commands of the README: the block of code under "Two commands".
mapfile -t commands < <(awk '/^## Two commands/ { there = 1 }
    there && /^```/ { if (open++) exit; next }
    there && open { sub(/ *#.*/, ""); print }' "$project/README.md")
[ ${#commands[@]} -eq 2 ] || die "README.md has ${#commands[@]} commands under 'Two commands', not 2"

# -------------------------------------------------------------------- root

mkdir -p "$dir"
for old in "$dir"/root.*; do
    # One that nobody holds was left by a process that was killed.
    [ ! -d "$old" ] || flock --nonblock "$old" rm -rf --one-file-system "$old" "$old.log" || true
done
root=$(mktemp -d "$dir/root.XXXXXX")
exec {lock}<"$root"
flock "$lock"
chmod 755 "$root"
log=$root.log
child=

# shellcheck disable=SC2317 # called by the trap
finish() {
    trap '' INT TERM HUP
    [ -z "$child" ] || {
        kill -KILL "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    }
    if [ -n "$keep" ]; then
        echo "kept: $root"
        return
    fi
    rm -f "$log"
    # What was just killed may still be ending.
    for _ in 1 2 3 4 5; do
        rm -rf --one-file-system "$root" 2>/dev/null && break
        sleep 1
    done
    rmdir "$dir" 2>/dev/null || true
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# inside COMMAND...: runs it in the namespace, and can be interrupted.
inside() {
    local rc=0
    # No function, which would be a process between the two.
    "${namespace[@]}" "$@" {lock}<&- </dev/null &
    child=$!
    wait "$child" || rc=$?
    child=
    return "$rc"
}

# Debian's sources as this machine has them: "URI SUITE COMPONENT".
debian_sources() {
    command -v apt-get >/dev/null || return 0
    # The text is apt-get's own.
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' "Identifier: Packages" 2>/dev/null |
        awk -v suite="$suite" '$2 == suite || $2 == suite "-updates" || $2 == suite "-security"' | sort -u
}

sources=$(debian_sources)
mapfile -t source_lines <<<"$sources"
mirror=$(awk -v suite="$suite" '$2 == suite { print $1; exit }' <<<"$sources")
say "a bare Debian ($suite) with $packages in $root"
# shellcheck disable=SC2086 # without a mirror debootstrap has its own
inside debootstrap --variant=minbase --include="$packages" "$suite" "$root" $mirror >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    die "debootstrap failed"
}

# How this machine reaches its package archives, and whom it trusts.
[ -z "$sources" ] || printf 'deb %s\n' "${source_lines[@]}" >"$root/etc/apt/sources.list"
if command -v apt-config >/dev/null; then
    apt-config dump --no-empty Acquire >"$root/etc/apt/apt.conf.d/90machine"
fi
for file in /etc/resolv.conf /etc/hosts; do
    [ ! -e "$file" ] || cp --remove-destination -L "$file" "$root$file"
done
certificates=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
# A name that ca-certificates does not write.
[ ! -r "$certificates" ] || install -D -m 644 "$certificates" "$root/etc/ssl/machine.pem"

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
# enter COMMAND: a shell in the root, in the clone.
enter() {
    # The text is for another shell. A job in the background ignores signals.
    # shellcheck disable=SC2016
    inside bash -euc '
        root=$1 goroot=$2 command=$3
        shift 3
        mount --make-rprivate /
        mkdir -p "$root/usr/local/go"
        mount --bind "$goroot" "$root/usr/local/go"
        mount -o remount,bind,ro "$root/usr/local/go"
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount -t sysfs -o ro sysfs "$root/sys" || echo "newcomer: no /sys in the root"
        exec chroot "$root" /usr/bin/env --default-signal -i "$@" bash -c "cd /root/zlink && $command"
    ' bash "$root" "$(go env GOROOT)" "$1" "${environment[@]}"
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

# The report of the run, whose address its last line is.
# shellcheck disable=SC2016 # the text is for the shell in the root
charts() {
    enter 'for report in build/results/*/report.html; do build/bin/stream_report charts "$(dirname "$report")"; done'
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

for command in "${commands[@]}"; do check "$command" enter "$command"; done
check "the report has its charts" charts
check "the C++ programs are built" cpp_programs

say "what came of it, after $SECONDS s"
printf '%s\n' "${results[@]}"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
