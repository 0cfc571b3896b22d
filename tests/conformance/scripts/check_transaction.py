"""Transactions: acknowledgements and pushes, all or nothing."""

from __future__ import annotations

import asyncio

from harness import check, main, payloads, raises


@check("ack and push")
async def both(c):
    out = c.name + ".out"
    await c.push(1)
    [message] = await c.pop()
    answer = await c.queen.transaction().ack(message).queue(out).push([{"data": "made"}]).commit()
    assert answer["success"] is True
    assert await c.pop() == []
    assert await c.take(1, queue=out) == ["made"]


@check("the results are in the order of the operations")
async def results(c):
    await c.push(1)
    [message] = await c.pop()
    bundle = c.queen.transaction().ack(message).queue(c.name + ".a").push([{"data": 1}, {"data": 2}])
    answer = await bundle.queue(c.name + ".b").push({"data": 3}).commit()
    assert [result["type"] for result in answer["results"]] == ["ack", "push", "push", "push"]
    assert [result["index"] for result in answer["results"]] == [0, 1, 2, 3]


@check("pushes to several queues and partitions")
async def several(c):
    bundle = c.queen.transaction().queue(c.name).partition("one").push([{"data": "a"}])
    await (
        bundle.queue(c.name).partition("two").push([{"data": "b"}]).queue(c.name + ".x").push([{"data": "c"}]).commit()
    )
    assert payloads(await c.pop(partition="one")) == ["a"]
    assert payloads(await c.pop(partition="two")) == ["b"]
    assert await c.take(1, queue=c.name + ".x") == ["c"]


@check("several messages")
async def many(c):
    await c.push(*range(10))
    await c.queen.transaction().ack(await c.pop()).queue(c.name + ".out").push([{"data": "sum"}]).commit()
    assert await c.pending() == 0


@check("several leases")
async def leases(c):
    other = c.name + ".other"
    await c.push(1)
    await c.push(2, queue=other)
    [one], [two] = await c.pop(), await c.pop(queue=other)
    await c.queen.transaction().ack(one).ack(two).queue(c.name + ".out").push({"data": 3}).commit()
    assert (await c.pending(), await c.pending(other)) == (0, 0)


@check("in a consumer group", since="0.15.0")
async def group(c):
    await c.push(1)
    [message] = await c.pop(group="g")
    bundle = c.queen.transaction().ack(message, "completed", {"consumer_group": "g"})
    await bundle.queue(c.name + ".out").push({"data": 2}).commit()
    assert await c.pop(group="g") == []
    assert payloads(await c.pop()) == [1]


@check("an expired lease rolls back")
async def expired(c):
    await c.queue.config({"leaseTime": 1}).create()
    await c.push(1)
    [message] = await c.pop()
    await asyncio.sleep(1.2)
    await raises(c.queen.transaction().ack(message).queue(c.name + ".out").push([{"data": 2}]).commit(), "lease")
    assert await c.pop(queue=c.name + ".out") == []
    assert payloads(await c.pop()) == [1]


@check("a duplicate rolls back")
async def duplicate(c):
    out = c.name + ".out"
    if (await c.queen.transaction().queue(out).push([{"transactionId": "t", "data": 0}]).commit())["results"][0][
        "transactionId"
    ] != "t":
        return  # Old clients make an id of their own, and cannot meet a duplicate.
    await c.push(1)
    [message] = await c.pop()
    bundle = c.queen.transaction().ack(message).queue(out).push([{"transactionId": "t", "data": 2}])
    await raises(bundle.commit(), "duplicate")
    assert (await c.queen.ack(message))["success"] is True, "the lease is as it was"
    assert await c.take(1, queue=out) == [0]


@check("status failed and dlq")
async def statuses(c):
    await c.push(1, 2)
    [message] = await c.pop(1)
    await c.queen.transaction().ack(message, "failed").queue(c.name + ".out").push({"data": 1}).commit()
    [again] = await c.pop(1)
    assert (again["data"], again["deliveryAttempt"]) == (1, 2)
    await c.queen.transaction().ack(again, "dlq").queue(c.name + ".out").push({"data": 2}).commit()
    assert payloads((await c.queue.dlq().get())["messages"]) == [1]


@check("an empty one is refused by the client")
async def empty(c):
    await raises(c.queen.transaction().commit(), "no operations")


@check("a dict instead of a list")
async def a_dict(c):
    await c.queen.transaction().queue(c.name).push({"n": 1}).commit()
    assert await c.take(1) == [{"n": 1}]


@check("kv riders are refused, and nothing of the bundle happens", since="1.3.0")
async def kv(c):
    bundle = c.queen.transaction().once("ns", c.name, ttl_seconds=60).queue(c.name).push({"data": 1})
    await raises(bundle.commit(), "kv")
    assert await c.pop() == []


@check("timer riders are refused, and nothing of the bundle happens", since="1.3.0")
async def timers(c):
    bundle = c.queen.transaction().queue(c.name).push({"data": 1}).timer(c.name).key("k").payload(1).after_ms(10)
    await raises(bundle.schedule().commit(), "timer")
    assert await c.pop() == []


main()
