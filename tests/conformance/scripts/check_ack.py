"""Acknowledgements: single and batch, every status, groups, leases."""

from __future__ import annotations

import asyncio

from harness import check, main, payloads, raises


@check("True completes")
async def completes(c):
    await c.push(1, 2)
    [message] = await c.pop(1)
    answer = await c.queen.ack(message, True)
    assert answer["success"] is True
    assert payloads(await c.pop()) == [2]


@check("False gives back, and counts")
async def fails(c):
    await c.push(1)
    [message] = await c.pop()
    assert (await c.queen.ack(message, False, {"error": "no"}))["success"] is True
    [again] = await c.pop()
    assert (again["data"], again["deliveryAttempt"]) == (1, 2)


@check("status words: completed, failed, retry, dlq")
async def words(c):
    for word in ("completed", "failed", "retry", "dlq"):
        queue = f"{c.name}.{word}"
        await c.push(word, queue=queue)
        [message] = await c.pop(queue=queue)
        assert (await c.queen.ack(message, word))["success"] is True
        left = await c.pop(queue=queue)
        assert bool(left) == (word in ("failed", "retry")), word


@check("a list of messages")
async def batch(c):
    await c.push(*range(5))
    messages = await c.pop()
    answer = await c.queen.ack(messages)
    assert answer["success"] is True
    assert [result["success"] for result in answer["results"]] == [True] * 5
    assert await c.pop() == []


@check("an empty list")
async def nothing(c):
    assert await c.queen.ack([]) == {"processed": 0, "results": []}


@check("a status for each message of a list")
async def each_its_own(c):
    await c.push(*range(3))
    messages = await c.pop()
    messages[2] |= {"_status": False, "_error": "third"}
    answer = await c.queen.ack(messages, True)
    assert answer["success"] is True
    [again] = await c.pop()
    assert (again["data"], again["deliveryAttempt"]) == (2, 2)


@check("a list over several partitions")
async def several_partitions(c):
    for name in ("one", "two"):
        await c.push(name, partition=name)
    messages = await c.pop(1) + await c.pop(1)
    assert sorted(payloads(messages)) == ["one", "two"]
    assert (await c.queen.ack(messages))["success"] is True
    assert await c.pop() == []


@check("in a consumer group")
async def group(c):
    await c.push(1)
    [message] = await c.pop(group="g")
    assert (await c.queen.ack(message, True, {"group": "g"}))["success"] is True
    assert await c.pop(group="g") == []
    assert payloads(await c.pop()) == [1]


@check("a list in a consumer group")
async def group_batch(c):
    await c.push(1, 2)
    messages = await c.pop(group="g")
    assert (await c.queen.ack(messages, True, {"group": "g"}))["success"] is True
    assert await c.pop(group="g") == []


@check("an expired lease is refused")
async def expired(c):
    await c.queue.config({"leaseTime": 1}).create()
    await c.push(1)
    [message] = await c.pop()
    await asyncio.sleep(1.2)
    assert payloads(await c.pop()) == [1]
    answer = await c.queen.ack(message)
    assert (answer["success"], bool(answer["error"])) == (False, True)


@check("a refused item makes a list fail, with each verdict", since="2.1.0")
async def refused_in_list(c):
    await c.push(1, 2)
    messages = await c.pop()
    messages[0]["leaseId"] = "018f0000-0000-7000-8000-000000000000"
    answer = await c.queen.ack(messages)
    assert answer["success"] is False
    assert [result["success"] for result in answer["results"]] == [False, True]


@check("acknowledged twice")
async def twice(c):
    await c.push(1, 2)
    [message] = await c.pop(1)
    assert (await c.queen.ack(message))["success"] is True
    assert (await c.queen.ack({**message, "leaseId": None}))["success"] is True


@check("without a partition the client refuses by itself")
async def no_partition(c):
    assert (await c.queen.ack("t"))["success"] is False
    await raises(c.queen.ack(["t"]), "partitionId")


@check("an unknown transaction fails")
async def unknown(c):
    await c.push(1)
    [message] = await c.pop()
    answer = await c.queen.ack({**message, "transactionId": "nobody"})
    assert (answer["success"], bool(answer["error"])) == (False, True)


main()
