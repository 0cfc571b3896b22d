"""Pops whose client leaves, whose call fails, or whose server stops: no lease is left with nobody, no turn is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from queen import errors
from queen.engine.engine import Engine, PopQuery
from queen.engine.pop import PopRequest
from tests.support.builders import ack, ids_of, open_engine, pop, push
from tests.support.fake_clock import in_virtual_time, settle
from tests.support.memory_store import MemoryStore

HOUR_MS = 3_600_000


def live_leases(store: MemoryStore) -> int:
    """How many cursors are leased."""
    now = store.now()
    return sum(cursor.lease_id is not None and cursor.held(now) for cursor in store.cursors.values())


def now() -> float:
    """The loop's clock."""
    return asyncio.get_running_loop().time()


async def parked(engine: Engine, count: int) -> None:
    """Let everything run; so many polls are parked then."""
    await settle()
    assert engine.limits.parked_polls == count


# Clients that leave, and calls that fail.


async def start_poll(engine: Engine, wait_ms: int = HOUR_MS, **query: object) -> tuple[PopRequest, asyncio.Task[None]]:
    """A poll on its way, with its request at hand."""
    request = await engine.prepare_pop(PopQuery("orders", batch=10, wait_ms=wait_ms, **query))  # type: ignore[arg-type]
    return request, asyncio.ensure_future(engine.pop(request, wait_ms))


