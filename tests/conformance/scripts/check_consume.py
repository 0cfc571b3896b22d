"""Consume loops: handlers, concurrency, ends, acknowledgements, failures, leases."""

from __future__ import annotations

import asyncio
import time

from harness import check, main, payloads


def collecting(seen):
    """A handler that notes what it gets, one or many."""

    async def handler(messages):
        seen.extend(payloads(messages) if isinstance(messages, list) else [messages["data"]])

    return handler


@check("default options")
async def default(c):
    seen = []
    await c.push(*range(20))
    await c.queue.limit(20).consume(collecting(seen))
    assert seen == list(range(20))
    assert await c.pending() == 0


@check("batch(1): the handler gets a message")
async def single(c):
    seen = []

    async def handler(message):
        seen.append(message["data"])

    await c.push(1, 2, 3)
    await c.queue.batch(1).limit(3).consume(handler)
    assert seen == [1, 2, 3]


@check("batch(n): the handler gets a list")
async def batch(c):
    sizes = []

    async def handler(messages):
        sizes.append(len(messages))

    await c.push(*range(30))
    await c.queue.batch(10).limit(30).consume(handler)
    assert sizes == [10, 10, 10]


@check("each(): one by one out of a batch")
async def each(c):
    seen = []

    async def handler(message):
        seen.append(message["data"])

    await c.push(*range(10))
    await c.queue.batch(10).each().limit(10).consume(handler)
    assert seen == list(range(10))
    assert await c.pending() == 0


@check("concurrency over partitions keeps the order of each")
async def concurrency(c):
    for partition in range(8):
        await c.push(*range(20), partition=f"p{partition}")
    seen = {}

    async def handler(message):
        seen.setdefault(message["partition"], []).append(message["data"])
        await asyncio.sleep(0)

    signal = asyncio.Event()
    consuming = asyncio.create_task(_consume(c.queue.concurrency(4).batch(5).wait(False).each(), handler, signal))
    await _until(lambda: sum(map(len, seen.values())) >= 160)
    signal.set()
    await consuming
    assert seen == {f"p{partition}": list(range(20)) for partition in range(8)}
    assert await c.pending() == 0


@check("concurrency: workers share, nobody gets a message of another")
async def sharing(c):
    running, most, seen = 0, 0, []

    async def handler(message):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        seen.append(message["data"])

    for partition in range(4):
        await c.push(*range(partition * 10, partition * 10 + 10), partition=f"p{partition}")
    signal = asyncio.Event()
    consuming = asyncio.create_task(_consume(c.queue.concurrency(4).batch(1).wait(False), handler, signal))
    await _until(lambda: len(seen) >= 40)
    signal.set()
    await consuming
    assert sorted(seen) == list(range(40))
    assert 1 < most <= 4


@check("limit")
async def limit(c):
    seen = []
    await c.push(*range(10))
    await c.queue.batch(1).limit(4).consume(collecting(seen))
    assert seen == [0, 1, 2, 3]
    assert await c.take(6) == [4, 5, 6, 7, 8, 9]


@check("idle_millis ends an idle consumer")
async def idle(c):
    seen = []
    await c.push(1)
    started_at = time.monotonic()
    await c.queue.wait(False).idle_millis(500).consume(collecting(seen))
    assert seen == [1]
    assert time.monotonic() - started_at < 30


@check("timeout_millis bounds a waiting consumer's poll", since="0.15.0")
async def timeout(c):
    seen = []
    await c.push(1)
    await c.queue.timeout_millis(300).idle_millis(500).consume(collecting(seen))
    assert seen == [1]


@check("a signal ends it between messages")
async def signal(c):
    seen, stop = [], asyncio.Event()

    async def handler(message):
        seen.append(message["data"])
        if len(seen) == 2:
            stop.set()

    await c.push(*range(10))
    await c.queue.batch(10).each().consume(handler, signal=stop)
    assert seen == [0, 1]


@check("a waiting consumer gets what is pushed later")
async def waiting(c):
    seen = []
    consuming = asyncio.create_task(_consume(c.queue.batch(1).limit(3), collecting(seen)))
    for number in range(3):
        await asyncio.sleep(0.1)
        await c.push(number)
    await asyncio.wait_for(consuming, 30)
    assert seen == [0, 1, 2]


@check("one partition")
async def partition(c):
    seen = []
    await c.push("a", partition="one")
    await c.push("b", partition="two")
    await c.queue.partition("two").limit(1).consume(collecting(seen))
    assert seen == ["b"]


@check("partitions(n)", since="0.14.0")
async def partitions(c):
    seen = []
    for name in ("one", "two", "three"):
        await c.push(name, partition=name)
    await c.queue.batch(10).partitions(3).limit(3).consume(collecting(seen))
    assert sorted(seen) == ["one", "three", "two"]


