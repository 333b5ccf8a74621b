# SPDX-License-Identifier: MPL-2.0
"""A back end with rooms, which are groups of the gateways. It keeps nothing about a client, so any
number of it share the work. A client sends a line:

    join ROOM          leave ROOM          say ROOM TEXT
"""
import asyncio
import json
import os
import re
import signal

import nats
from nats.errors import Error

USAGE = "? join ROOM | leave ROOM | say ROOM TEXT"
LINE = re.compile(r"(join|leave|say) ([a-z0-9_-]{1,32})(?: (.+))?", re.DOTALL)


class Chat:
    def __init__(self, client):
        self.client = client

    async def text(self, subject, words):
        await self.client.publish(subject, words.encode(), headers={"Zl-Text": "1"})

    async def member(self, server, number, verb, room):
        """Has a client join or leave, and returns what to tell it."""
        request = json.dumps({"op": verb, "id": int(number), "group": f"room.{room}"})
        try:
            answer = json.loads((await self.client.request(f"zl.ctl.{server}", request.encode(), timeout=2)).data)
        except Error as error:
            return f"? {error}"
        return f"{verb} {room}" if answer["status"] == 200 else f"? {answer['error']}"

    async def handle(self, message):
        server, number = message.subject.split(".")[3:5]
        line = LINE.fullmatch(message.data.decode(errors="replace"))
        verb, room, words = line.groups() if line else ("", "", None)
        if verb == "say" and words:
            await self.text(f"zl.group.room.{room}", f"{room} {server}.{number}: {words}")
        elif verb in ("join", "leave"):
            await self.text(message.reply, await self.member(server, number, verb, room))
        else:
            await self.text(message.reply, USAGE)


async def main():
    client = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222").split(","), name="chat", max_reconnect_attempts=-1)
    service = os.environ.get("SERVICE", "app")
    await client.subscribe(f"zl.in.{service}.*.*", queue="chat", cb=Chat(client).handle)
    await client.flush()
    print("ready", flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await client.drain()


if __name__ == "__main__":
    asyncio.run(main())
