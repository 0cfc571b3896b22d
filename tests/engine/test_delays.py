"""Queues that hold messages back by age: waiting pops wake when a message may go, and nothing is asked before."""

from __future__ import annotations

import asyncio
from typing import Any

from queen.engine.engine import Engine, PopQuery
from queen.engine.pop import PopRequest
from queen.store.base import QueueRow
from tests.support.builders import ack, ids_of, open_engine, pop, push
from tests.support.fake_clock import in_virtual_time, settle
from tests.support.memory_store import MemoryStore


def now() -> float:
    """The loop's clock."""
    return asyncio.get_running_loop().time()


def configure(store: MemoryStore, engine: Engine, **options: object) -> None:
    """Set options of the queue as the configure route does."""
    store.configure("orders", **options)
    state = store.queues["orders"]
    engine.catalog.learn(QueueRow(state.id, state.name, state.namespace, state.task, state.effective, None))


def waiting(engine: Engine, wait_ms: int = 60_000, **query: Any) -> asyncio.Task[PopRequest]:
    """A pop that waits."""
    return asyncio.ensure_future(pop(engine, wait_ms=wait_ms, **query))


@in_virtual_time
async def test_a_waiting_pop_gets_a_delayed_message_when_it_is_old_enough() -> None:
    store = MemoryStore()
    store.configure("orders", delayedProcessing=5)
    async with open_engine(store) as engine:
        task = waiting(engine)
        await asyncio.sleep(1)
        pushed_at = now()
        await push(engine, "a")
        assert ids_of(await task) == ["a"]
        assert 5 <= now() - pushed_at < 5.1


@in_virtual_time
async def test_pushes_meanwhile_wake_nobody_for_nothing() -> None:
    store = MemoryStore()
    store.configure("orders", delayedProcessing=10)
    async with open_engine(store) as engine:
        task = waiting(engine)
        await asyncio.sleep(1)
        await push(engine, "m0")
        await settle()
        looks = store.trouble.calls["pop"]
        assert looks > 0
        for n in range(1, 20):
            await asyncio.sleep(0.1)
            await push(engine, f"m{n}")
        assert store.trouble.calls["pop"] == looks, "the others wait with the first"
        assert ids_of(await task) == ["m0"]
        assert store.trouble.calls["pop"] == looks + 1


@in_virtual_time
async def test_messages_go_one_after_the_other_each_at_its_age() -> None:
    store = MemoryStore()
    store.configure("orders", delayedProcessing=5)
    async with open_engine(store) as engine:
        begun_at, found = now(), []
        for name in ("a", "b", "c"):
            await push(engine, name)
            await asyncio.sleep(1)
        for _ in range(3):
            request = await pop(engine, wait_ms=60_000)
            found.append((ids_of(request), round(now() - begun_at)))
            await ack(engine, request)
        assert found == [(["a"], 5), (["b"], 6), (["c"], 7)]


@in_virtual_time
async def test_without_waiting_a_young_message_is_not_there() -> None:
    store = MemoryStore()
    store.configure("orders", delayedProcessing=5)
    async with open_engine(store) as engine:
        await push(engine, "a")
        assert ids_of(await pop(engine)) == []
        assert ids_of(await pop(engine)) == []
        assert store.trouble.calls["pop"] == 1, "it is known to be held"
        await asyncio.sleep(5.1)
        assert ids_of(await pop(engine)) == ["a"]


@in_virtual_time
async def test_a_shorter_delay_counts_at_once_for_what_is_held() -> None:
    store = MemoryStore()
    store.configure("orders", delayedProcessing=3000)
    async with open_engine(store) as engine:
        await push(engine, "a")
        task = waiting(engine)
        await asyncio.sleep(1)
        await settle()
        assert not task.done()
        configure(store, engine, delayedProcessing=2)
        began_at = now()
        assert ids_of(await task) == ["a"]
        assert 0.9 < now() - began_at < 1.1


@in_virtual_time
async def test_an_answer_of_before_the_change_holds_nothing_after_it() -> None:
    store = MemoryStore()
    store.configure("orders", delayedProcessing=3000)
    async with open_engine(store) as engine:
        await push(engine, "a")
        gate = store.trouble.block("pop")
        task = waiting(engine)
        await gate.reached()
        configure(store, engine, delayedProcessing=0)
        gate.open()
        await asyncio.sleep(1)
        assert task.done()
        assert ids_of(task.result()) == ["a"]


