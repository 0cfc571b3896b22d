"""The basic life of a message, for versions of the client that the suite does not try in full."""

from __future__ import annotations

from harness import check, main, payloads


@check("create, push, pop")
async def push_and_pop(c):
    await c.queue.config({"leaseTime": 60}).create()
    await c.push(1, 2, 3)
    assert payloads(await c.pop()) == [1, 2, 3]


@check("duplicates")
async def duplicates(c):
    for status in ("queued", "duplicate"):
        [result] = await c.queue.push([{"transactionId": "t", "data": 1}])
        assert result["status"] == status


@check("ack")
async def ack(c):
    await c.push(1, 2)
    [message] = await c.pop(1)
    await c.queen.ack(message, True)
    assert payloads(await c.pop()) == [2]


@check("the answer of an ack", since="0.12.0")
async def answer(c):
    await c.push(1)
    assert (await c.queen.ack(await c.pop()))["success"] is True
    await c.push(2)
    [message] = await c.pop()
    assert (await c.queen.ack(message))["success"] is True


@check("consume, and give back what fails")
async def consume(c):
    seen = []

    async def handler(message):
        seen.append((message["data"], message["deliveryAttempt"]))
        if seen == [(1, 1)]:
            raise RuntimeError("not yet")

    await c.push(1, 2)
    await c.queue.batch(1).limit(3).consume(handler)
    assert seen == [(1, 1), (1, 2), (2, 1)]


@check("consumer groups")
async def groups(c):
    await c.push(1)
    for group in ("one", "two"):
        assert payloads(await c.pop(group=group)) == [1]
    await c.queen.delete_consumer_group("one")
    assert payloads(await c.pop(group="one")) == [1]


@check("transaction")
async def transaction(c):
    await c.push(1)
    [message] = await c.pop()
    await c.queen.transaction().ack(message).queue(c.name + ".out").push([{"data": 2}]).commit()
    assert await c.pop() == []
    assert payloads(await c.pop(queue=c.name + ".out")) == [2]


@check("dead letters")
async def dead_letters(c):
    await c.queue.config({"retryLimit": 0}).create()
    await c.push("poison")
    [message] = await c.pop()
    await c.queen.ack(message, False, {"error": "broken"})
    [dead] = (await c.queue.dlq().get())["messages"]
    assert (dead["data"], dead["errorMessage"]) == ("poison", "broken")


@check("lease renewal")
async def renew(c):
    await c.push(1)
    [message] = await c.pop()
    assert (await c.queen.renew(message))["success"] is True


@check("buffered push")
async def buffered(c):
    await c.queue.buffer({"message_count": 10, "time_millis": 60000}).push([{"data": 1}])
    await c.queen.flush_all_buffers()
    assert payloads(await c.pop()) == [1]


main()
