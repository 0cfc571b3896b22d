"""Which queue a pop by namespace or task takes from: priority first, turns among equals, and nothing starves."""

from __future__ import annotations

import itertools
from collections import Counter

from queen.engine.discover import FAIR_EVERY
from queen.engine.engine import Engine
from tests.support.builders import open_engine, pop, push
from tests.support.fake_clock import in_virtual_time
from tests.support.memory_store import MemoryStore


async def served(engine: Engine, times: int, group: str = "g") -> list[str]:
    """The queues of so many pops of one message each, acknowledged at delivery."""
    found = []
    for _ in range(times):
        request = await pop(engine, None, namespace="shop", group=group, batch=1, auto_ack=True)
        [(partition, _)] = request.spans
        found.append(partition.queue.name)
    return found


async def filled(store: MemoryStore, engine: Engine, priorities: dict[str, int], count: int = 100) -> None:
    """Queues of one namespace with so many messages each."""
    for name, priority in priorities.items():
        await push(engine, *[f"m{n}" for n in range(count)], queue=name)
        store.configure(name, priority=priority)


@in_virtual_time
async def test_the_higher_priority_gets_seven_looks_of_eight() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await filled(store, engine, {"shop.a": 0, "shop.z": 5})
        assert FAIR_EVERY == 8
        assert Counter(await served(engine, 80)) == {"shop.z": 70, "shop.a": 10}


@in_virtual_time
async def test_no_queue_waits_longer_than_its_turns() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await filled(store, engine, {"shop.a": 0, "shop.b": 1, "shop.c": 2, "shop.d": 1_000_000})
        found = await served(engine, 96)
        for name in ("shop.a", "shop.b", "shop.c", "shop.d"):
            places = [-1, *[place for place, one in enumerate(found) if one == name], len(found)]
            gaps = [later - earlier for earlier, later in itertools.pairwise(places)]
            assert max(gaps) <= 4 * FAIR_EVERY, name


@in_virtual_time
async def test_equals_take_turns() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await filled(store, engine, {"shop.a": 3, "shop.b": 3, "shop.c": 3})
        assert Counter(await served(engine, 30)) == {"shop.a": 10, "shop.b": 10, "shop.c": 10}


@in_virtual_time
async def test_a_lower_queue_is_served_at_once_when_the_higher_is_empty() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await filled(store, engine, {"shop.z": 9}, 3)
        await filled(store, engine, {"shop.a": 0}, 3)
        assert sorted((await served(engine, 6))[:3]) == ["shop.z"] * 3


@in_virtual_time
async def test_one_pop_over_several_partitions_takes_from_the_higher_first() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        for name, priority in (("shop.a", 0), ("shop.z", 1)):
            for partition in ("1", "2"):
                await push(engine, "m", queue=name, partition=partition)
            store.configure(name, priority=priority)
        request = await pop(engine, None, namespace="shop", partitions=3)
        assert [partition.queue.name for partition, _ in request.spans] == ["shop.z", "shop.z", "shop.a"]


@in_virtual_time
async def test_each_group_counts_its_own_looks() -> None:
    store = MemoryStore()
    async with open_engine(store) as engine:
        await filled(store, engine, {"shop.a": 0, "shop.z": 5})
        both = [(await served(engine, 1, group))[0] for _ in range(8) for group in ("g", "h")]
        assert Counter(both) == {"shop.z": 14, "shop.a": 2}
