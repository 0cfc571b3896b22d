"""Consumer groups: independent progress, where they start, deleting and moving them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from harness import check, main, payloads


def stamp(moment):
    """A moment as the client's documentation writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def pop(builder):
    return payloads(await builder.batch(100).wait(False).pop())


@check("each group reads everything")
async def independent(c):
    await c.push(1, 2, 3)
    assert await c.take(3, "one") == [1, 2, 3]
    assert await c.take(3, "two") == [1, 2, 3]
    assert await c.take(3) == [1, 2, 3]


@check("members of a group share")
async def shared(c):
    for partition in ("a", "b"):
        await c.push(partition, partition=partition)
    first, second = await c.pop(1, "g"), await c.pop(1, "g")
    assert sorted(payloads(first + second)) == ["a", "b"]


@check("without a mode a group starts at the oldest")
async def oldest(c):
    await c.push("old")
    assert await c.take(1, "late") == ["old"]


@check("subscription_mode('new') skips what exists")
async def new(c):
    await c.push("old")
    assert await pop(c.queue.group("g").subscription_mode("new")) == []
    await c.push("new")
    assert await pop(c.queue.group("g").subscription_mode("new")) == ["new"]


@check("subscription_mode('all')")
async def everything(c):
    await c.push("old")
    assert await pop(c.queue.group("g").subscription_mode("all")) == ["old"]


@check("subscription_mode of consume")
async def consume_new(c):
    seen = []

    async def handler(message):
        seen.append(message["data"])

    await c.push("old")
    builder = c.queue.group("g").subscription_mode("new").batch(1).limit(1)

    async def consume():
        await builder.consume(handler)

    consuming = asyncio.create_task(consume())
    await c.subscribed("g")
    await c.push("new")
    await asyncio.wait_for(consuming, 30)
    assert seen == ["new"]


@check("subscription_from('now')")
async def now(c):
    await c.push("old")
    assert await pop(c.queue.group("g").subscription_from("now")) == []
    await c.push("new")
    assert await pop(c.queue.group("g").subscription_from("now")) == ["new"]


@check("subscription_from a timestamp")
async def moment(c):
    await c.push("before")
    await asyncio.sleep(0.05)
    [before] = await c.pop(group="look")
    middle = datetime.fromisoformat(before["createdAt"].replace("Z", "+00:00")) + timedelta(milliseconds=20)
    await c.push("after")
    assert await pop(c.queue.group("g").subscription_from(stamp(middle))) == ["after"]


@check("subscription_from a long time ago")
async def long_ago(c):
    await c.push("old")
    assert await pop(c.queue.group("g").subscription_from("2020-01-01T00:00:00.000Z")) == ["old"]


@check("a new partition of a registered group starts with it")
async def new_partition(c):
    await c.push("old", partition="one")
    assert await pop(c.queue.group("g").subscription_mode("new")) == []
    await c.push("new", partition="two")
    assert await pop(c.queue.group("g").subscription_mode("new")) == ["new"]


@check("delete_consumer_group: the next pop is a first contact")
async def delete(c):
    await c.push(1, 2)
    assert await c.take(2, c.name) == [1, 2]
    answer = await c.queen.delete_consumer_group(c.name)
    assert answer["success"] is True
    assert await c.take(2, c.name) == [1, 2]


@check("delete_consumer_group of an unknown group")
async def delete_unknown(c):
    assert (await c.queen.delete_consumer_group(c.name + " nobody"))["success"] is True


@check("delete_consumer_group, keeping the subscription")
async def delete_cursors(c):
    await c.push("old")
    assert await pop(c.queue.group(c.name).subscription_mode("new")) == []
    await c.push("new")
    assert await c.take(1, c.name) == ["new"]
    await c.queen.delete_consumer_group(c.name, False)
    assert await c.take(1, c.name) == ["new"]


@check("update_consumer_group_timestamp")
async def update(c):
    await c.push("old", partition="one")
    assert await pop(c.queue.group(c.name).subscription_mode("new")) == []
    answer = await c.queen.update_consumer_group_timestamp(c.name, "2020-01-01T00:00:00.000Z")
    assert answer["success"] is True
    await c.push("more", partition="two")
    assert await pop(c.queue.group(c.name)) in (["more"], ["old"])


main()
