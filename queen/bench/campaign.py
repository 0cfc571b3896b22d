"""Runs a search step by step, with `run_one` for each, and makes its record. Knows no system."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec

from queen import __version__
from queen.bench.ask import Ask
from queen.bench.result import Campaign, Result, Step
from queen.bench.search import Found, backlog_grows, search

RunOne = Callable[[Ask], Awaitable[Result]]
STEP_WARMUP_S = 3.0


async def searched(ask: Ask, run_one: RunOne) -> Campaign:
    """The highest rate that holds, confirmed at it and at 70 % of it. The runs that are reported are whole ones."""
    began, started_at, found = time.monotonic(), datetime.now(UTC).isoformat(timespec="milliseconds"), Found()

    async def step(rate: float, seconds: float) -> Step:
        result = await run_one(_at(ask, rate, warmup_s=STEP_WARMUP_S, measure_s=seconds, null_run=False))
        return _step(result, rate, seconds)

    async def full(rate: float) -> Result:
        return await run_one(_at(ask, rate))

    await search(step, full, ask.rate, found=found)
    verdict = found.verdict()
    return Campaign(
        kind="search",
        queen_version=__version__,
        started_at=started_at,
        duration_s=round(time.monotonic() - began, 3),
        partial=verdict.word == "partial",
        command=ask.command,
        steps=found.steps,
        runs=found.runs,
        comparison=None,
        verdict=verdict,
        notes=[],
    )


def _at(
    ask: Ask, rate: float, *, warmup_s: float | None = None, measure_s: float | None = None, null_run: bool = True
) -> Ask:
    given = {"warmup_s": warmup_s, "measure_s": measure_s}
    workload = msgspec.structs.replace(
        ask.workload, rate=rate, **{name: value for name, value in given.items() if value is not None}
    )
    return msgspec.structs.replace(ask, workload=workload, null_run=null_run)


def _step(result: Result, rate: float, seconds: float) -> Step:
    """Held: its own verdict is a pass, and the backlog does not grow."""
    measured = [place for place, phase in enumerate(result.series.phase) if phase == "measure"]
    times = [float(result.series.second[place]) for place in measured]
    backlog = [result.series.values["backlog"][place] for place in measured]
    reasons = list(result.verdict.reasons)
    if backlog_grows(times, backlog, rate):
        reasons.append("the backlog grows")
    latency = result.latency
    return Step(
        label=f"{rate:,.0f}",
        setting={"rate": rate},
        seconds=seconds,
        offered_per_s=result.offered_per_s,
        delivered_per_s=result.delivered_per_s,
        response_p99_ms=latency["response"].p99 if "response" in latency else None,
        e2e_p99_ms=latency["e2e"].p99 if "e2e" in latency else None,
        held=result.verdict.word == "pass" and not reasons,
        reasons=reasons,
    )
