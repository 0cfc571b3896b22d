"""Reads by offset: no lease, no cursor, nothing to acknowledge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from harness import check, main


@check("fetch a partition", since="2.6.0")
async def fetch(c):
    await c.push("a", "b", partition="one")
    read = (await c.queue.fetch("one"))["one"]
    assert [record["payload"] for record in read["records"]] == ["a", "b"]
    assert (read["nextOffset"], read["logStartOffset"]) == (read["highWatermark"], 0)
    assert all(record["transactionId"] and record["ts"] for record in read["records"])


@check("fetch several partitions, in the order they are named", since="2.6.0")
async def several(c):
    await c.push(1, partition="one")
    await c.push(2, partition="two")
    read = await c.queue.fetch(["two", "nobody", "one"])
    found = [(name, [record["payload"] for record in part["records"]]) for name, part in read.items()]
    assert found == [("two", [2]), ("nobody", []), ("one", [1])]


@check("fetch only what is new", since="2.6.0")
async def newer(c):
    await c.push(1, 2, partition="one")
    start = (await c.queue.fetch(["one"]))["one"]["nextOffset"]
    await c.push(3, partition="one")
    read = (await c.queue.fetch(["one"], offsets={"one": start}))["one"]
    assert [record["payload"] for record in read["records"]] == [3]


@check("fetch more than fits one answer", since="2.6.0")
async def pages(c):
    values = [f"{number:04d}" + "x" * 1000 for number in range(100)]
    await c.push(*values, partition="one")
    read = (await c.queue.fetch(["one"], max_bytes=10_000))["one"]
    assert [record["payload"] for record in read["records"]] == values


@check("fetch from an unknown queue", since="2.6.0")
async def unknown(c):
    assert (await c.queue.fetch(["one"]))["one"]["records"] == []


@check("fetch moves no cursor", since="2.6.0")
async def harmless(c):
    await c.push(1)
    for _ in range(2):
        assert len((await c.queue.fetch("Default"))["Default"]["records"]) == 1
    assert await c.take(1) == [1]


@check("changed_since lists every partition", since="2.6.0")
async def changed(c):
    for name in ("b", "a"):
        await c.push(1, partition=name)
    found = await c.queue.changed_since()
    assert sorted(one["name"] for one in found["partitions"]) == ["a", "b"]
    assert all(one["lastOffset"] == 0 and one["lastWriteAt"] for one in found["partitions"])
    assert found["safeTime"]


@check("changed_since a time, and since its safeTime", since="2.6.0")
async def since(c):
    await c.push(1, partition="one")
    recent = datetime.now(UTC) - timedelta(minutes=10)
    found = await c.queue.changed_since(recent)
    assert [one["name"] for one in found["partitions"]] == ["one"]
    again = await c.queue.changed_since(found["safeTime"])
    assert [one["name"] for one in again["partitions"]] in ([], ["one"])
    later = await c.queue.changed_since(datetime.now(UTC) + timedelta(minutes=10))
    assert later["partitions"] == []


@check("changed_since of an unknown queue", since="2.6.0")
async def changed_unknown(c):
    assert (await c.queue.changed_since())["partitions"] == []


main()
