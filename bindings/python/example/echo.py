#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""A server that sends every message back: echo.py [ENDPOINT]"""
import errno
import sys

import zlink_stream as zlink

endpoint = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5555"
with zlink.Context() as context, context.socket(profile=1) as server:  # 1: limits for the internet
    print("listening on", server.bind(endpoint), flush=True)
    batch = zlink.Batch(256)
    while server.receive_batch(batch):
        for index, error in server.send_batch(batch, wait=False):
            if error == errno.EAGAIN:
                server.abort_peer(batch.peer(index))  # there is no room for it
