"""Pushes that the client gathers."""

from __future__ import annotations

import asyncio

from harness import Checking, check, main


@check("a buffered push answers at once")
async def answers(c):
    answer = await c.queue.buffer({"message_count": 10, "time_millis": 60000}).push([{"data": 1}, {"data": 2}])
    assert answer == {"buffered": True, "count": 2}
    assert await c.pop() == []


@check("flush by count")
async def by_count(c):
    for number in range(20):
        await c.queue.buffer({"message_count": 10, "time_millis": 60000}).push([{"data": number}])
    assert await c.take(20) == list(range(20))


@check("flush by time")
async def by_time(c):
    await c.queue.buffer({"message_count": 1000, "time_millis": 100}).push([{"data": "soon"}])
    assert await c.take(1) == ["soon"]


@check("flush_buffer of one queue")
async def one_queue(c):
    await c.queue.buffer({"message_count": 1000, "time_millis": 60000}).push([{"data": 1}])
    await c.queue.flush_buffer()
    assert await c.take(1) == [1]


@check("flush_all_buffers, over queues and partitions")
async def all_buffers(c):
    for partition in ("one", "two"):
        builder = c.queue.partition(partition).buffer({"message_count": 1000, "time_millis": 60000})
        await builder.push([{"data": partition}])
    await c.queen.flush_all_buffers()
    assert sorted(await c.take(2)) == ["one", "two"]


@check("get_buffer_stats")
async def stats(c):
    await c.queue.buffer({"message_count": 1000, "time_millis": 60000}).push([{"data": 1}])
    found = c.queen.get_buffer_stats()
    assert (found["activeBuffers"], found["totalBufferedMessages"]) == (1, 1)


@check("many flushes lose nothing")
async def many(c):
    await _fill(c)
    assert sorted(await c.take(1000)) == list(range(1000))


@check("order over many flushes", since="2.0.0")
async def order(c):
    await _fill(c)
    assert await c.take(1000) == list(range(1000))


async def _fill(c):
    for start in range(0, 1000, 20):
        items = [{"data": number} for number in range(start, start + 20)]
        await c.queue.buffer({"message_count": 50, "time_millis": 60000}).push(items)
    await c.queen.flush_all_buffers()


@check("close flushes")
async def close(c):
    other = Checking(c.urls, 0)
    await other.queen.queue(c.name).buffer({"message_count": 1000, "time_millis": 60000}).push([{"data": "last"}])
    await other.close()
    assert await c.take(1) == ["last"]


@check("on_success of a buffered push")
async def on_success(c):
    seen = []

    async def good(items):
        seen.extend(item["payload"] for item in items)

    await c.queue.buffer({"message_count": 1000, "time_millis": 60000}).push([{"data": 1}]).on_success(good)
    assert seen == [1]


@check("max_size holds the producer back, and loses nothing", since="2.6.0")
async def max_size(c):
    options = {"message_count": 10, "time_millis": 60000, "max_size": 20, "retry_delay_millis": 50}

    async def produce():
        for number in range(500):
            await c.queue.buffer(options).push([{"data": number}])
            assert c.queen.get_buffer_stats()["totalBufferedMessages"] <= 30

    await asyncio.wait_for(produce(), 30)
    await c.queen.flush_all_buffers()
    assert await c.take(500) == list(range(500))


main()
