"""Pops and consumers that name a namespace or a task instead of a queue."""

from __future__ import annotations

from harness import check, main, payloads


async def make(c):
    """Two queues of one namespace with different tasks, a message in each."""
    for task in ("ship", "bill"):
        queue = f"{c.name}.{task}"
        await c.queen.queue(queue).namespace(c.name).task(task).create()
        await c.push(task, queue=queue)


async def take(c, builder, count):
    """Pop until `count` came."""
    found = []
    while len(found) < count:
        messages = await builder().batch(100).wait(False).pop()
        assert messages, found
        assert (await c.queen.ack(messages))["success"] is True
        found += messages
    return found


@check("pop by namespace")
async def by_namespace(c):
    await make(c)
    messages = await take(c, lambda: c.queen.queue().namespace(c.name), 2)
    assert sorted((message["data"], message["queue"]) for message in messages) == [
        ("bill", c.name + ".bill"),
        ("ship", c.name + ".ship"),
    ]


@check("pop by namespace and task")
async def by_both(c):
    await make(c)
    assert payloads(await take(c, lambda: c.queen.queue().namespace(c.name).task("bill"), 1)) == ["bill"]
    assert await c.queen.queue().namespace(c.name).task("bill").wait(False).pop() == []


@check("pop by task")
async def by_task(c):
    await c.queue.task("t-" + c.name).create()
    await c.push(1)
    assert payloads(await take(c, lambda: c.queen.queue().task("t-" + c.name), 1)) == [1]


@check("a queue made by a push has the namespace of its name")
async def derived(c):
    namespace = c.name.replace(".", "-")
    await c.push(1, queue=f"{namespace}.orders.new")
    assert payloads(await take(c, lambda: c.queen.queue().namespace(namespace).task("orders"), 1)) == [1]


@check("consume by namespace")
async def consume(c):
    await make(c)
    seen = []

    async def handler(message):
        seen.append(message["data"])

    await c.queen.queue().namespace(c.name).batch(1).limit(2).consume(handler)
    assert sorted(seen) == ["bill", "ship"]


@check("in a consumer group")
async def group(c):
    await make(c)
    builder = c.queen.queue().namespace(c.name).group("g").batch(1)
    seen = []

    async def handler(message):
        seen.append(message["data"])

    await builder.limit(2).consume(handler)
    assert sorted(seen) == ["bill", "ship"]


@check("partitions(n) over queues", since="0.14.0")
async def partitions(c):
    await make(c)
    messages = await c.queen.queue().namespace(c.name).batch(10).partitions(10).wait(False).pop()
    assert sorted(payloads(messages)) == ["bill", "ship"]
    assert (await c.queen.ack(messages))["success"] is True


@check("neither queue, namespace nor task: refused by the client")
async def nothing(c):
    assert await c.queen.queue().wait(False).pop() == []


main()
