"""The store remembers where its small rows lie: warm calls use no index for them, and two servers do not mislead each
other."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from queen.engine.engine import PopQuery
from queen.model import COMPLETED, AckItem, NewMessage
from queen.runtime import Runtime, open_runtime
from queen.settings import DatabaseSettings, EngineSettings, Settings
from queen.store.spots import WITHOUT_EVERY, Spots
from tests.sql.client import Session

ROUNDS = 60
SETTINGS = replace(
    Settings(),
    database=DatabaseSettings(pool_size=1),
    engine=EngineSettings(sweep_ms=600_000, pop_gather_ms=0, high_perf=True),
)


async def push(runtime: Runtime, word: str) -> None:
    await runtime.engine.push([NewMessage("q", "p", word.encode(), b"1")])


async def consume(runtime: Runtime) -> list[bytes]:
    request = await runtime.engine.prepare_pop(PopQuery("q", batch=10))
    await runtime.engine.pop(request, 5_000)
    ids = [one for _, span in request.spans for one in span.transaction_ids]
    [(partition, _)] = request.spans
    items = [AckItem(one, partition.id, COMPLETED, request.lease_id, None) for one in ids]
    results = await runtime.engine.ack("__QUEUE_MODE__", items)
    assert [result.error for result in results] == [None] * len(ids)
    return ids


@pytest.mark.pg
def test_warm_calls_look_up_no_small_row_by_its_key(database_dsn: str) -> None:
    async def work() -> None:
        async with open_runtime(SETTINGS, database_dsn) as runtime:
            for number in range(ROUNDS):
                await push(runtime, f"m{number}")
                assert await consume(runtime) == [f"m{number}".encode()]

    asyncio.run(work())
    with Session(database_dsn) as session:
        # The statistics of a connection are there when it has ended.
        while session.one("select count(*) from pg_stat_activity where datname = current_database()") > 1:
            pass
        scans: dict[str, Any] = {
            row.relname: row.idx_scan
            for row in session.rows(
                "select relname, idx_scan from pg_stat_user_tables where relname = any(%s)", ["partitions", "cursors"]
            )
        }
    assert scans["cursors"] < ROUNDS / 2, "one a pop and one an ack would be twice the rounds"
    assert scans["partitions"] < ROUNDS / 2


@pytest.mark.pg
def test_another_server_that_moves_the_rows_misleads_nobody(database_dsn: str) -> None:
    async def work() -> None:
        async with open_runtime(SETTINGS, database_dsn) as one, open_runtime(SETTINGS, database_dsn) as two:
            for number in range(5):
                for name, runtime in (("one", one), ("two", two)):
                    await push(runtime, f"{name}-{number}")
                    assert await consume(runtime) == [f"{name}-{number}".encode()]

    asyncio.run(work())


def test_places_are_bounded() -> None:
    spots: Spots[int] = Spots(spots_max=10)
    for number in range(25):
        spots.learn([number], [bytes(6)])
        assert len(spots) <= 10
    assert spots.of([24, 0]) == [bytes(6), None]


def test_now_and_then_a_call_goes_without_hints() -> None:
    """So that a read by key may remove what is dead."""
    spots: Spots[int] = Spots()
    spots.learn([1], [bytes(6)])
    assert [spots.mostly([1]) is None for _ in range(2 * WITHOUT_EVERY)].count(True) == 2
    assert [spots.of([1])[0] is None for _ in range(2 * WITHOUT_EVERY)].count(True) == 0
