# shellcheck shell=bash
# SPDX-License-Identifier: MPL-2.0
# What a command of build.sh needs, and its installation where apt-get can do
# that. First everything is collected (need…, want), then install_missing says
# what it comes to, and installs it at once.

required=() # Debian packages without which nothing goes on
optional=() # ... without which single programs are left out,
left_out=() # and which these are

# The Debian packages of a command.
packages_of() {
    case $1 in
        gcc) echo gcc libc6-dev ;;
        node) echo nodejs ;;
        certutil) echo libnss3-tools ;;
        ss) echo iproute2 ;;
        dpkg-buildpackage) echo dpkg-dev ;;
        dh) echo debhelper ;;
        aarch64-linux-gnu-gcc) echo gcc-aarch64-linux-gnu libc6-dev-arm64-cross ;;
        qemu-aarch64) echo qemu-user ;;
        *) echo "$1" ;;
    esac
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

can_install() {
    command -v apt-get >/dev/null && { [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null; }
}

apt_get() { as_root env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get "$@"; }

# need COMMAND...
need() {
    local tool packages
    for tool in "$@"; do
        command -v "$tool" >/dev/null && continue
        read -ra packages <<<"$(packages_of "$tool")"
        required+=("${packages[@]}")
    done
}

# need_library PACKAGE DEBIAN_PACKAGE: pkg-config finds it afterwards.
need_library() {
    pkg-config --exists "$1" 2>/dev/null || required+=("$2")
}

# want TEST WHAT PACKAGE...: what only single programs need.
want() {
    "$1" && return
    left_out+=("$2")
    optional+=("${@:3}")
}

has_asio() { echo '#include <asio.hpp>' | g++ -E -x c++ - >/dev/null 2>&1; }

has_openssl() {
    command -v openssl >/dev/null && echo '#include <openssl/ssl.h>' | "${CC:-gcc}" -E - >/dev/null 2>&1
}

has_csharp() {
    { command -v mono && command -v mcs; } >/dev/null || [ -n "$(dotnet --list-sdks 2>/dev/null)" ]
}

has_fronts() { command -v haproxy >/dev/null && [ -e /usr/lib/nginx/modules/ngx_stream_module.so ]; }

# The system's Python is the one that has the system's modules.
has_yaml() { /usr/bin/python3 -c 'import yaml' 2>/dev/null; }

has_tmux() { command -v tmux >/dev/null; }

want_stacks() {
    want has_asio "the stack asio" libasio-dev
    want has_openssl "tls and wss in the scenarios" libssl-dev openssl
    want has_csharp "the stacks in C#" mono-runtime mono-mcs libmono-posix4.0-cil
}

# What apt-get would do with the packages: "94 packages, 75 MB to load, 270 MB on
# disk". The package lists may be missing or out of date.
installation_of() {
    { apt_get install --assume-no --no-install-recommends "$@" 2>/dev/null || true; } | awk '
        / newly installed/ { n = $3 }
        /^Need to get/ { load = $4 " " $5; sub(/.*\//, "", load) }
        /^After this operation/ { disk = $4 " " $5 }
        END { if (!n) exit 1; print n " packages, " load " to load, " disk " on disk" }'
}

# An optional package that this system does not have must not keep the others out.
forget_unknown() {
    local package known=()
    for package in "${optional[@]}"; do
        if apt-cache show "$package" >/dev/null 2>&1; then known+=("$package"); else
            echo "left out: this system has no package $package"
        fi
    done
    optional=("${known[@]}")
}

# Ends the script when a required package cannot be had.
install_missing() {
    local all size
    mapfile -t all < <(printf '%s\n' "${required[@]}" "${optional[@]}" | sed '/^$/d' | sort -u)
    [ ${#all[@]} -gt 0 ] || return 0
    can_install || {
        [ ${#required[@]} -eq 0 ] || die "missing: ${required[*]}
Install what your system's package manager has of them; on Debian and Ubuntu:
  apt-get install ${required[*]}"
        printf 'left out, as it is not here: %s\n' "${left_out[@]}"
        return 0
    }
    mkdir -p build
    size=$(installation_of "${all[@]}") || {
        apt_get -qq update >build/apt.log 2>&1 || true
        forget_unknown
        mapfile -t all < <(printf '%s\n' "${required[@]}" "${optional[@]}" | sed '/^$/d' | sort -u)
        [ ${#all[@]} -gt 0 ] || return 0
        size=$(installation_of "${all[@]}") || size="size unknown"
    }
    echo "installing what is missing: ${all[*]}"
    echo "    with what these need: $size (log: build/apt.log)"
    # shellcheck disable=SC2024 # the log is the user's
    apt_get install -y --no-install-recommends "${all[@]}" >build/apt.log 2>&1 && return
    [ ${#required[@]} -eq 0 ] || apt_get install -y --no-install-recommends "${required[@]}" >build/apt.log 2>&1 || {
        tail -n 5 build/apt.log >&2
        die "apt-get could not install: ${required[*]} (log: build/apt.log)"
    }
    [ ${#left_out[@]} -eq 0 ] || printf 'left out, as apt-get failed: %s\n' "${left_out[@]}"
}

need_go() {
    command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
    command -v go >/dev/null || die "missing: go
Get Go $(go_wanted) or later from https://go.dev/dl and put its bin folder into the PATH."
    # An old Go cannot read a new go.mod, and does not say so plainly.
    mkdir -p build
    go list -m >/dev/null 2>build/go.log || {
        cat build/go.log >&2
        die "$(go version) cannot build this; Go $(go_wanted) or later can: https://go.dev/dl"
    }
}

go_wanted() { sed -n 's/^go //p' go.mod; }

need_build_tools() {
    need_go
    need "${CC:-gcc}" cmake make
}
