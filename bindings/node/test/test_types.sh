#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# test_types.sh: tsc takes a program that uses the types of the package, and finds the mistakes that it has on purpose. TSC names
# the compiler; the types of Node.js, @types/node, are where TYPES_NODE says, or stand-ins of what is used.
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir" || true' EXIT
mkdir -p "$dir/node_modules/zlink-stream" "$dir/node_modules/@types/node"
cp -r "$here/../lib" "$dir/node_modules/zlink-stream"
echo '{ "name": "zlink-stream", "types": "lib/index.d.ts" }' >"$dir/node_modules/zlink-stream/package.json"
if [ -n "${TYPES_NODE-}" ]; then
    ln -sfn "$TYPES_NODE"/* "$dir/node_modules/@types/node"
    [ ! -d "$TYPES_NODE/../../undici-types" ] || ln -s "$(realpath "$TYPES_NODE/../../undici-types")" "$dir/node_modules"
else
    echo "not run here: types: @types/node; what is used of it is declared instead"
    echo 'declare class Buffer extends Uint8Array { equals(other: Uint8Array): boolean; }' >"$dir/node_modules/@types/node/index.d.ts"
fi
cp "$here/types.ts" "$dir"
cd "$dir"
"${TSC:-tsc}" --strict --noEmit --target es2020 --module commonjs --moduleResolution node --types node types.ts
echo "ok types"