@check("in a consumer group")
async def group(c):
    seen = []
    await c.push(*range(5))
    await c.queue.group("g").batch(1).limit(5).consume(collecting(seen))
    assert seen == list(range(5))
    assert await c.pop(group="g") == []
    assert len(await c.pop()) == 5


@check("a handler that raises: given back, then delivered again")
async def failing(c):
    attempts = []

    async def handler(message):
        attempts.append((message["data"], message["deliveryAttempt"]))
        if message["deliveryAttempt"] == 1:
            raise RuntimeError("not yet")

    await c.push(1)
    await c.queue.batch(1).limit(2).consume(handler)
    assert attempts == [(1, 1), (1, 2)]
    assert await c.pending() == 0


@check("a handler that always raises: dead letter after retryLimit")
async def poison(c):
    deliveries = []

    async def handler(message):
        deliveries.append(message["data"])
        raise RuntimeError("broken")

    await c.queue.config({"retryLimit": 2}).create()
    await c.push("poison", "good")
    seen = []
    await c.queue.batch(1).limit(3).consume(handler)
    await c.queue.batch(1).limit(1).consume(collecting(seen))
    assert (deliveries, seen) == (["poison"] * 3, ["good"])
    dead = await c.queue.dlq().get()
    assert payloads(dead["messages"]) == ["poison"]


@check("a failing batch comes again as a whole")
async def failing_batch(c):
    batches = []

    async def handler(messages):
        batches.append(payloads(messages))
        if len(batches) == 1:
            raise RuntimeError("not yet")

    await c.push(1, 2, 3)
    await c.queue.batch(3).limit(6).consume(handler)
    assert batches == [[1, 2, 3], [1, 2, 3]]


@check("each(): after a failure the rest of its partition comes later", since="2.1.0")
async def failing_each(c):
    seen = []

    async def handler(message):
        seen.append(message["data"])
        if message["data"] == 2 and seen.count(2) == 1:
            raise RuntimeError("not yet")

    await c.push(1, 2, 3)
    await c.queue.batch(3).each().limit(4).consume(handler)
    assert seen == [1, 2, 2, 3]


@check("auto_ack(False): the handler acknowledges")
async def manual(c):
    async def handler(message):
        if message["data"] < 3:
            assert (await c.queen.ack(message, True))["success"] is True

    await c.queue.config({"leaseTime": 60}).create()
    await c.push(1, 2, 3)
    await c.queue.auto_ack(False).batch(3).each().limit(3).consume(handler)
    assert await c.pending() == 1


@check("auto_ack(False): a handler that raises ends the consumer")
async def manual_raises(c):
    async def handler(message):
        raise LookupError("my own")

    await c.push(1)
    try:
        await c.queue.auto_ack(False).batch(1).consume(handler)
    except LookupError:
        return
    raise AssertionError("it went on")


@check("on_success acknowledges")
async def on_success(c):
    async def handler(message):
        return message["data"] * 2

    async def good(message, result):
        assert result == message["data"] * 2
        assert (await c.queen.ack(message, True))["success"] is True

    await c.push(1, 2)
    await c.queue.batch(1).limit(2).consume(handler).on_success(good)
    assert await c.pending() == 0


@check("on_error gives back")
async def on_error(c):
    seen = []

    async def handler(message):
        raise RuntimeError("no")

    async def bad(message, error):
        seen.append((message["data"], message["deliveryAttempt"], str(error)))
        assert (await c.queen.ack(message, False, {"error": str(error)}))["success"] is True

    await c.push(1)
    await c.queue.batch(1).limit(2).consume(handler).on_error(bad)
    assert seen == [(1, 1, "no"), (1, 2, "no")]


@check("renew_lease keeps a slow handler's lease")
async def renew(c):
    async def handler(message):
        await asyncio.sleep(2)

    await c.queue.config({"leaseTime": 1}).create()
    await c.push(1)
    consuming = asyncio.create_task(_consume(c.queue.batch(1).limit(1).renew_lease(True, 300), handler))
    await asyncio.sleep(1.5)
    assert await c.pop() == []
    await consuming
    assert await c.pending() == 0


@check("without renewal a slow handler's message comes again")
async def no_renewal(c):
    async def handler(message):
        await asyncio.sleep(1.6)

    await c.queue.config({"leaseTime": 1}).create()
    await c.push(1)
    consuming = asyncio.create_task(_consume(c.queue.batch(1).limit(1), handler))
    await asyncio.sleep(1.3)
    assert payloads(await c.pop()) == [1]
    await consuming


async def _consume(builder, handler, signal=None):
    await builder.consume(handler, signal=signal)


async def _until(condition):
    ends_at = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends_at, "waited in vain"
        await asyncio.sleep(0.02)


main()