@in_virtual_time
async def test_a_sweep_leaves_held_partitions_alone() -> None:
    store = MemoryStore()
    store.configure("orders", delayedProcessing=100)
    async with open_engine(store, loops=True, sweep_ms=1000) as engine:
        await push(engine, "a")
        task = waiting(engine, 30_000)
        assert ids_of(await task) == []
        assert store.trouble.calls["pop"] == 1
        assert ids_of(await pop(engine, wait_ms=90_000)) == ["a"]


@in_virtual_time
async def test_a_window_opens_that_long_after_the_first_write_and_lets_all_go() -> None:
    store = MemoryStore()
    store.configure("orders", windowBuffer=5)
    async with open_engine(store) as engine:
        task = waiting(engine)
        await asyncio.sleep(1)
        began_at = now()
        for n in range(9):
            await push(engine, f"m{n}")
            await asyncio.sleep(0.9)
            if task.done():
                break
        assert ids_of(await task) == [f"m{n}" for n in range(6)]
        assert 5 <= now() - began_at < 6


@in_virtual_time
async def test_other_queues_send_no_delays() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a")
        seen = []
        plain = store.pop

        async def pop_and_tell(epoch: int, batch: object) -> object:
            seen.append(batch)
            return await plain(epoch, batch)  # type: ignore[arg-type]

        store.pop = pop_and_tell  # type: ignore[assignment,method-assign]
        assert ids_of(await pop(engine)) == ["a"]
        assert [(batch.delays_ms, batch.windows_ms) for batch in seen] == [(None, None)]  # type: ignore[attr-defined]


# minPopWaitTime.


@in_virtual_time
async def test_a_waiting_pop_is_held_to_fill() -> None:
    store = MemoryStore()
    store.configure("orders", minPopWaitTime=2000)
    async with open_engine(store) as engine:
        await push(engine, "a")
        began_at = now()
        task = waiting(engine, batch=3)
        await asyncio.sleep(0.5)
        await push(engine, "b")
        await settle()
        assert store.trouble.calls["pop"] == 0, "no lease while it fills"
        await asyncio.sleep(0.5)
        await push(engine, "c")
        request = await task
        assert ids_of(request) == ["a", "b", "c"]
        assert now() - began_at < 1.1, "full: it goes at once"
        assert store.trouble.calls["pop"] == 1
        await ack(engine, request)
        began_at = now()
        await push(engine, "d")
        assert ids_of(await pop(engine, wait_ms=60_000, batch=3)) == ["d"]
        assert 2 <= now() - began_at < 2.1


@in_virtual_time
async def test_filling_never_goes_beyond_the_time_of_the_pop_nor_happens_without_waiting() -> None:
    store = MemoryStore()
    store.configure("orders", minPopWaitTime=60_000)
    async with open_engine(store) as engine:
        await push(engine, "a")
        began_at = now()
        request = await pop(engine, batch=3)
        assert (ids_of(request), now() - began_at) == (["a"], 0)
        await ack(engine, request)
        await push(engine, "b")
        request = await pop(engine, wait_ms=1000, batch=3)
        assert ids_of(request) == ["b"]
        assert 0.9 < now() - began_at < 1.1


@in_virtual_time
async def test_a_full_backlog_is_not_held() -> None:
    store = MemoryStore()
    store.configure("orders", minPopWaitTime=60_000)
    async with open_engine(store) as engine:
        await push(engine, *[f"m{n}" for n in range(50)])
        began_at = now()
        for _ in range(5):
            await ack(engine, await pop(engine, wait_ms=30_000, batch=10))
        assert now() - began_at < 0.1


@in_virtual_time
async def test_a_client_that_leaves_while_it_fills_takes_nothing() -> None:
    store = MemoryStore()
    store.configure("orders", minPopWaitTime=5000)
    async with open_engine(store) as engine:
        await push(engine, "a")
        task = waiting(engine)
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.wait({task})
        assert store.trouble.calls["pop"] == 0
        assert ids_of(await pop(engine)) == ["a"]


@in_virtual_time
async def test_a_pop_that_fills_says_that_it_waits_and_ends_when_its_client_has_gone() -> None:
    store = MemoryStore()
    store.configure("orders", minPopWaitTime=5000)
    async with open_engine(store) as engine:
        await push(engine, "a")
        request = await engine.prepare_pop(PopQuery("orders", batch=10))
        told: list[PopRequest] = []
        task = asyncio.ensure_future(engine.pop(request, 60_000, told.append))
        await asyncio.sleep(0.5)
        assert (told, request.parked) == ([request], True), "now the server watches for a client that leaves"
        engine.leave(request)
        await task
        assert store.trouble.calls["pop"] == 0
        assert ids_of(await pop(engine)) == ["a"]
