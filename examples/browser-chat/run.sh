#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Builds what is missing, starts the chat and prints the address of the page:
# run.sh [PORT]
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$here/../..
port=${1:-8080}

"$top/build.sh" lib >&2
mkdir -p "$top/build/browser-chat"
${CC:-gcc} -std=c11 -O2 -I"$top/include" "$here/chat_server.c" \
    -o "$top/build/browser-chat/chat_server" \
    -L"$top/build/lib" -lzlink -Wl,-rpath,"$top/build/lib"
echo "open this page in two windows:  file://$here/chat.html#ws://127.0.0.1:$port"
exec "$top/build/browser-chat/chat_server" "ws://127.0.0.1:$port"
