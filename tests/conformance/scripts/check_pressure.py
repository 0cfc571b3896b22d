"""What the client does when it is told to slow down."""

from __future__ import annotations

import asyncio

from harness import Missing, check, main, payloads


@check("429 above maxSize: push raises after its tries", since="2.0.0")
async def raises(c):
    await c.queue.config({"maxSize": 2}).create()
    queen = c.client({"urls": [c.url], "retry_429": {"max_attempts": 2, "base_ms": 10, "cap_ms": 20}})
    await _fill(c, queen)


@check("429 above maxSize: a waiting push goes through when there is room", since="2.0.0")
async def goes_through(c):
    await c.queue.config({"maxSize": 2}).create()
    await _fill(c, c.client({"urls": [c.url], "retry_429": {"max_attempts": 1}}))
    stored = await c.pending()
    pushing = asyncio.create_task(_push(c.queue, "more"))
    await asyncio.sleep(0.2)
    assert not pushing.done()
    await c.take(stored)
    await asyncio.wait_for(pushing, 30)
    assert "more" in payloads(await c.pop())


async def _fill(c, queen):
    """Push until 429. The bound is checked against a count that may be a little late."""
    for number in range(50):
        try:
            await queen.queue(c.name).push([{"data": number}])
        except Exception as error:
            assert error.response.status_code == 429, repr(error)
            assert error.retry_after_seconds is not None
            return
        await asyncio.sleep(0.1)
    raise Missing("maxSize is stored only")


async def _push(builder, value):
    await builder.push([{"data": value}])


main()
