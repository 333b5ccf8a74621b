#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# test_types.sh: mypy has nothing to say about the package and its examples.
set -eu

cd "$(dirname "${BASH_SOURCE[0]}")/.."
mypy --strict --no-incremental --cache-dir=/dev/null zlink_stream example/*.py
echo "ok types"
