#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# needs.sh PROGRAM COMMAND...: runs the command, or says that there is no such program and ends with 77.
set -eu

command -v "$1" >/dev/null || {
    echo "skipped: there is no $1"
    exit 77
}
exec "${@:2}"
