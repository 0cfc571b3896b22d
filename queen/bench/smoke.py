"""A short load on a database that is in use: is it slower than before a change of its settings?

It goes into a schema of its own, through a server of its own with a small pool, and is the same every time. What it
can tell is gross harm: the rate no longer holds, requests fail, or an answer takes half as long again beyond all
scatter. Two single runs cannot tell less than that, for a shared machine differs more from one hour to the next.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from queen.bench import campaign, profiles, target
from queen.bench.ask import Ask
from queen.bench.compare import MetricComparison, compare
from queen.bench.result import Result
from queen.bench.workload import Workload
from queen.errors import ComparisonRefused

SCHEMA: Final = "queen_tune_smoke"
RATE: Final = 1000
WARMUP_S: Final = 5
MEASURE_S: Final = 20
"""Four blocks of five seconds: with fewer there is no interval (docs/bench.md)."""

EFFECT: Final = 0.5
"""What an answer may lose before it counts: half as long again, with its whole interval."""
DECIDE: Final = ("response_p50", "response_p99", "e2e_p99")

SLOS: Final = ("rate(delivered)>=0.95*target", "errors<0.1%")
"""Less than the 99 % of a run that counts: one late second of twenty is five per cent."""
LAG: Final = "p99(response)<200ms"
"""No objective of the server: a generator that lags by more than a tenth of it has nothing to say. A server in use is
no quiet machine, and a smaller lag does not make an answer half as long again."""
_POOL: Final = ("--pool-size", "4")


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of it. `no answer`: there was nothing to compare with, or one of the two runs says nothing."""

    word: Literal["worse", "not worse", "no answer"]
    reasons: tuple[str, ...]
    comparison: dict[str, object] | None = None


def asked() -> Ask:
    """The run. Its generator is not proven apart: at this rate a lag would show in the run itself."""
    return Ask(
        mode="target",
        workload=_workload(),
        slos=(*SLOS, LAG),
        seed=1,
        command="queen tune-pg",
        judge_rate=False,
        inflight_max=2 * RATE,
        workers=1,
        null_run=False,
    )


def _workload() -> Workload:
    load = profiles.load("baseline-10k")
    return msgspec.structs.replace(
        load, name="tune-pg-smoke", rate=RATE, arrivals="uniform", warmup_s=WARMUP_S, measure_s=MEASURE_S, slos=SLOS
    )


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[target.System]:
    """A server of our own on the schema of our own, which has to be there. Raises like `target.started`."""
    async with target.started(_POOL, dsn=url, schema=SCHEMA, consent=True) as system:
        yield system


def judge(before: Result | None, after: Result) -> Judged:
    """The run after a change against the one before it. Pure."""
    word = after.verdict.word
    if word == "wrong":
        return Judged("worse", (after.verdict.line,))
    if word in ("invalid", "partial"):
        return Judged("no answer", (after.verdict.line,))
    if before is None:
        return Judged("no answer", ("there is no run from before the change to compare it with", *_figures(after)))
    if lost := [text for text in _missed(after) if text not in _missed(before)]:
        return Judged("worse", tuple(f"held before, and not now: {text} ({_missed(after)[text]})" for text in lost))
    return _compared(before, after)


def _missed(run: Result) -> dict[str, str]:
    """Objectives that did not hold, with what was measured."""
    return {one.text: one.value_text for one in run.slos if not one.held and one.text in SLOS}


def _compared(before: Result, after: Result) -> Judged:
    """Settings of PostgreSQL are what was changed: all else has to be the same."""
    sides = [campaign.of_a_side(run, ("settings", "storage")) for run in (before, after)]
    try:
        found = compare(*sides, min_effect=EFFECT, decide=DECIDE[0])
    except ComparisonRefused as refused:
        return Judged("no answer", (refused.message,))
    rows = [one for one in found.metrics if one.name in DECIDE]
    worse = [one for one in rows if one.word == "worse"]
    known = [one for one in rows if one.low is not None]
    if not known:
        return Judged("no answer", tuple(map(_row, rows)), found.builtins())
    return Judged("worse" if worse else "not worse", tuple(map(_row, worse or rows)), found.builtins())


def _row(one: MetricComparison) -> str:
    if one.a is None or one.b is None:
        return f"{one.name}: {one.reason or 'not measured'}"
    between = f" ({one.low:.2f} to {one.high:.2f})" if one.low is not None and one.high is not None else ""
    return f"{one.name} {one.a:.1f} → {one.b:.1f} {one.unit}, ratio {one.ratio or 0:.2f}{between}"


def _figures(run: Result) -> list[str]:
    found = run.latency.get("response")
    if found is None or found.p50 is None:
        return []
    return [f"response p50 {found.p50:.1f} ms at {run.delivered_per_s or 0:,.0f} messages a second"]
