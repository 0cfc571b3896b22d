"""A crew of one or more against a sink, from start to end, and what it reported."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from queen.bench import sink
from queen.bench.crew import Crew
from queen.bench.orders import (
    METRICS,
    Consume,
    Counts,
    Finish,
    Plan,
    Produce,
    Quiet,
    Ready,
    Records,
    Report,
    Slice,
    StopConsuming,
    Trouble,
)
from queen.bench.records import DELIVERY, SEND, SETTLE
from queen.bench.workload import Workload
from queen.measure.histogram import LatencyHistogram

PATIENCE_S = 40.0
SHAPE: dict[str, Any] = {"partitions": 20, "connections": 8, "pop_wait_ms": 200, "payload_bytes": 120}


def plan(port: int, worker: int = 0, workers: int = 1, inflight_max: int = 10_000, **shape: Any) -> Plan:
    load = Workload(**(SHAPE | shape))
    groups = ("",) if load.groups == 1 else tuple(f"g{number}" for number in range(load.groups))
    return Plan(
        run_id="test",
        worker=worker,
        workers=workers,
        seed=5,
        targets=(f"127.0.0.1:{port}",),
        queue="q",
        groups=groups,
        workload=load,
        inflight_max=inflight_max,
        request_timeout_s=30,
    )


class Heard:
    """All reports of a crew, added up."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.changed = asyncio.Event()

    def add(self, report: Report) -> None:
        self.reports.append(report)
        self.changed.set()

    def of(self, kind: type) -> list[Any]:
        return [report for report in self.reports if isinstance(report, kind)]

    def is_quiet(self, what: str, workers: int) -> bool:
        return len({report.worker for report in self.of(Quiet) if report.what == what}) == workers

    @property
    def counts(self) -> Counts:
        slices = self.of(Slice)
        return Counts(**{name: sum(getattr(one.counts, name) for one in slices) for name in Counts.__struct_fields__})

    @property
    def errors(self) -> set[str]:
        return {name for one in self.of(Slice) for name in one.errors}

    @property
    def troubles(self) -> list[Trouble]:
        return self.of(Trouble)

    def rows(self, name: str) -> np.ndarray:
        layout = {"sends": SEND, "deliveries": DELIVERY, "settles": SETTLE}[name]
        return np.concatenate([np.frombuffer(getattr(one, name), layout) for one in self.of(Records)])

    def latency(self, metric: str) -> LatencyHistogram:
        assert metric in METRICS
        whole = LatencyHistogram()
        for one in self.of(Slice):
            if metric in one.latencies:
                whole.add(LatencyHistogram.decode(one.latencies[metric]))
        return whole

    def placed(self, flags: int = 0) -> list[tuple[int, int]]:
        """Key and sequence of all deliveries."""
        rows = self.rows("deliveries")
        return [(int(row["key"]), int(row["sequence"])) for row in rows if row["flags"] == flags]

    def sent(self, outcome: int) -> set[tuple[int, int]]:
        """Key and sequence of all sends with that outcome."""
        return {
            (int(row["key"]), int(row["first"]) + place)
            for row in self.rows("sends")
            if row["outcome"] == outcome
            for place in range(row["count"])
        }

    async def until(self, is_met: Any) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not is_met():
                assert not self.troubles, self.troubles
                self.changed.clear()
                await self.changed.wait()


async def drive(port: int, messages: int, rate: float, *, workers: int = 1, **shape: Any) -> Heard:
    """Push so many messages, consume all that come until nothing has come for a while, and finish."""
    heard = Heard()
    consumes = shape.get("consume") != "never"
    plans = [plan(port, worker, workers, **shape) for worker in range(workers)]
    if not consumes:
        plans = [msgspec.structs.replace(one, groups=()) for one in plans]
    async with Crew(plans) as crew:
        reading = asyncio.create_task(_read(crew, heard))
        await heard.until(lambda: len(heard.of(Ready)) == workers)
        if consumes:
            await crew.send(Consume())
        start_ns = time.perf_counter_ns() + 100_000_000
        await crew.send(Produce(phase="measure", rate=rate, start_ns=start_ns, messages=messages))
        await heard.until(lambda: heard.is_quiet("produce", workers))
        if consumes:
            await _drained(heard, workers)
            await crew.send(StopConsuming())
            await heard.until(lambda: heard.is_quiet("consume", workers))
        await crew.send(Finish())
        async with asyncio.timeout(PATIENCE_S):
            await reading
    return heard


async def _drained(heard: Heard, workers: int) -> None:
    """Four reports of each worker in a row that bring nothing: consumers ask more often than that."""

    def is_drained() -> bool:
        last = heard.of(Records)[-4 * workers :]
        return not any(one.deliveries or one.settles or one.sends for one in last)

    await heard.until(is_drained)


async def _read(crew: Crew, heard: Heard) -> None:
    async for report in crew.reports():
        heard.add(report)


def against_sink(faults: Sequence[str], messages: int, rate: float, **shape: Any) -> Heard:
    """The same against a sink with faults, in one call."""
    with sink.running(faults) as target:
        return asyncio.run(drive(target.port, messages, rate, **shape))
