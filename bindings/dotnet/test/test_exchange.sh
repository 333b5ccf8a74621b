#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# test_exchange.sh COMMAND...: runs the example and compares what it prints.
set -eu
diff - <(timeout 60 "$@" && echo "ended well") <<'END'
client: Connected
server: Connected
server: hello
client: HELLO
ended well
END
