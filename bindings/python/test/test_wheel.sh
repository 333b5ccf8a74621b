#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# test_wheel.sh LIBRARY: makes the wheel with the library in it, installs it elsewhere, and uses it as a stranger.
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir" || true' EXIT
unset ZLINK_LIBRARY PYTHONPATH

wheel=$dir/$(python3 "$here/../backend/zlink_wheel.py" "$dir" "$1")
if python3 -m pip --version >/dev/null 2>&1; then
    # It compares the digests.
    python3 -m pip install --quiet --no-index --no-deps --no-compile --target "$dir/there" "$wheel" 2>"$dir/pip.log" || {
        cat "$dir/pip.log"
        exit 1
    }
else
    echo "skipped pip: there is no pip; the wheel is unpacked instead"
    python3 -m zipfile -e "$wheel" "$dir/there"
fi
[ -e "$dir/there/zlink_stream/py.typed" ] || {
    echo "FAILED: the wheel has no types"
    exit 1
}
cd "$dir"
PYTHONPATH=$dir/there python3 - "$dir/there" <<'END'
import sys

import zlink_stream as zlink

assert zlink.__file__.startswith(sys.argv[1]), zlink.__file__
with open("/proc/self/maps", encoding="utf-8") as maps:
    assert sys.argv[1] + "/zlink_stream/libzlink.so.5" in maps.read(), "another library is loaded"
with zlink.Context() as context, context.socket() as server, context.socket() as client:
    client.connect(server.bind("tcp://127.0.0.1:*"))
    client.send(client.receive().peer, b"hello")
    assert server.receive().event is zlink.Event.CONNECTED
    assert server.receive().body == b"hello"
END
echo "ok wheel"
# Without one inside it is for any machine, and says what it misses.
other=$(python3 "$here/../backend/zlink_wheel.py" "$dir")
[[ $other == *-py3-none-any.whl ]] || {
    echo "FAILED: it is called $other"
    exit 1
}
python3 -m zipfile -e "$dir/$other" "$dir/any"
if said=$(ZLINK_LIBRARY=/nowhere.so PYTHONPATH=$dir/any python3 -c 'import zlink_stream' 2>&1) ||
    [[ $said != *"needs libzlink.so.5, and cannot load '/nowhere.so'"* ]]; then
    echo "FAILED: without a library it says: $said"
    exit 1
fi
echo "ok missing_library"
