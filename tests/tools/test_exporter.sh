#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The Go tests of tools/exporter, a module of its own. usage: test_exporter.sh GO
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../../tools/exporter" || exit 1
export CGO_ENABLED=0
log=$(mktemp)
if ! "$1" mod download 2>"$log"; then
    echo "skipped: the modules of tools/exporter cannot be had: $(head -n 1 "$log")"
    rm "$log"
    exit 0
fi
rm "$log"
"$1" test -v . | sed 's/^.*not run here: /skipped: /'
exit "${PIPESTATUS[0]}"
