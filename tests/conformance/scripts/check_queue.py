"""Queues: create, options, delete, and the callbacks of both."""

from __future__ import annotations

from harness import check, main, raises


@check("create with default options")
async def create(c):
    made = await c.queue.create()
    assert made["configured"] is True
    options = made["options"]
    expected = {"leaseTime": 300, "retryLimit": 3, "priority": 0, "maxSize": 0, "encryptionEnabled": False}
    assert {name: options[name] for name in expected} == expected


@check("create twice")
async def create_twice(c):
    await c.queue.create()
    assert (await c.queue.create())["configured"] is True


@check("options in camelCase")
async def camel(c):
    made = await c.queue.config({"leaseTime": 120, "retryLimit": 5, "priority": 7, "dlqAfterMaxRetries": True}).create()
    options = made["options"]
    assert (options["leaseTime"], options["retryLimit"], options["priority"]) == (120, 5, 7)


@check("options in snake_case")
async def snake(c):
    named = {"lease_time": 90, "retry_limit": 1, "delayed_processing": 2, "window_buffer": 1}
    options = (await c.queue.config(named).create())["options"]
    found = [options[name] for name in ("leaseTime", "retryLimit", "delayedProcessing", "windowBuffer")]
    assert found == [90, 1, 2, 1]


@check("retention options")
async def retention(c):
    named = {"retentionEnabled": True, "retentionSeconds": 3600, "completedRetentionSeconds": 60}
    options = (await c.queue.config(named).create())["options"]
    assert {name: options[name] for name in named} == named


@check("namespace and task")
async def places(c):
    made = await c.queue.namespace("ns." + c.name).task("t." + c.name).create()
    assert (made["namespace"], made["task"]) == ("ns." + c.name, "t." + c.name)


@check("on_success of create")
async def on_success(c):
    seen = []

    async def good(result):
        seen.append(result["queue"])

    await c.queue.create().on_success(good)
    assert seen == [c.name]


@check("a bad option raises")
async def bad_option(c):
    await raises(c.queue.config({"leaseTime": -1}).create(), "leaseTime")


@check("on_error of create")
async def on_error(c):
    seen = []

    async def bad(error):
        seen.append(str(error))

    answer = await c.queue.config({"leaseTime": "soon"}).create().on_error(bad)
    assert answer["success"] is False
    assert seen == [answer["error"]]
    assert "leaseTime" in seen[0]


@check("delete")
async def delete(c):
    await c.push(1)
    answer = await c.queue.delete()
    assert (answer["deleted"], answer["existed"]) == (True, True)
    assert await c.pop() == []


@check("delete of an unknown queue is no error")
async def delete_unknown(c):
    assert (await c.queue.delete())["deleted"] is False


@check("delete, create and push again")
async def delete_and_create(c):
    await c.push("old")
    await c.queue.delete()
    await c.queue.create()
    await c.push("new")
    assert await c.take(1) == ["new"]
    assert await c.pop() == []


@check("names with spaces, dots and other scripts")
async def names(c):
    for name in (f"{c.name} with space", f"{c.name}-ünï-漢字", f"{c.name}.a.b_c~d"):
        await c.queen.queue(name).create()
        await c.push(name, queue=name)
        assert await c.take(1, queue=name) == [name]
        assert (await c.queen.queue(name).delete())["deleted"] is True


@check("delayedProcessing holds messages back")
async def delayed(c):
    await c.queue.config({"delayedProcessing": 1}).create()
    await c.push("later")
    assert await c.pop() == []
    assert await c.take(1) == ["later"]


@check("windowBuffer waits for a quiet partition")
async def window(c):
    await c.queue.config({"windowBuffer": 1}).create()
    await c.push("one")
    assert await c.pop() == []
    assert await c.take(1) == ["one"]


main()
