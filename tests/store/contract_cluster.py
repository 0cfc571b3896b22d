"""The part of the contract of a store that is about several servers."""

from __future__ import annotations

import uuid

from queen.store.cluster import Beat
from tests.store.bench import Bench, on_bench

ONE, TWO = uuid.UUID(int=1), uuid.UUID(int=2)
LEASE_MS = 60_000


class ClusterContract:
    """Signs of life, the lead, announcements."""

    @on_bench
    async def test_the_first_to_beat_leads_until_it_leaves(self, bench: Bench) -> None:
        assert await bench.store.beat(ONE, LEASE_MS) == Beat(True, 0, True)
        assert await bench.store.beat(TWO, LEASE_MS) == Beat(False, 1, True)
        assert await bench.store.beat(ONE, LEASE_MS) == Beat(True, 1, False)
        await bench.store.leave(ONE)
        assert await bench.store.beat(TWO, LEASE_MS) == Beat(True, 0, False)
        await bench.store.leave(ONE)  # Twice, and without the lead: nothing happens.
        assert await bench.store.beat(TWO, LEASE_MS) == Beat(True, 0, False)

    @on_bench
    async def test_a_server_without_a_sign_of_life_is_gone_and_fresh_when_it_comes_back(self, bench: Bench) -> None:
        await bench.store.beat(ONE, LEASE_MS)
        await bench.grow_old(LEASE_MS)
        assert await bench.store.beat(TWO, LEASE_MS) == Beat(True, 0, True)
        assert await bench.store.beat(ONE, LEASE_MS) == Beat(False, 1, True)
        assert await bench.store.beat(ONE, LEASE_MS) == Beat(False, 1, False)

    @on_bench
    async def test_announcements_are_read_by_others_in_order_as_long_as_they_are_young(self, bench: Bench) -> None:
        for number in (1, 2, 3):
            await bench.store.announce(ONE, number, f'{{"n": {number}}}', "")
        await bench.store.announce(TWO, 1, "{}", "")
        rows = await bench.store.recent_changes(TWO, LEASE_MS, 10)
        assert [(row.instance_id, row.number, row.news) for row in rows] == [
            (ONE, number, f'{{"n": {number}}}') for number in (1, 2, 3)
        ]
        assert [row.number for row in await bench.store.recent_changes(TWO, LEASE_MS, 2)] == [1, 2]
        assert await bench.store.recent_changes(TWO, -LEASE_MS, 10) == []

    @on_bench
    async def test_young_announcements_are_not_trimmed(self, bench: Bench) -> None:
        await bench.store.announce(ONE, 1, "{}", "")
        assert await bench.store.trim_changes() is False
        assert len(await bench.store.recent_changes(TWO, LEASE_MS, 10)) == 1

    @on_bench
    async def test_queues_are_found_by_id(self, bench: Bench) -> None:
        rows = [await bench.store.ensure_queue(name) for name in ("a", "b", "c")]
        await bench.delete_queue("b")
        found = await bench.store.queues_by_id([row.queue_id for row in rows])
        assert sorted(row.name for row in found) == ["a", "c"]
        assert {row.name: row for row in found}["a"] == rows[0]
