"""What the client offers and the server does not have: the client says so, in its own words, and nothing breaks."""

from __future__ import annotations

from harness import check, main, payloads


async def refused(call, kind, code):
    """Await a call that must fail with an error of this class and code."""
    try:
        answer = await call
    except Exception as error:
        assert (type(error).__name__, getattr(error, "code", None)) == (kind, code), repr(error)
        return
    raise AssertionError(f"it did not fail: {answer!r}")


@check("kv: KvError no_such_route", since="1.3.0")
async def kv(c):
    await refused(c.queen.kv.put("ns", "key", 1, ttl_seconds=60), "KvError", "no_such_route")
    await refused(c.queen.kv.get("ns", "key"), "KvError", "no_such_route")


@check("timers: TimerError no_such_route", since="1.3.0")
async def timers(c):
    await refused(c.queen.timers.schedule(c.name, "k", {"n": 1}, delay_ms=10), "TimerError", "no_such_route")
    await refused(c.queen.timers.cancel(c.name, "k"), "TimerError", "no_such_route")


@check("locks: LockError no_such_route", since="2.1.0")
async def locks(c):
    await refused(c.queen.lock("daily", ttl_seconds=30).acquire(), "LockError", "no_such_route")


@check("semaphores: LockError no_such_route", since="2.1.0")
async def semaphores(c):
    await refused(c.queen.semaphore("pool", 3, ttl_seconds=30).acquire(), "LockError", "no_such_route")


@check("ephemeral queues: ephemeral_unsupported", since="1.3.0")
async def ephemeral(c):
    for call in (c.queen.ephemeral.push(c.name, [{"data": 1}]), c.queen.ephemeral.pop(c.name)):
        await refused(call, "EphemeralError", "ephemeral_unsupported")


@check("conflation: ConflationUnsupportedError on the first pop, full or empty", since="1.3.0")
async def conflation(c):
    await refused(c.queue.group("g").conflation().wait(False).pop(), "ConflationUnsupportedError", None)
    await c.push(1, 2)
    await refused(c.queue.group("g").conflation().wait(False).pop(), "ConflationUnsupportedError", None)


@check("conflation: a consumer ends before it handles anything", since="1.3.0")
async def conflation_consumer(c):
    seen = []

    async def handler(messages):
        seen.append(messages)

    async def consume():
        await c.queue.group("g").conflation().limit(1).consume(handler)

    await c.push(1, 2)
    await refused(consume(), "ConflationUnsupportedError", None)
    assert seen == []


@check("supervision: the consumer works, unreported", since="2.1.0")
async def supervision(c):
    seen = []

    async def handler(messages):
        seen.extend(payloads(messages))

    await c.push(1, 2)
    await c.queue.group("g").supervision({"group": "suite"}).limit(2).consume(handler)
    assert seen == [1, 2]


@check("streams: run fails", since="0.15.0")
async def streams(c):
    from queen import Stream

    try:
        runner = await Stream.from_(c.queue).map(lambda value: value).run("q-" + c.name, c.url)
    except Exception as error:
        assert "404" in str(error) or "Not Found" in str(error), repr(error)
        return
    await runner.stop()
    raise AssertionError("it did not fail")


main()
