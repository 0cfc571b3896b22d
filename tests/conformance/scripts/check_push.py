"""Pushes: payloads, ids, order, and the callbacks for stored, duplicate and failed items."""

from __future__ import annotations

import uuid

from harness import check, main, payloads, raises


@check("one message as a dict")
async def one(c):
    [result] = await c.queue.push({"data": {"n": 1}})
    assert result["status"] == "queued"
    assert await c.take(1) == [{"n": 1}]


@check("a list of messages, in order")
async def many(c):
    results = await c.push(*range(1000))
    assert [result["status"] for result in results] == ["queued"] * 1000
    assert await c.take(1000) == list(range(1000))


@check("any JSON as payload")
async def kinds(c):
    values = [None, True, 0, -1.5, "", "täxt", [], [1, [2]], {}, {"a": {"b": None}}, 2**53, "\u0000 \U0001f41d"]
    await c.push(*values)
    assert await c.take(len(values)) == values


@check("payload, and a bare dict, instead of data")
async def aliases(c):
    await c.queue.push([{"payload": {"n": 1}}, {"n": 2}])
    assert await c.take(2) == [{"n": 1}, {"n": 2}]


@check("a payload of one megabyte")
async def large(c):
    text = "x" * 1_000_000
    await c.push(text)
    assert await c.take(1) == [text]


@check("own transaction ids")
async def own_ids(c):
    [result] = await c.queue.push([{"transactionId": "mine", "data": 1}])
    assert result["transaction_id"] == "mine"
    [message] = await c.pop()
    assert message["transactionId"] == "mine"


@check("trace ids")
async def trace_ids(c):
    trace_id = str(uuid.uuid4())
    await c.queue.push([{"traceId": trace_id, "data": 1}, {"traceId": "no uuid", "data": 2}])
    assert [message["traceId"] for message in await c.pop()] == [trace_id, None]


@check("partitions")
async def partitions(c):
    await c.push("a", partition="one")
    await c.push("b", partition="two words / ü")
    [message] = await c.pop(partition="one")
    assert (message["data"], message["partition"]) == ("a", "one")
    [other] = await c.pop()
    assert (other["data"], other["partition"]) == ("b", "two words / ü")


@check("a duplicate is reported, and stored once")
async def duplicate(c):
    [first] = await c.queue.push([{"transactionId": "t", "data": 1}])
    [second] = await c.queue.push([{"transactionId": "t", "data": 2}])
    assert (second["status"], second["message_id"]) == ("duplicate", first["message_id"])
    assert payloads(await c.pop()) == [1]


@check("on_duplicate and on_success")
async def on_duplicate(c):
    stored, doubled = [], []

    async def good(items):
        stored.extend(item["payload"] for item in items)

    async def double(items, error):
        doubled.extend((item["payload"], item["result"]["status"], str(error)) for item in items)

    await c.queue.push([{"transactionId": "t", "data": "first"}])
    again = c.queue.push([{"transactionId": "t", "data": "second"}, {"transactionId": "u", "data": "third"}])
    await again.on_success(good).on_duplicate(double)
    assert stored == ["third"]
    assert doubled == [("second", "duplicate", "Duplicate transaction IDs detected")]


@check("the same id in another partition is new")
async def other_partition(c):
    for partition in ("one", "two"):
        [result] = await c.queue.partition(partition).push([{"transactionId": "t", "data": 1}])
        assert result["status"] == "queued"


@check("a refused push raises, with the server's words")
async def refused(c):
    await raises(c.queen.queue("n" * 300).push([{"data": 1}]), "queue")


@check("on_error gets the items of a refused push")
async def on_error(c):
    seen = []

    async def bad(items, error):
        seen.append((len(items), str(error)))

    answer = await c.queen.queue("n" * 300).push([{"data": 1}, {"data": 2}]).on_error(bad)
    assert answer is None
    [(count, text)] = seen
    assert count == 2
    assert "queue" in text


@check("a push is sent once")
async def once(c):
    pushed = c.queue.push([{"data": 1}])
    await pushed
    assert await pushed is None
    assert payloads(await c.pop()) == [1]


@check("binary_push is refused, as by every server before 2.3", since="2.3.0")
async def binary(c):
    queen = c.client(c.url, binary_push=True)
    await raises(queen.queue(c.name).push([{"data": 1}]), "")
    assert await c.pop() == []


main()
