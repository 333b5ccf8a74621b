# SPDX-License-Identifier: MPL-2.0
"""A back end: it answers each message of a client with the same bytes. Start as many as you
like; they share the messages."""
import asyncio
import os
import signal

import nats


async def main():
    client = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222").split(","), name="echo", max_reconnect_attempts=-1)
    service = os.environ.get("SERVICE", "app")

    async def answer(message):
        """Sends bytes back, as text if they came as text. The reply subject is the client."""
        as_text = {"Zl-Text": "1"} if "Zl-Text" in (message.headers or {}) else None
        await client.publish(message.reply, message.data, headers=as_text)

    await client.subscribe(f"zl.in.{service}.>", queue="echo", cb=answer)
    await client.subscribe(f"zl.bundle.in.{service}.>", queue="echo", cb=answer)  # an answer to a bundle has the same form
    await client.flush()
    print("ready", flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await client.drain()


if __name__ == "__main__":
    asyncio.run(main())
