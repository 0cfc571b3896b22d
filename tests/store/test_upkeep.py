"""A running engine whose epochs open and leave by themselves, in fast motion, under push, pop and ack."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from queen.engine.engine import PopQuery
from queen.model import COMPLETED, AckItem, NewMessage
from queen.runtime import Runtime, open_runtime
from queen.settings import EngineSettings, Settings
from tests.sql.client import Session

FAST = replace(
    Settings(),
    engine=EngineSettings(epoch_age_ms_min=500, epoch_age_ms_max=1000, upkeep_ms=250, sweep_ms=1000),
)
PATIENCE_S = 60
PARTITIONS = 8
BATCH = 50


@dataclass
class Seen:
    """What the traffic was told."""

    pushed: list[int] = field(default_factory=lambda: [0] * PARTITIONS)
    popped: list[list[str]] = field(default_factory=lambda: [[] for _ in range(PARTITIONS)])
    push_s: list[float] = field(default_factory=list)
    sizes: list[tuple[float, int]] = field(default_factory=list)
    """(seconds since the start, bytes of all children)"""


async def _produce(runtime: Runtime, seen: Seen, number: int, ends_at: float) -> None:
    while time.monotonic() < ends_at:
        first = seen.pushed[number]
        names = [f"{number}-{first + n}" for n in range(BATCH)]
        began = time.monotonic()
        request = await runtime.engine.push([NewMessage("q", str(number), one.encode(), b"1" * 200) for one in names])
        seen.push_s.append(time.monotonic() - began)
        assert [chunk.error for chunk in request.chunks] == [None]
        seen.pushed[number] += BATCH


async def _consume(runtime: Runtime, seen: Seen) -> None:
    while True:
        request = await runtime.engine.prepare_pop(PopQuery("q", group="g", batch=200, wait_ms=500))
        await runtime.engine.pop(request, 500)
        for partition, span in request.spans:
            seen.popped[int(partition.name)] += [one.decode() for one in span.transaction_ids]
            items = [AckItem(one, partition.id, COMPLETED, request.lease_id, None) for one in span.transaction_ids]
            assert [one.error for one in await runtime.engine.ack("g", items)] == [None] * len(items)


async def _watch(session: Session, seen: Seen) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(1)
        size = await asyncio.to_thread(
            session.one,
            "select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint from pg_class c"
            " where c.relname ~ '^messages_[0-9]+(_old|_new)?$' and c.relkind = 'r'",
        )
        seen.sizes.append((time.monotonic() - began, int(size)))


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what it waits for happens in the database
        await asyncio.sleep(0.1)


async def _run(dsn: str, session: Session, seconds: float) -> tuple[Seen, dict[str, int]]:
    seen = Seen()
    async with open_runtime(FAST, dsn) as runtime:
        ends_at = time.monotonic() + seconds
        helpers = [asyncio.create_task(_consume(runtime, seen)) for _ in range(4)]
        helpers.append(asyncio.create_task(_watch(session, seen)))
        await asyncio.gather(*[_produce(runtime, seen, number, ends_at) for number in range(PARTITIONS)])
        async with asyncio.timeout(PATIENCE_S):
            await _until(lambda: sum(map(len, seen.popped)) >= sum(seen.pushed) or any(one.done() for one in helpers))
            await _until(lambda: runtime.engine.stats.counters.epochs_dropped > 0)
        for helper in helpers:
            helper.cancel()
        ended = await asyncio.gather(*helpers, return_exceptions=True)
        assert [one for one in ended if not isinstance(one, asyncio.CancelledError)] == []
        return seen, runtime.engine.stats.snapshot()


@pytest.mark.parametrize("seconds", [5, pytest.param(60, marks=pytest.mark.slow)])
def test_epochs_come_and_go_under_load(database_dsn: str, seconds: int) -> None:
    with Session(database_dsn) as session:
        session.configure("q", retentionEnabled=True, completedRetentionSeconds=1, dedupWindowSeconds=2, leaseTime=60)
        seen, counters = asyncio.run(_run(database_dsn, session, seconds))
        deleted = session.one("select coalesce(sum(n_tup_del), 0) from pg_stat_user_tables where relname ~ '^messages'")
    total = sum(seen.pushed)
    slowest = sorted(seen.push_s)[-3:]
    print(f"messages {total}, a second {total / seconds:.0f}; longest pushes, ms: {[round(s * 1000) for s in slowest]}")
    print(f"99th percentile of pushes, ms: {sorted(seen.push_s)[int(len(seen.push_s) * 0.99)] * 1000:.0f}")
    print({name: value for name, value in counters.items() if name.startswith(("epoch", "messages_h", "upkeep"))})
    print("MiB by second:", [size >> 20 for _, size in seen.sizes])
    for number in range(PARTITIONS):
        assert seen.popped[number] == [f"{number}-{n}" for n in range(seen.pushed[number])]
    assert counters["epochs_opened"] >= 2
    assert counters["epochs_dropped"] >= 1
    assert deleted == 0
    if seconds >= 60:
        early = max(size for at, size in seen.sizes if 10 <= at < 30)
        late = max(size for at, size in seen.sizes if 40 <= at < 60)
        assert late < early * 1.5, "the disk stays flat"
