"""The catalog: shared look-ups, bounded memory, and queues that come back under new ids."""

from __future__ import annotations

import asyncio

import pytest

from queen import errors
from queen.engine.catalog import Catalog
from queen.engine.ready import ReadySet, Waiter
from tests.support.fake_clock import in_virtual_time, settle
from tests.support.memory_store import MemoryStore


@in_virtual_time
async def test_what_is_known_costs_no_call() -> None:
    store = MemoryStore()
    catalog = Catalog(store, 100)
    first = await catalog.ensure_partition("orders", "eu")
    assert await catalog.ensure_partition("orders", "eu") is first
    assert catalog.partition("orders", "eu") is first
    assert catalog.by_id(first.id) is first
    assert store.trouble.calls == {"resolve": 1}


@in_virtual_time
async def test_nothing_is_known_that_was_not_asked_for() -> None:
    catalog = Catalog(MemoryStore(), 100)
    assert (catalog.queue("q"), catalog.partition("q", "p"), catalog.by_id(1)) == (None, None, None)


@in_virtual_time
async def test_concurrent_look_ups_share_calls() -> None:
    store = MemoryStore()
    catalog = Catalog(store, 1000)
    gate = store.trouble.block("resolve")
    first = asyncio.ensure_future(catalog.ensure_partition("q", "0"))
    await gate.reached()
    rest = [asyncio.ensure_future(catalog.ensure_partition("q", str(n % 50))) for n in range(200)]
    await settle()
    gate.open()
    found = await asyncio.gather(first, *rest)
    assert len({id(partition) for partition in found}) == 50
    assert store.trouble.calls["resolve"] == 2, "the first, and all others"


@in_virtual_time
async def test_many_partitions_are_asked_for_in_one_call() -> None:
    store = MemoryStore()
    catalog = Catalog(store, 1000)
    await catalog.ensure_partitions(("q", str(n % 300)) for n in range(900))
    assert store.trouble.calls == {"resolve": 1}
    assert all(catalog.partition("q", str(n)) for n in range(300))
    await catalog.ensure_partitions(("q", str(n)) for n in range(300))
    assert store.trouble.calls == {"resolve": 1}


@in_virtual_time
async def test_a_failed_look_up_fails_all_who_share_it_and_is_not_remembered() -> None:
    store = MemoryStore()
    catalog = Catalog(store, 100)
    store.trouble.fail("resolve", errors.StoreUnavailable("away"))
    tasks = [asyncio.ensure_future(catalog.ensure_partition("q", str(n))) for n in range(3)]
    await asyncio.wait(tasks)
    assert [type(task.exception()) for task in tasks] == [errors.StoreUnavailable] * 3
    assert (await catalog.ensure_partition("q", "0")).name == "0"


@in_virtual_time
async def test_a_caller_that_leaves_does_not_disturb_the_others() -> None:
    store = MemoryStore()
    catalog = Catalog(store, 100)
    gate = store.trouble.block("resolve")
    leaving, staying = [asyncio.ensure_future(catalog.ensure_partition("q", "0")) for _ in range(2)]
    await gate.reached()
    leaving.cancel()
    gate.open()
    assert (await staying).name == "0"


@in_virtual_time
async def test_the_oldest_partitions_make_room() -> None:
    catalog = Catalog(MemoryStore(), 100)
    for n in range(101):
        await catalog.ensure_partition("q", str(n))
    known = [n for n in range(101) if catalog.partition("q", str(n))]
    assert known == list(range(10, 101))
    assert len(catalog._by_id) == len(known)
    assert (await catalog.ensure_partition("q", "0")).name == "0"


@in_virtual_time
async def test_a_queue_deleted_and_created_elsewhere_replaces_what_was_known() -> None:
    store = MemoryStore()
    catalog = Catalog(store, 100)
    old = await catalog.ensure_partition("q", "0")
    ready = old.queue.groups["g"] = ReadySet(old.queue, "g")
    waiter = Waiter([ready], None)
    store.delete_queue("q")
    new = await catalog.ensure_partition("q", "1")
    assert new.queue is not old.queue
    assert catalog.queue("q") is new.queue
    assert (catalog.by_id(old.id), catalog.partition("q", "0")) == (None, None)
    assert ready.closed
    assert waiter.future.result() is True


@in_virtual_time
async def test_forgetting_a_queue_forgets_its_partitions() -> None:
    catalog = Catalog(MemoryStore(), 100)
    one, other = await catalog.ensure_partition("a", "0"), await catalog.ensure_partition("b", "0")
    catalog.forget_queue("a")
    catalog.forget_queue("never known")
    assert (catalog.queue("a"), catalog.by_id(one.id), catalog.by_id(other.id)) == (None, None, other)


@in_virtual_time
async def test_options_are_asked_for_once() -> None:
    store = MemoryStore()
    store.configure("q", leaseTime=7)
    catalog = Catalog(store, 100)
    await catalog.ensure_partition("q", "0")
    queue = await catalog.ensure_queue("q")
    assert queue.lease_ms == 7000
    assert await catalog.ensure_queue("q") is queue
    assert store.trouble.calls == {"resolve": 1, "ensure_queue": 1}


@in_virtual_time
async def test_partitions_are_found_by_id_and_strangers_stay_unknown() -> None:
    store = MemoryStore()
    number = (await Catalog(store, 100).ensure_partition("q", "eu")).id
    catalog = Catalog(store, 100)
    await catalog.find_partitions([number, 999])
    found = catalog.by_id(number)
    assert found is not None
    assert (found.queue.name, found.name, catalog.by_id(999)) == ("q", "eu", None)
    await catalog.find_partitions([number])
    assert store.trouble.calls["partition_names"] == 1


@in_virtual_time
async def test_names_become_json_text_as_they_are() -> None:
    catalog = Catalog(MemoryStore(), 100)
    partition = await catalog.ensure_partition('q"\\', "ä\n")
    assert (partition.queue.json_name, partition.json_name) == (b'"q\\"\\\\"', '"ä\\n"'.encode())


@pytest.mark.parametrize(("namespace", "task", "found"), [("a", None, ["a.x", "a.y"]), (None, "x", ["a.x", "b.x"])])
def test_queues_of_a_namespace_or_task(namespace: str | None, task: str | None, found: list[str]) -> None:
    @in_virtual_time
    async def whole() -> None:
        store = MemoryStore()
        for name in ("a.x", "a.y", "b.x"):
            store.configure(name)
        queues = await Catalog(store, 100).matching(namespace, task)
        assert [queue.name for queue in queues] == found
        assert all(queue.options for queue in queues)

    whole()
