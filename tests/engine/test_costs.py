"""What calls cost by the hour: differences of totals, by the leader alone, nothing while nothing is called."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from queen import errors
from queen.engine.maintenance.costs import StatementCosts
from queen.store.past import Cost


class _Totals:
    """A database that counts statements."""

    def __init__(self) -> None:
        self.totals: list[Cost] = []
        self.written: list[list[Cost]] = []
        self.asked = 0
        self.away = False

    async def statement_totals(self) -> list[Cost]:
        self.asked += 1
        if self.away:
            raise errors.StoreUnavailable("away")
        return self.totals

    async def record_statements(self, costs: Sequence[Cost]) -> None:
        self.written.append(list(costs))


def test_what_came_between_two_looks_is_written() -> None:
    async def run() -> None:
        store, leading = _Totals(), [True]
        costs = StatementCosts(store, lambda: leading[0])
        store.totals = [Cost("push", 100, 50.0, 1_000.0)]
        await costs.tick()
        assert store.written == [], "of the time before nobody knows how long it was"
        store.totals = [Cost("push", 300, 150.0, 5_000.0), Cost("pop", 10, 1.0, 20.0)]
        await costs.tick()
        assert store.written.pop() == [Cost("push", 200, 100.0, 4_000.0), Cost("pop", 10, 1.0, 20.0)]
        await costs.tick()
        assert store.written == [], "nothing was called"
        store.totals = [Cost("push", 5, 1.0, 3.0), Cost("pop", 11, 2.0, 30.0)]
        await costs.tick()
        assert store.written.pop() == [Cost("pop", 1, 1.0, 10.0)], "totals that went back tell nothing"

    asyncio.run(run())


def test_calls_that_serve_no_messages_are_not_kept() -> None:
    async def run() -> None:
        store = _Totals()
        costs = StatementCosts(store, lambda: True)
        await costs.tick()
        store.totals = [Cost("beat", 300, 30.0, 900.0), Cost("nothing_of_ours", 1, 1.0, 1.0)]
        await costs.tick()
        assert store.written == [], "an idle server writes nothing"

    asyncio.run(run())


def test_only_the_leader_looks_and_a_new_one_begins_anew() -> None:
    async def run() -> None:
        store, leading = _Totals(), [True]
        costs = StatementCosts(store, lambda: leading[0])
        await costs.tick()
        leading[0] = False
        store.totals = [Cost("push", 100, 1.0, 1.0)]
        await costs.tick()
        assert store.asked == 1
        leading[0] = True
        await costs.tick()
        assert (store.asked, store.written) == (2, [])

    asyncio.run(run())


def test_a_database_that_is_away_is_asked_again() -> None:
    async def run() -> None:
        store = _Totals()
        costs = StatementCosts(store, lambda: True)
        await costs.tick()
        store.away = True
        await costs.tick()
        store.away, store.totals = False, [Cost("ack", 7, 1.0, 1.0)]
        await costs.tick()
        assert store.written == [[Cost("ack", 7, 1.0, 1.0)]]

    asyncio.run(run())
