"""A consumer as a user writes it: URLS QUEUE GROUP CONCURRENCY wait|poll [STRATEGY]. Says `HANDLED n` each time."""

from __future__ import annotations

import asyncio
import sys

from queen import Queen


async def handler(message):
    print("HANDLED", message["data"], flush=True)
    await asyncio.sleep(0.005)


async def main(urls, queue, group, concurrency, wait, strategy="affinity"):
    async with Queen({"urls": urls.split(","), "load_balancing_strategy": strategy}) as queen:
        print("STARTED", flush=True)
        builder = queen.queue(queue).group(group).batch(5).concurrency(int(concurrency)).wait(wait == "wait")
        await builder.each().consume(handler)
    print("ENDED", flush=True)


asyncio.run(main(*sys.argv[1:]))
