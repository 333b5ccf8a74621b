#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""A game at 30 Hz: tick.py [ENDPOINT]. Players send how far they move, one byte for each of two directions. Every tick all
get the places of all. A player who reads slowly gets the newest state, however many ticks it has missed."""
import array
import asyncio
import struct
import sys

import zlink_stream as zlink

PLAYERS, WORLD = 1024, 1  # the key of the state
places = array.array("h", bytes(PLAYERS * 4))
present = 0


async def run_ticks(server: zlink.Socket) -> None:
    loop, tick = asyncio.get_running_loop(), 0
    due = loop.time()
    while True:
        due += 1 / 30
        await asyncio.sleep(due - loop.time())
        tick += 1
        try:
            server.publish("players", struct.pack("=II", tick, present) + places.tobytes(), key=WORLD)
        except zlink.Again:
            pass  # the next one has the newer state


def play(server: zlink.Socket, message: zlink.Message) -> None:
    global present
    place = message.peer % PLAYERS * 2
    if message.event is zlink.Event.CONNECTED:
        present += 1
        places[place] = places[place + 1] = 0
        try:
            server.join(message.peer, "players")
        except zlink.PeerGone:
            pass
    elif message.event is zlink.Event.DISCONNECTED:
        present -= 1
    elif message.is_data and len(message.body) == 2:
        for i, step in enumerate(struct.unpack("bb", message.body)):
            places[place + i] = (places[place + i] + step + 0x8000) % 0x10000 - 0x8000


async def main(endpoint: str) -> None:
    with zlink.Context() as context:
        # What the kernel has cannot be replaced.
        async with zlink.AsyncSocket(context.socket(sndbuf=32 << 10)) as server:
            print(server.socket.bind(endpoint), flush=True)
            ticks = asyncio.create_task(run_ticks(server.socket))
            async for message in server:
                play(server.socket, message)
            ticks.cancel()


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5555"))
