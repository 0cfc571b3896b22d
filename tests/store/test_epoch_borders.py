"""A running engine goes over the borders of epochs that are opened behind its back."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from queen.engine.engine import PopQuery
from queen.model import COMPLETED, AckItem, NewMessage
from queen.runtime import Runtime, open_runtime
from queen.settings import EngineSettings, Settings
from tests.sql.client import Session

PATIENCE_S = 60


async def _push(runtime: Runtime, *names: str) -> None:
    request = await runtime.engine.push([NewMessage("q", "p", name.encode(), b"1") for name in names])
    assert [chunk.error for chunk in request.chunks] == [None]


async def _take(runtime: Runtime, batch: int) -> list[str]:
    """One pop that waits, and the ack of all it got."""
    request = await runtime.engine.prepare_pop(PopQuery("q", group="g", batch=batch))
    await runtime.engine.pop(request, PATIENCE_S * 1000)
    names: list[str] = []
    for partition, span in request.spans:
        items = [AckItem(one, partition.id, COMPLETED, request.lease_id, None) for one in span.transaction_ids]
        results = await runtime.engine.ack("g", items)
        assert [one.error for one in results] == [None] * len(items)
        names += [one.decode() for one in span.transaction_ids]
    return names


@pytest.mark.parametrize("warm", [False, True], ids=["a group that comes later", "a group that has begun"])
@pytest.mark.parametrize("batch", [1, 2, 10])
def test_a_group_gets_everything_in_order_over_three_epochs(database_dsn: str, warm: bool, batch: int) -> None:
    async def work() -> list[str]:
        found: list[str] = []
        settings = replace(Settings(), engine=EngineSettings(sweep_ms=600_000))
        with Session(database_dsn) as session:
            async with open_runtime(settings, database_dsn) as runtime:
                await _push(runtime, "a0", "a1", "a2")
                if warm:
                    found += await _take(runtime, 1)
                session.open_epoch(2)
                await _push(runtime, "b0", "b1")
                session.open_epoch(3)
                await _push(runtime, "c0", "a1", "b1", "c1")
                while len(found) < 7:
                    found += await _take(runtime, batch)
        return found

    found = asyncio.run(asyncio.wait_for(work(), PATIENCE_S))
    assert found == ["a0", "a1", "a2", "b0", "b1", "c0", "c1"]
