"""Lease renewal."""

from __future__ import annotations

import asyncio

from harness import check, main, payloads


@check("of a message")
async def message(c):
    await c.push(1)
    [popped] = await c.pop()
    answer = await c.queen.renew(popped)
    assert (answer["success"], answer["leaseId"]) == (True, popped["leaseId"])
    assert answer["newExpiresAt"].endswith("Z")


@check("by its id")
async def by_id(c):
    await c.push(1)
    [popped] = await c.pop()
    assert (await c.queen.renew(popped["leaseId"]))["success"] is True


@check("of a list")
async def a_list(c):
    other = c.name + ".other"
    await c.push(1, 2)
    await c.push(3, queue=other)
    answers = await c.queen.renew(await c.pop() + await c.pop(queue=other))
    assert len({answer["leaseId"] for answer in answers}) == 2
    assert all(answer["success"] for answer in answers)


@check("one call for each lease of a list", since="0.14.0")
async def distinct(c):
    await c.push(1, 2, 3)
    assert len(await c.queen.renew(await c.pop())) == 1


@check("all partitions of a pop", since="0.14.0")
async def partitions(c):
    await c.queue.config({"leaseTime": 1}).create()
    for name in ("one", "two"):
        await c.push(name, partition=name)
    messages = await c.queue.batch(10).partitions(2).wait(False).pop()
    assert len(messages) == 2
    assert (await c.queen.renew(messages[0]))["success"] is True
    await asyncio.sleep(1.2)
    assert await c.pop() == []
    assert (await c.queen.ack(messages))["success"] is True


@check("a renewed lease outlives leaseTime")
async def outlives(c):
    await c.queue.config({"leaseTime": 1}).create()
    await c.push(1)
    [popped] = await c.pop()
    await c.queen.renew(popped)
    await asyncio.sleep(1.2)
    assert await c.pop() == []
    assert (await c.queen.ack(popped))["success"] is True


@check("an expired one is not revived")
async def expired(c):
    await c.queue.config({"leaseTime": 1}).create()
    await c.push(1)
    [popped] = await c.pop()
    await asyncio.sleep(1.2)
    await c.queen.renew(popped)
    assert payloads(await c.pop()) == [1]


@check("a lost lease is told", since="2.1.0")
async def lost(c):
    answer = await c.queen.renew("018f0000-0000-7000-8000-000000000000")
    assert (answer["success"], bool(answer["error"])) == (False, True)


@check("nothing to renew")
async def nothing(c):
    assert (await c.queen.renew({"data": 1}))["success"] is False


main()
