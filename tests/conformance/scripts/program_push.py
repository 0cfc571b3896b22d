"""A producer as a user writes it: URLS QUEUE COUNT [buffer|again]. Says `PUSHED n` for each push that was answered.

With `again` it repeats a push that fails, under the same transaction id.
"""

from __future__ import annotations

import asyncio
import sys

from queen import Queen


async def main(urls, queue, count, way=""):
    async with Queen(urls.split(",")) as queen:
        print("STARTED", flush=True)
        for number in range(int(count)):
            builder = queen.queue(queue).partition("one")
            if way == "buffer":
                builder = builder.buffer({"message_count": 10, "time_millis": 100})
            await push(builder, {"data": number, "transactionId": f"n{number}"}, way == "again")
            print("PUSHED", number, flush=True)
            await asyncio.sleep(0.005)
    print("ENDED", flush=True)


async def push(builder, item, again):
    while True:
        try:
            return await builder.push([item])
        except Exception as error:
            if not again:
                raise
            print("AGAIN", repr(error), flush=True)


asyncio.run(main(*sys.argv[1:]))
