#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Chat rooms: chat.py [ENDPOINT]. A client sends "+ROOM" to enter a room, "-ROOM" to leave it, and "ROOM text" to say
something to the others in it."""
import sys
from collections import Counter

import zlink_stream as zlink

LONGEST, MOST_ROOMS = 1000, 1000
entered: "Counter[int]" = Counter()  # how often a peer has entered a room


def serve(server: zlink.Socket, message: zlink.Message) -> None:
    text = message.body.decode(errors="replace")
    room = text.split(" ")[0]
    if text.startswith("+") and entered[message.peer] < MOST_ROOMS:
        server.join(message.peer, text[1:])
        entered[message.peer] += 1
    elif text.startswith("-"):
        server.leave(message.peer, text[1:])
    elif not text.startswith("+"):
        server.publish(room, message.body, except_peer=message.peer)


endpoint = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5555"
with zlink.Context() as context, context.socket(maxmsgsize=LONGEST) as server:
    print(server.bind(endpoint), flush=True)
    for message in server:
        if message.event is zlink.Event.DISCONNECTED:
            del entered[message.peer]  # it has left all rooms
        elif message.is_data:
            try:
                serve(server, message)
            except zlink.ZlinkError:
                pass  # it has gone, or such a room cannot be
