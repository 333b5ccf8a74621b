# shellcheck shell=bash
# shellcheck disable=SC2154 # what the caller sets
# SPDX-License-Identifier: MPL-2.0
# A bare Debian in a folder, for scripts that try what others do. Who reads this sets program (its name in
# messages), dir (where the root is made), packages (that are in it at the start) and keep (not empty: the
# root stays), and calls need_roots and make_root.
#
# What is mounted in the root is mounted in a namespace that ends with this process, however that
# ends; the folder is removed then, or by the next call if this one was killed.

suite=bookworm
child=

say() { printf '\n==> %s: %s\n' "$program" "$*"; }

# A machine that cannot do this is no failure of the project.
skip() {
    echo "SKIP $program: $*"
    exit 0
}

die() {
    echo "$program: $*" >&2
    exit 1
}

# take_options ARG...: sets keep, and write, which is the caller's own.
# shellcheck disable=SC2034
take_options() {
    local option
    keep='' write=''
    for option; do
        case $option in
            --keep) keep=yes ;;
            --write) write=yes ;;
            *) die "there is no option '$option', only --keep and --write" ;;
        esac
    done
}

need_roots() {
    [ "$(id -u)" -eq 0 ] || skip "only root can make a root"
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
}

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

# What is in the root at the end: packages, and this machine's way to package archives.
make_root() {
    local old sources source_lines mirror file certificates
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
    trap finish EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM

    sources=$(debian_sources)
    mapfile -t source_lines <<<"$sources"
    mirror=$(awk -v suite="$suite" '$2 == suite { print $1; exit }' <<<"$sources")
    say "a bare Debian ($suite) with $packages in $root"
    # The root is removed after all: dpkg need not wait until each file is on the disk.
    install -D -m 644 /dev/stdin "$root/etc/dpkg/dpkg.cfg.d/unsafe-io" <<<force-unsafe-io
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
}
