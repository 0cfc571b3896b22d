"""Two servers on one database: how the client spreads its calls, and that any server takes any call."""

from __future__ import annotations

import asyncio
from collections import Counter

from harness import check, main, payloads


def spying(c, **options):
    """A client of all servers, and where its requests go, as they go."""
    queen, places = c.client({"urls": c.urls, **options}), []
    send = queen._http_client._execute_request

    def spy(url, *args, **named):
        places.append(next(one for one in c.urls if url.startswith(one)))
        return send(url, *args, **named)

    queen._http_client._execute_request = spy
    return queen, places


@check("round-robin takes turns")
async def round_robin(c):
    queen, places = spying(c, load_balancing_strategy="round-robin")
    for number in range(10):
        await queen.queue(c.name).push([{"data": number}])
    assert Counter(places) == dict.fromkeys(c.urls, 5), places
    assert await c.take(10) == list(range(10))


@check("affinity: a group's pops stay at one server")
async def affinity(c):
    queen, places = spying(c)
    for number in range(6):
        places.clear()
        for _ in range(3):
            await queen.queue(c.name).group(f"{number}.{c.name}").wait(False).pop()
        assert len(set(places)) == 1, places


@check("session: one server for all")
async def session(c):
    queen, places = spying(c, load_balancing_strategy="session")
    for _ in range(4):
        await queen.queue(c.name).push([{"data": 1}])
    assert len(set(places)) == 1


@check("a push at one server wakes a waiting pop at the other")
async def wakes(c):
    there = c.client(c.urls[1])
    popped = asyncio.create_task(there.queue(c.name).batch(1).wait(True).pop())
    await asyncio.sleep(0.5)
    await c.push("here")
    assert payloads(await asyncio.wait_for(popped, 20)) == ["here"]


@check("popped at one server, renewed and acknowledged at the other")
async def crossing(c):
    there = c.client(c.urls[1])
    await c.push(1)
    [message] = await c.pop()
    assert (await there.renew(message))["success"] is True
    assert (await there.ack(message))["success"] is True
    assert await c.pop() == []


@check("popped at one server, committed in a transaction at the other")
async def transaction(c):
    there = c.client(c.urls[1])
    await c.push(1)
    [message] = await c.pop()
    await there.transaction().ack(message).queue(c.name + ".out").push({"data": 2}).commit()
    assert await c.take(1, queue=c.name + ".out") == [2]


@check("a group deleted at one server is new at the other")
async def deleted_group(c):
    there = c.client(c.urls[1])
    await c.push(1)
    assert await c.take(1, "g") == [1]
    await there.delete_consumer_group("g")
    assert await c.take(1, "g") == [1]


@check("a queue deleted and made anew at one server is so at the other")
async def deleted_queue(c):
    there = c.client(c.urls[1])
    await c.push("old")
    await there.queue(c.name).delete()
    await there.queue(c.name).create()
    await c.push("new")
    assert await c.take(1) == ["new"]


main()
