"""Pops: sizes, waiting, partitions, and what a message carries."""

from __future__ import annotations

import asyncio
import time

from harness import check, main, payloads

_FIELDS = {"id", "transactionId", "partitionId", "partition", "queue", "leaseId", "consumerGroup", "data", "createdAt"}


@check("default options")
async def default(c):
    await c.push(1)
    assert payloads(await c.queue.pop()) == [1]


@check("what a message carries")
async def fields(c):
    await c.push(1, partition="p")
    [message] = await c.pop()
    assert set(message) >= _FIELDS
    assert (message["queue"], message["partition"]) == (c.name, "p")
    assert message["leaseId"]
    assert message["createdAt"].endswith("Z")


@check("batch")
async def batch(c):
    await c.push(*range(10))
    assert payloads(await c.queue.batch(3).wait(False).pop()) == [0, 1, 2]


@check("an empty queue, without waiting")
async def empty(c):
    await c.queue.create()
    assert await c.pop() == []


@check("a queue that does not exist")
async def unknown(c):
    assert await c.pop() == []


@check("a waiting pop gets what is pushed later")
async def waiting(c):
    await c.queue.create()
    popped = asyncio.create_task(c.queue.batch(1).wait(True).pop())
    await asyncio.sleep(0.3)
    pushed_at = time.monotonic()
    await c.push("later")
    assert payloads(await popped) == ["later"]
    assert time.monotonic() - pushed_at < 15, "woken, and not at the end of its 30 s"


@check("a waiting pop that gets nothing ends in time", since="0.15.0")
async def timeout(c):
    started_at = time.monotonic()
    assert await c.queue.batch(1).wait(True).timeout_millis(1000).pop() == []
    assert 0.5 < time.monotonic() - started_at < 15, "not after the 30 s of a poll as it comes"


@check("one partition")
async def one_partition(c):
    await c.push("a", partition="one")
    await c.push("b", partition="two")
    assert payloads(await c.pop(partition="two")) == ["b"]


@check("a leased partition is not given twice")
async def leased(c):
    await c.push(1, 2)
    assert payloads(await c.pop(1)) == [1]
    assert await c.pop(1) == []


@check("partitions(n): several in one call, one lease", since="0.14.0")
async def partitions(c):
    for name in ("one", "two", "three"):
        await c.push(name, partition=name)
    messages = await c.queue.batch(100).partitions(3).wait(False).pop()
    assert sorted(payloads(messages)) == ["one", "three", "two"]
    assert len({message["leaseId"] for message in messages}) == 1
    assert len({message["partitionId"] for message in messages}) == 3
    assert (await c.queen.ack(messages))["success"] is True
    assert await c.pop() == []


@check("partitions(n): batch bounds the sum", since="0.14.0")
async def partitions_and_batch(c):
    for name in ("one", "two", "three"):
        await c.push(1, 2, 3, partition=name)
    assert len(await c.queue.batch(5).partitions(3).wait(False).pop()) == 5


@check("commit_on_delivery: no lease, nothing to ack", since="2.1.0")
async def commit(c):
    await c.push(1, 2)
    messages = await c.queue.batch(1).wait(False).commit_on_delivery().pop()
    assert payloads(messages) == [1]
    assert not messages[0]["leaseId"]
    assert payloads(await c.pop()) == [2]


@check("pop_result", since="1.3.0")
async def result(c):
    await c.push(1)
    found = await c.queue.wait(False).pop_result()
    assert payloads(found.messages) == [1]
    assert found.autopilot is None or found.autopilot.batch > 0


@check("autopilot: the server chooses the size", since="1.3.0")
async def autopilot(c):
    await c.push(*range(50))
    assert payloads(await c.queue.wait(False).pop()) == list(range(50))


@check("autopilot(False): one message", since="1.3.0")
async def no_autopilot(c):
    await c.push(1, 2)
    assert payloads(await c.queue.autopilot(False).wait(False).pop()) == [1]


@check("framed_pop: the answer is JSON, and read as such", since="2.3.0")
async def framed(c):
    await c.push({"n": 1})
    queen = c.client(c.url, framed_pop=True)
    assert payloads(await queen.queue(c.name).wait(False).pop()) == [{"n": 1}]


@check("a pop that fails gives an empty list")
async def fails(c):
    queen = c.client({"urls": ["http://127.0.0.1:9"], "retry_attempts": 1})
    assert await queen.queue(c.name).wait(False).pop() == []


main()