async def until(condition: Callable[[], bool]) -> None:
    """Give others one turn at a time until the condition holds."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came true")


@in_virtual_time
async def test_a_client_that_left_while_parked_gets_no_lease() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        request, poll = await start_poll(engine)
        await parked(engine, 1)
        engine.leave(request)
        await poll
        await push(engine, "a")
        await settle()
        assert (live_leases(store), engine.limits.parked_polls) == (0, 0)
        assert ids_of(await pop(engine)) == ["a"]


@pytest.mark.parametrize("how", ["leave", "cancel"])
def test_a_turn_that_a_leaving_client_was_given_passes_on(how: str) -> None:
    @in_virtual_time
    async def whole() -> None:
        store = MemoryStore()
        async with open_engine(store) as engine:
            request, first = await start_poll(engine)
            await settle()
            _, second = await start_poll(engine)
            await parked(engine, 2)
            pushed = asyncio.ensure_future(push(engine, "a"))
            await until(lambda: request.waiter is not None and request.waiter.future.done())
            if how == "cancel":  # Woken, and gone before it could look.
                first.cancel()
            else:
                engine.leave(request)
            await asyncio.wait_for(second, 10)
            await asyncio.wait({first, pushed})
            assert live_leases(store) == 1

    whole()


@in_virtual_time
async def test_a_turn_that_was_given_in_line_for_a_call_passes_on() -> None:
    store = MemoryStore()
    async with open_engine(store, pop_flushes_max=1) as engine:
        for name in ("eu", "us"):
            await push(engine, name, partition=name)
            await pop(engine, auto_ack=True)
        gate = store.trouble.block("pop")
        await push(engine, "a", partition="eu")
        _, first = await start_poll(engine)
        await gate.reached()
        leaving, second = await start_poll(engine)
        _, third = await start_poll(engine)
        await parked(engine, 2)
        await push(engine, "b", partition="us")
        await parked(engine, 1)
        engine.leave(leaving)  # It was woken for "b", and waits for its turn to call.
        gate.open()
        await asyncio.wait_for(asyncio.gather(first, second, third), 10)
        assert live_leases(store) == 2


@in_virtual_time
async def test_a_lease_that_arrives_as_its_client_is_cancelled_goes_back() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a")
        request, poll = await start_poll(engine)
        await until(lambda: request.done.done())
        assert ids_of(request) == ["a"]
        poll.cancel()
        await asyncio.wait({poll})
        await settle()
        assert live_leases(store) == 0
        assert ids_of(await pop(engine)) == ["a"]


@pytest.mark.parametrize("how", ["leave", "cancel"])
@pytest.mark.parametrize("after", [False, True], ids=["before the work", "after the work"])
def test_what_a_call_brings_for_nobody_is_given_back_at_once(how: str, after: bool) -> None:
    @in_virtual_time
    async def whole() -> None:
        store = MemoryStore()
        async with open_engine(store) as engine:
            await push(engine, "a", "b")
            await ack(engine, await pop(engine, batch=1))
            gate = store.trouble.block("pop", after=after)
            request, poll = await start_poll(engine)
            await gate.reached()
            if how == "cancel":
                poll.cancel()
            else:
                engine.leave(request)
            await settle()
            gate.open()
            await asyncio.wait({poll})
            await settle()
            assert live_leases(store) == 0
            start = now()
            again = await pop(engine, wait_ms=HOUR_MS)
            assert ids_of(again) == ["b"]
            assert now() == start

    whole()


@in_virtual_time
async def test_a_client_that_leaves_an_auto_ack_pop_breaks_nothing() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a")
        gate = store.trouble.block("pop")
        request, poll = await start_poll(engine, auto_ack=True)
        await gate.reached()
        engine.leave(request)
        gate.open()
        await poll
        await push(engine, "b")
        assert "b" in ids_of(await pop(engine))


@in_virtual_time
async def test_a_request_that_left_before_the_call_is_not_in_it() -> None:
    store = MemoryStore()
    async with open_engine(store, pop_flushes_max=1) as engine:
        await push(engine, "a")
        await push(engine, "b", partition="us")
        await engine.prepare_pop(PopQuery("orders"))
        gate = store.trouble.block("pop")
        _, first = await start_poll(engine)
        await gate.reached()
        leaving, second = await start_poll(engine)
        await settle()
        engine.leave(leaving)
        gate.open()
        await asyncio.gather(first, second)
        assert (store.trouble.calls["pop"], live_leases(store)) == (1, 1)
        assert ids_of(await pop(engine)) == ["b"]


@in_virtual_time
async def test_a_failed_call_fails_the_pop_and_hides_nothing() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a")
        store.trouble.fail("pop", errors.StoreUnavailable("away"))
        with pytest.raises(errors.StoreUnavailable):
            await pop(engine)
        assert ids_of(await pop(engine)) == ["a"]


@in_virtual_time
async def test_a_failed_look_after_the_call_keeps_what_the_call_brought() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a", partition="eu")
        await push(engine, "b", partition="us")
        held = await pop(engine, partition="us")
        await ack(engine, held, {"b": "retry"})
        store.locked_cursors.add((held.spans[0][0].id, b"__QUEUE_MODE__"))
        store.trouble.fail("examine", errors.StoreUnavailable("away"))
        lucky = asyncio.ensure_future(pop(engine, partition="eu"))
        unlucky = asyncio.ensure_future(pop(engine, partition="us"))
        await asyncio.wait({lucky, unlucky})
        assert ids_of(lucky.result()) == ["a"], "it is leased, so it is delivered"
        (leased,) = [partition for partition, _ in lucky.result().spans]
        assert leased.queue.groups["__QUEUE_MODE__"].is_held(leased.id)
        assert isinstance(unlucky.exception(), errors.StoreUnavailable)


@in_virtual_time
async def test_a_failed_sweep_fails_the_first_pop_and_the_next_one_tries_again() -> None:
    store = MemoryStore()
    async with open_engine(store) as writer:
        await push(writer, "a")
    async with open_engine(store) as engine:
        store.trouble.fail("ready_partitions", errors.StoreUnavailable("away"), KeyError("bug"))
        with pytest.raises(errors.StoreUnavailable):
            await pop(engine)
        with pytest.raises(errors.QueenError, match="internal error"):
            await pop(engine)
        assert ids_of(await pop(engine)) == ["a"]


@in_virtual_time
async def test_candidates_of_several_epochs_never_share_a_lease_id() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await pop(engine)
        for n in range(4):
            await push(engine, str(n), partition=str(n))
        ready = engine.catalog.queue("orders").groups["__QUEUE_MODE__"]  # type: ignore[union-attr]
        for n in (1, 3):
            number = engine.catalog.partition("orders", str(n)).id  # type: ignore[union-attr]
            ready.epochs[number] = 2  # A belief that the database will put right.
        got: list[str] = []
        for _ in range(4):
            request = await pop(engine, partitions=4)
            got += ids_of(request)
            numbers, _ = store.leases.get(_lease_bytes(request), ([request.spans[0][0].id], 0))
            assert numbers == [partition.id for partition, _ in request.spans], "extend() must find them all"
            if len(got) == 4:
                break
        assert sorted(got) == ["0", "1", "2", "3"]


def _lease_bytes(request: PopRequest) -> bytes:
    return bytes.fromhex(request.lease_id.replace("-", ""))


# Stopping.


@in_virtual_time
async def test_draining_ends_parked_polls_and_takes_no_new_ones() -> None:
    async with open_engine(MemoryStore()) as engine:
        poll = asyncio.ensure_future(pop(engine, wait_ms=HOUR_MS))
        await parked(engine, 1)
        start = now()
        engine.drain()
        assert ids_of(await poll) == []
        assert now() == start
        with pytest.raises(errors.ShuttingDown):
            await pop(engine)


@in_virtual_time
async def test_a_poll_that_looks_while_draining_begins_does_not_park_afterwards() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await push(engine, "a")
        await pop(engine)
        await push(engine, "b")
        engine.catalog.queue("orders").groups["__QUEUE_MODE__"].held.clear()  # type: ignore[union-attr]
        await push(engine, "c")  # A hint that leads to nothing: the lease is live.
        gate = store.trouble.block("pop")
        _, poll = await start_poll(engine)
        await gate.reached()
        engine.drain()
        start = now()
        gate.open()
        await poll
        assert now() == start
