"""A running engine, and stores, that still know an epoch which was dropped behind their back."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

import pytest

from queen.engine.engine import PopQuery
from queen.model import COMPLETED, AckItem, NewMessage
from queen.runtime import Runtime, open_runtime
from queen.settings import EngineSettings, Settings
from queen.store.base import PopBatch
from tests.sql.client import Session
from tests.sql.upkeep import close, epochs, expire, leave, pass_time, record
from tests.support.server import wait_until

PATIENCE_S = 60
SETTINGS = replace(Settings(), engine=EngineSettings(sweep_ms=600_000, upkeep_ms=600_000))


async def _push(runtime: Runtime, *names: str) -> None:
    request = await runtime.engine.push([NewMessage("q", "p", name.encode(), b"1") for name in names])
    assert [chunk.error for chunk in request.chunks] == [None]


async def _take(runtime: Runtime, wait_ms: int = PATIENCE_S * 1000, group: str = "g") -> list[str]:
    """One pop of up to ten messages, and the ack of all it got."""
    request = await runtime.engine.prepare_pop(PopQuery("q", group=group, batch=10))
    await runtime.engine.pop(request, wait_ms)
    names: list[str] = []
    for partition, span in request.spans:
        items = [AckItem(one, partition.id, COMPLETED, request.lease_id, None) for one in span.transaction_ids]
        assert [one.error for one in await runtime.engine.ack(group, items)] == [None] * len(items)
        names += [one.decode() for one in span.transaction_ids]
    return names


def _drop_the_first(session: Session) -> None:
    session.configure("q", retentionEnabled=True, retentionSeconds=50, dedupWindowSeconds=0)
    close(session)
    pass_time(session, 100)

    def gone() -> bool:
        record(session)
        expire(session)
        return leave(session) == epochs(session)[-1:]

    # Others have precedence: the upkeep of a server that starts, and autovacuum.
    wait_until(gone, "the first epoch to be dropped")
    assert epochs(session) == [2]


@pytest.mark.parametrize("consumed", [False, True], ids=["left unread", "consumed"])
def test_an_engine_goes_on_when_its_epoch_was_dropped(database_dsn: str, consumed: bool) -> None:
    async def work() -> list[list[str]]:
        found: list[list[str]] = []
        with Session(database_dsn) as session:
            async with open_runtime(SETTINGS, database_dsn) as runtime:
                await _push(runtime, "a0", "a1")
                if consumed:
                    found.append(await _take(runtime))
                await _push(runtime, "a2")
                await asyncio.to_thread(_drop_the_first, session)
                found.append(await _take(runtime, wait_ms=0))
                await _push(runtime, "b0")
                found += [await _take(runtime), await _take(runtime, group="later")]
        return found

    found = asyncio.run(asyncio.wait_for(work(), PATIENCE_S))
    assert found == [*([["a0", "a1"]] if consumed else []), [], ["b0"], ["b0"]]


def test_a_pop_of_a_dropped_epoch_finds_nothing(database_dsn: str) -> None:
    async def work() -> None:
        with Session(database_dsn) as session:
            p = session.partition()
            session.push({p: ["a"]})
            session.open_cursors([p])
            async with open_runtime(SETTINGS, database_dsn) as runtime:
                batch = PopBatch([p], [b"g"], [1], [1], [uuid.uuid4().bytes], [0], False)
                assert len(await runtime.engine.store.pop(1, batch)) == 1
                await asyncio.to_thread(_drop_the_first, session)
                for epoch in (1, 1, 77):
                    assert await runtime.engine.store.pop(epoch, batch) == []

    asyncio.run(asyncio.wait_for(work(), PATIENCE_S))
