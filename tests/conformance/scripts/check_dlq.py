"""Dead letters: how messages get there, and how they are found."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from harness import check, main, payloads


async def bury(c, *values, group=None, partition="Default", error="broken"):
    """Push messages and dead-letter each."""
    await c.push(*values, partition=partition)
    for _ in values:
        [message] = await c.pop(1, group, partition if partition != "Default" else None)
        context = {"error": error, **({"group": group} if group else {})}
        assert (await c.queen.ack(message, "dlq", context))["success"] is True


@check("ack with the status dlq")
async def by_word(c):
    await bury(c, {"n": 1}, error="the reason")
    found = await c.queue.dlq().get()
    assert found["total"] == 1
    [message] = found["messages"]
    assert (message["data"], message["errorMessage"]) == ({"n": 1}, "the reason")


@check("after retryLimit failures")
async def by_failures(c):
    await c.queue.config({"retryLimit": 1, "dlqAfterMaxRetries": True}).create()
    await c.push("poison")
    for _ in range(2):
        [message] = await c.pop()
        await c.queen.ack(message, False, {"error": "again"})
    assert await c.pop() == []
    [dead] = (await c.queue.dlq().get())["messages"]
    assert (dead["data"], dead["errorMessage"]) == ("poison", "again")


@check("an empty one")
async def empty(c):
    await c.queue.create()
    found = await c.queue.dlq().get()
    assert (found["messages"], found["total"]) == ([], 0)


@check("an unknown queue")
async def unknown(c):
    assert (await c.queue.dlq().get())["messages"] == []


@check("by consumer group")
async def by_group(c):
    await bury(c, 1, group="a")
    assert payloads((await c.queue.dlq("a").get())["messages"]) == [1]
    assert (await c.queue.dlq("b").get())["messages"] == []


@check("by partition")
async def by_partition(c):
    await bury(c, 1, partition="one")
    await bury(c, 2, partition="two")
    assert payloads((await c.queue.partition("two").dlq().get())["messages"]) == [2]


@check("limit and offset, newest first")
async def pages(c):
    await bury(c, 1, 2, 3)
    first = await c.queue.dlq().limit(2).get()
    assert payloads(first["messages"]) == [3, 2]
    assert payloads((await c.queue.dlq().limit(2).offset(2).get())["messages"]) == [1]


@check("from_ and to")
async def times(c):
    await bury(c, "early")
    [dead] = (await c.queue.dlq().get())["messages"]
    failed_at = datetime.fromisoformat(dead["failedAt"].replace("Z", "+00:00"))
    await asyncio.sleep(0.1)
    await bury(c, "late")
    middle = (failed_at + timedelta(milliseconds=50)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert payloads((await c.queue.dlq().from_(middle).get())["messages"]) == ["late"]
    assert payloads((await c.queue.dlq().to(middle).get())["messages"]) == ["early"]


@check("switched off: the message is dropped")
async def off(c):
    await c.queue.config({"retryLimit": 0, "deadLetterQueue": False, "dlqAfterMaxRetries": False}).create()
    await c.push("poison")
    [message] = await c.pop()
    await c.queen.ack(message, False)
    assert await c.pop() == []
    assert (await c.queue.dlq().get())["messages"] == []


main()
