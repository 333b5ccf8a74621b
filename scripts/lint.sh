# shellcheck shell=bash
# SPDX-License-Identifier: MPL-2.0
# The checks of ./build.sh lint. Each is a stage: it prints what is wrong, and where.

clang_format_version=19 # another one lays some lines out differently

# files PATTERN...: the project's files of these names, each with a NUL.
files() {
    local pattern names=()
    for pattern in "$@"; do names+=(-o -name "$pattern"); done
    find . \( -path ./build -o -path ./.git \) -prune -o -type f \( "${names[@]:1}" \) -print0
}

# Debian's name first.
clang_format() {
    local program
    for program in "clang-format-$clang_format_version" clang-format; do
        "$program" --version 2>/dev/null | grep -q "version $clang_format_version\." || continue
        echo "$program"
        return
    done
    return 1
}

has_clang_format() { clang_format >/dev/null; }

# The folders of the modules; ./... does not go from one into another. That of the manifests is left to its
# tests: what it imports takes the checkers minutes.
modules() { find . \( -path ./build -o -path ./gateway/deploy/kubernetes/check \) -prune -o -name go.mod -printf '%h\n' | sort; }

# has_go_files MODULE: a module may name tools, and nothing else.
has_go_files() { [ -n "$(find "$1" -name '*.go' -print -quit)" ]; }

lint_gofmt() {
    local bad
    bad=$(files '*.go' | xargs -0 gofmt -l)
    [ -z "$bad" ] || {
        printf 'not formatted:\n%s\n' "$bad"
        return 1
    }
}

# cgo_of MODULE: what the module's tests are built with. Else all that uses the network is compiled twice.
cgo_of() { [ "$1" = . ] && echo 1 || echo 0; }

lint_vet() {
    local module
    for module in $(modules); do
        ! has_go_files "$module" || CGO_ENABLED=$(cgo_of "$module") go -C "$module" vet ./...
    done
}

# staticcheck.conf says what it checks. It is built once, whatever it looks at is built with.
# shellcheck disable=SC2154 # root is build.sh's
lint_staticcheck() {
    local module program=$root/build/lint/staticcheck
    mkdir -p "${program%/*}"
    CGO_ENABLED=0 go build "-modfile=$root/scripts/lint/go.mod" -o "$program" honnef.co/go/tools/cmd/staticcheck
    for module in $(modules); do
        ! has_go_files "$module" || (cd "$module" && CGO_ENABLED=$(cgo_of "$module") "$program" ./...)
    done
}

lint_c_format() {
    local program
    program=$(clang_format) || {
        echo "not run here: clang-format $clang_format_version is not installed"
        return 0
    }
    files '*.c' '*.h' '*.cpp' | xargs -0 "$program" --dry-run --Werror
}

# Scripts are what begins with #!, and what those read.
lint_shell() { files '*.sh' run | xargs -0 shellcheck -x; }

# What .editorconfig says of every text: tabs are for Go, also in documents, and lines
# end with what can be seen.
lint_text() {
    local bad
    bad=$(files '*.go' '*.c' '*.h' '*.cpp' '*.hpp' '*.cs' '*.sh' '*.md' '*.cmake' CMakeLists.txt '*.pml' '*.py' '*.js' '*.java' '*.html' |
        xargs -0 awk '
            /[ \t\r]$/ { print FILENAME ":" FNR ": blanks or a carriage return at the end of the line" }
            /\t/ && FILENAME !~ /\.(go|md)$/ { print FILENAME ":" FNR ": a tab" }')
    [ -z "$bad" ] || {
        printf '%s\n' "$bad"
        return 1
    }
}

# ShouldNotBeNil writes down what it is given also when it holds, fields of structs
# included, and so reads what other threads write. It is for errors.
lint_assertions() {
    ! files '*_test.go' | xargs -0 grep -nE 'ShouldNotBeNil\)' |
        grep -vE 'So\(\w*[eE]rrs?(\[[^]]*\])?, ShouldNotBeNil\)'
}

stages_lint() {
    stage "gofmt" "Go files are formatted" lint_gofmt
    stage "go vet" "Go's own checks, in every module" lint_vet
    stage "staticcheck" "checks of Go code that go vet does not make" lint_staticcheck
    stage "assertions" "only errors are asked for with ShouldNotBeNil" lint_assertions
    stage "clang-format" "C files are formatted" lint_c_format
    stage "shellcheck" "scripts" lint_shell
    stage "text" "tabs, and blanks at the ends of lines" lint_text
}

# What the Go tool loads by itself, unlike apt-get's packages, is told of here.
say_staticcheck() {
    local module
    module=$(go env GOMODCACHE)/$(sed -n 's|.*\(honnef.co/go/tools\) \(v[^ ]*\).*|\1@\2|p' scripts/lint/go.mod)
    [ -d "$module" ] || echo "loading staticcheck: 6 Go modules, 28 MB on disk, built once in about a minute"
}

# lint --fix: what the formatters can mend.
lint_fix() {
    files '*.go' | xargs -0 gofmt -l -w
    ! has_clang_format || files '*.c' '*.h' '*.cpp' | xargs -0 "$(clang_format)" -i
}
