"""A producer as a user writes it: URLS QUEUE COUNT [buffer]. Says `PUSHED n` for each push that was answered."""

from __future__ import annotations

import asyncio
import sys

from queen import Queen


async def main(urls, queue, count, buffer=""):
    async with Queen(urls.split(",")) as queen:
        print("STARTED", flush=True)
        for number in range(int(count)):
            builder = queen.queue(queue).partition("one")
            if buffer:
                builder = builder.buffer({"message_count": 10, "time_millis": 100})
            await builder.push([{"data": number}])
            print("PUSHED", number, flush=True)
            await asyncio.sleep(0.005)
    print("ENDED", flush=True)


asyncio.run(main(*sys.argv[1:]))
