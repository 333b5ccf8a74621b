#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# python.sh FILE ARGUMENT...: runs a Python program; it ends with 77 without Python.
command -v python3 >/dev/null || {
    echo "skipped: there is no python3"
    exit 77
}
exec python3 "$@"
