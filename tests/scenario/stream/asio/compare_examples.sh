#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Compares asio_echo with the echo server that Asio's authors ship as an example
# (package libasio-doc, which is unpacked and not installed, compiled as it is),
# and with the same shape with threads and larger buffers. Arguments go to
# run_stream_compare.sh; its settings are environment variables.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
root=$(cd "$here/../../.." && pwd)
export BIN_DIR=${BIN_DIR:-$root/build/bin}
export CCU=${CCU:-1000} WARMUP=${WARMUP:-1} MEASURE=${MEASURE:-3} ROUNDS=${ROUNDS:-3}
export OUT_DIR=${OUT_DIR:-$root/build/results/asio-examples}

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

(cd "$dir" && apt-get download -qq libasio-doc 2>/dev/null && dpkg -x libasio-doc_*.deb .) || {
    echo "compare_examples.sh: cannot get the package libasio-doc" >&2
    exit 1
}
source=$dir/usr/share/doc/libasio-dev/examples/cpp11/echo/async_tcp_echo_server.cpp
g++ -std=c++17 -O2 -DASIO_STANDALONE -pthread -o "$dir/async_tcp_echo_server" "$source"

cat >"$dir/stacks.sh" <<END
stack_names=(asio original example-1k example-64k)
example() { peer "\$stack" "\$*"; }
stack_original() { example "$dir/async_tcp_echo_server {port}"; }
stack_example_1k() { example "$BIN_DIR/asio_example {port} {threads}"; }
stack_example_64k() { example "$BIN_DIR/asio_example_64k {port} {threads}"; }
END
export EXTRA_STACKS=$dir/stacks.sh

"$here/run_stream_compare.sh" --scenario s2 "$@" >/dev/null
"$BIN_DIR/stream_report" table "$OUT_DIR"
