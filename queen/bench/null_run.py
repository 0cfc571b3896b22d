"""The generator against nothing: the same schedule against a sink, so that its own lag and processor time are known."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from math import ceil

import msgspec

from queen.bench import sink
from queen.bench.crew import Crew
from queen.bench.orders import (
    Consume,
    Finish,
    Plan,
    Produce,
    Quiet,
    Ready,
    Slice,
    StopConsuming,
    StopProducing,
    Trouble,
)
from queen.bench.result import NullRun
from queen.bench.workload import Workload
from queen.errors import ServerFailed
from queen.measure.histogram import LatencyHistogram

LAG_SHARE_MAX, CPU_SHARE_MAX = 0.1, 0.8
SLO_MS_DEFAULT = 50.0
_PATIENCE_S = 30.0


class _Totals:
    def __init__(self) -> None:
        self.lag = LatencyHistogram()
        self.cpu_s: dict[int, float] = {}
        self.offered = self.overflow = 0
        self.ready: set[int] = set()
        self.quiet: set[tuple[int, str]] = set()
        self.changed = asyncio.Event()
        self.trouble: str | None = None
        self.is_behind = False
        self.is_counting = False
        """Connecting and the first imports are not the work that is judged."""

    def add(self, report: object) -> None:
        if isinstance(report, Ready):
            self.ready.add(report.worker)
        elif isinstance(report, Quiet):
            self.quiet.add((report.worker, report.what))
        elif isinstance(report, Trouble):
            self.trouble = report.message
        elif isinstance(report, Slice) and self.is_counting:
            self.offered += report.counts.due
            self.overflow += report.counts.overflow
            self.cpu_s[report.worker] = self.cpu_s.get(report.worker, 0.0) + report.cpu_s
            if "generator_lag" in report.latencies:
                self.lag.add(LatencyHistogram.decode(report.latencies["generator_lag"]))
        self.changed.set()


async def null_run(
    workload: Workload, rate: float, *, workers: int, seed: int, seconds: float = 5.0, slo_ms: float | None = None
) -> NullRun:
    """Drive a sink for so long. `slo_ms`: the tightest latency objective. Raises ServerFailed when workers fail."""
    consumes = workload.consume == "meanwhile"
    groups = tuple("" if workload.groups == 1 else f"g{number}" for number in range(workload.groups))
    bound_ms = slo_ms or SLO_MS_DEFAULT
    with sink.running(light=not consumes) as target:
        plans = [
            Plan(
                run_id="null",
                worker=worker,
                workers=workers,
                seed=seed,
                targets=(f"127.0.0.1:{target.port}",),
                queue="null-run",
                groups=groups if consumes else (),
                workload=msgspec.structs.replace(workload, handler_ms=(0, 0)),
                inflight_max=max(4 * workload.push_batch, ceil(4 * rate * bound_ms / 1000 / workers)),
            )
            for worker in range(workers)
        ]
        totals = _Totals()
        started = time.perf_counter()
        async with Crew(plans) as crew:
            reading = asyncio.create_task(_read(crew, totals))
            try:
                await _drive(crew, totals, rate, workers, seconds, consumes)
                if not totals.is_behind:
                    await reading
            finally:
                reading.cancel()
        return _judge(totals, rate, seconds, bound_ms, time.perf_counter() - started)


async def _read(crew: Crew, totals: _Totals) -> None:
    async for report in crew.reports():
        totals.add(report)


async def _drive(crew: Crew, totals: _Totals, rate: float, workers: int, seconds: float, consumes: bool) -> None:
    await _answered(totals, lambda: len(totals.ready) == workers)
    if consumes:
        await crew.send(Consume())
    start_ns = time.perf_counter_ns() + 200_000_000
    totals.is_counting = True
    await crew.send(Produce(phase="null_run", rate=rate, start_ns=start_ns, end_ns=start_ns + int(seconds * 1e9)))
    await asyncio.sleep(seconds + 0.3)
    await crew.send(StopProducing())
    try:
        await _until(totals, lambda: all((worker, "produce") in totals.quiet for worker in range(workers)))
    except TimeoutError:
        totals.is_behind = True  # so far beyond the generator that it is a finding, not a failure
        return
    if consumes:
        await crew.send(StopConsuming())
        await _answered(totals, lambda: all((worker, "consume") in totals.quiet for worker in range(workers)))
    await crew.send(Finish())


async def _answered(totals: _Totals, is_met: Callable[[], bool]) -> None:
    try:
        await _until(totals, is_met)
    except TimeoutError:
        raise ServerFailed("the null run failed: the workers do not answer") from None


async def _until(totals: _Totals, is_met: Callable[[], bool]) -> None:
    """Raises TimeoutError, and ServerFailed for a worker in trouble."""
    async with asyncio.timeout(_PATIENCE_S):
        while totals.trouble is None and not is_met():
            totals.changed.clear()
            await totals.changed.wait()
    if totals.trouble is not None:
        raise ServerFailed(f"the null run failed: {totals.trouble}")


def _judge(totals: _Totals, rate: float, seconds: float, bound_ms: float, lasted_s: float) -> NullRun:
    lag, reasons = totals.lag.percentile_ms(99), []
    shares = [cpu_s / max(seconds, 0.1) for cpu_s in totals.cpu_s.values()] or [0.0]
    if lag is None or lag > LAG_SHARE_MAX * bound_ms:
        reasons.append(f"generator lag p99 {lag if lag is not None else 'n/a'} ms (<= {LAG_SHARE_MAX * bound_ms:g})")
    if max(shares) > CPU_SHARE_MAX:
        reasons.append(f"a worker used {max(shares):.0%} of a core (<= {CPU_SHARE_MAX:.0%})")
    if totals.overflow:
        reasons.append(f"{totals.overflow} messages had to wait for the bound in flight")
    if totals.is_behind:
        reasons.append(f"what was sent was not answered within {_PATIENCE_S:.0f} s")
    return NullRun(
        rate_per_s=rate,
        offered_per_s=totals.offered / seconds,
        seconds=lasted_s,
        generator_lag_p99_ms=lag,
        cpu_share_max=max(shares),
        cpu_share_total=sum(shares),
        overflow=totals.overflow,
        ok=not reasons,
        reasons=reasons,
    )


async def calibrate(
    workload: Workload, rate: float, *, seed: int, seconds: float = 5.0, slo_ms: float | None = None
) -> tuple[int, NullRun]:
    """How many workers this load needs: one more as long as the null run fails, up to the machine's processors."""
    workers = 1
    while True:
        found = await null_run(workload, rate, workers=workers, seed=seed, seconds=seconds, slo_ms=slo_ms)
        if found.ok or workers >= (os.cpu_count() or 1):
            return workers, found
        workers += 1
