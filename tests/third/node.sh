#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Runs Node with the option that its built-in WebSocket client needs: node.sh
# FILE ARGUMENT... It ends with 77 when this Node has none.
for option in --no-warnings --experimental-websocket --expose-internals; do
    if node "$option" -e 'globalThis.WebSocket ?? require("internal/deps/undici/undici").WebSocket ?? x' \
        >/dev/null 2>&1; then
        exec node "$option" "$@"
    fi
done
exit 77
