"""Several runs under one question, each made by `run_one`: search, sweep, interleaved comparison. Makes their records.

Knows no system. A run that is cut short ends its campaign; what was run before stays in the record.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from queen import __version__
from queen.bench import ab, sweep
from queen.bench.ask import Ask
from queen.bench.compare import compare
from queen.bench.fingerprint import match_hash
from queen.bench.result import Campaign, NullRun, Result, Step, Verdict, Word
from queen.bench.search import Found, backlog_grows, search
from queen.bench.verdict import CPU_SHARE_MAX, EXIT_CODES
from queen.errors import ComparisonRefused

RunOne = Callable[[Ask], Awaitable[Result]]
Prove = Callable[[Ask], Awaitable[tuple[int, NullRun]]]
Say = Callable[[str], None]
STEP_WARMUP_S = 3.0
STEP_MEASURE_S = 10.0
NULL_RUN_S = 2.0


class Cut(Exception):
    """A run of a campaign was cut short, or found what must never be: no further one is made."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.line)
        self.verdict = verdict


@dataclass
class Record:
    """A campaign in the making."""

    ask: Ask
    kind: Literal["search", "sweep", "ab"]
    notes: list[str] = field(default_factory=list)
    comparison: dict[str, Any] | None = None
    began: float = field(default_factory=time.monotonic)
    started_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))

    def done(self, verdict: Verdict, steps: list[Step], runs: list[Result]) -> Campaign:
        return Campaign(
            kind=self.kind,
            queen_version=__version__,
            started_at=self.started_at,
            duration_s=round(time.monotonic() - self.began, 3),
            partial=verdict.word == "partial",
            command=self.ask.command,
            steps=steps,
            runs=runs,
            comparison=self.comparison,
            verdict=verdict,
            notes=self.notes,
        )


async def searched(ask: Ask, run_one: RunOne, prove: Prove, say: Say = lambda _: None) -> Campaign:
    """The highest rate that holds, confirmed at it and at 70 % of it. The runs that are reported are whole ones.

    The generator proves itself once before the steps, which are sized by what it took, and again in each whole run.
    """
    record, found = Record(ask, "search"), Found()
    workers, null = (ask.workers, None) if ask.workers else await prove(ask)

    async def step(rate: float, seconds: float) -> Step:
        short = _at(ask, rate, warmup_s=STEP_WARMUP_S, measure_s=seconds)
        result = await run_one(
            msgspec.structs.replace(short, null_run=False, workers=_workers(ask, workers, null, rate))
        )
        made = searched_step(result, rate, seconds)
        say(f"search: {made.label} msg/s {'held' if made.held else 'missed: ' + '; '.join(made.reasons[:2])}")
        if result.verdict.word in ("wrong", "partial"):
            found.steps.append(made)
            found.wrong = result.verdict
            raise Cut(result.verdict)
        return made

    async def full(rate: float) -> Result:
        result = await run_one(_at(ask, rate))
        say(f"search: confirming {rate:,.0f} msg/s: {result.verdict.line}")
        return result

    try:
        await search(step, full, ask.rate, found=found)
    except Cut:
        record.notes.append("the search was cut short")
    return record.done(found.verdict(), found.steps, found.runs)


def searched_step(result: Result, rate: float, seconds: float) -> Step:
    """Held: its own verdict is a pass, and the backlog does not grow."""
    measured = [place for place, phase in enumerate(result.series.phase) if phase == "measure"]
    times = [float(result.series.second[place]) for place in measured]
    backlog = [result.series.values["backlog"][place] for place in measured]
    made = ab.step_of(f"{rate:,.0f}", 0, result)
    reasons = list(made.reasons)
    if backlog_grows(times, backlog, rate):
        reasons.append("the backlog grows")
    return msgspec.structs.replace(
        made, setting={"rate": rate}, seconds=seconds, held=made.held and not reasons, reasons=reasons
    )


def _workers(ask: Ask, proven: int, null: NullRun | None, rate: float) -> int:
    """As many as the rate takes, going by what the null run used: at most one for each processor."""
    if null is None:
        return proven
    wanted = math.ceil(null.cpu_share_total * rate / ask.rate / CPU_SHARE_MAX)
    return max(1, min(wanted, os.cpu_count() or 1))


def _at(ask: Ask, rate: float, **workload: float) -> Ask:
    return msgspec.structs.replace(ask, workload=msgspec.structs.replace(ask.workload, rate=rate, **workload))


async def swept(ask: Ask, run_one: RunOne, say: Say = lambda _: None) -> Campaign:
    """One knob over its range: every step, and where it bends."""
    assert ask.sweep is not None, "a sweep says what is swept"
    plan, record, steps = ask.sweep, Record(ask, "sweep"), list[Step]()
    values = dict(zip((plan.label(value) for value in plan.values), plan.values, strict=True))
    valid = False

    async def step(label: str, workload: Any) -> Step:
        nonlocal valid
        result = await run_one(msgspec.structs.replace(ask, workload=workload, null_run_s=NULL_RUN_S))
        made = msgspec.structs.replace(
            ab.step_of(label, 0, result), setting={plan.knob: values[label]}, seconds=workload.measure_s
        )
        say(f"sweep: {result.verdict.line}")
        if result.verdict.word in ("wrong", "partial"):
            steps.append(made)
            raise Cut(result.verdict)
        valid = valid or result.verdict.word != "invalid"
        return made

    try:
        await sweep.sweep(plan, ask.workload, step, steps=steps)
    except Cut as cut:
        record.notes.append("the sweep was cut short")
        return record.done(cut.verdict, steps, [])
    found = sweep.knee(steps)
    if found is not None:
        record.notes.append(f"bends at {found.label}: {found.reason}")
    bend = f"bends at {found.label}: {found.reason}" if found else "does not bend in this range"
    held = f"{sum(step.held for step in steps)} of {len(steps)} steps held"
    reasons = [] if valid else ["no step is valid: " + "; ".join(steps[-1].reasons)]
    verdict = _verdict("pass" if valid else "invalid", f"sweep of {plan.knob} · {held} · {bend}", reasons)
    return record.done(verdict, steps, [])


async def paired(ask: Ask, run_one: RunOne, say: Say = lambda _: None) -> Campaign:
    """A B B A A B …, then the comparison, whose exit code is that of the campaign.

    Each side's first run proves the generator; the later ones are made with as many workers.
    """
    assert ask.sides is not None, "a comparison has two sides"
    plan, record, done = ask.sides, Record(ask, "ab"), ab.Interleaved()
    proven: set[str] = set()
    workers = ask.workers

    async def one(label: ab.Label, workload: Any) -> Result:
        nonlocal workers
        say(f"ab: run {len(done.steps) + 1} of {len(plan.order)}, side {label}")
        slos = workload.slos if ask.slos == ask.workload.slos else ask.slos  # --slo holds for both sides
        result = await run_one(
            msgspec.structs.replace(ask, workload=workload, slos=slos, workers=workers, null_run=label not in proven)
        )
        workers = workers or result.request.workers
        proven.add(label)
        say(f"ab: {label}: {result.verdict.line}")
        differ = [name for name, knob in _OF_POSTGRES.items() if getattr(plan.a, knob) != getattr(plan.b, knob)]
        return of_a_side(result, differ)

    await ab.interleave(plan, one, done=done)
    if done.stopped is not None:
        record.notes.append(done.stopped)
    return record.done(_compared(done, record), done.steps, done.runs())


_OF_POSTGRES = {"settings": "postgres", "storage": "tables"}
"""Parts of what is known of PostgreSQL, and the knobs that a side sets them with."""


def of_a_side(result: Result, differ: Sequence[str]) -> Result:
    """Settings of the servers are what a comparison may be about: its two sides need not match in them, nor in the
    parts of PostgreSQL that its files set (`differ`: of `settings`, `storage`)."""
    kept = {name: part for name, part in result.fingerprint.items() if name != "settings"}
    if isinstance(kept.get("postgres"), dict):
        kept["postgres"] = {name: part for name, part in kept["postgres"].items() if name not in differ}
    return msgspec.structs.replace(result, fingerprint_hash=match_hash(kept)) if kept else result


def _compared(done: ab.Interleaved, record: Record) -> Verdict:
    """Wrong outweighs the comparison; too few pairs are no answer."""
    if done.wrong is not None:
        return done.wrong
    a, b = done.sides()
    if done.stopped is not None and len(a) < ab.PAIRS_MIN:
        word: Word = "partial" if " is partial" in done.stopped else "invalid"
        return _verdict(word, f"comparison · {len(a)} pairs · {done.stopped}", [done.stopped])
    try:
        found = compare(a, b, seed=record.ask.seed)
    except ComparisonRefused as refused:
        return _verdict("invalid", f"comparison · {refused.message}", [refused.message])
    record.comparison = found.builtins()
    record.notes += found.notes
    words: dict[str, Word] = {"better": "pass", "same": "pass", "worse": "fail"}
    return Verdict(word=words.get(found.word, "invalid"), exit_code=found.exit_code, line=found.line, reasons=[])


def _verdict(word: Word, rest: str, reasons: Sequence[str]) -> Verdict:
    return Verdict(word=word, exit_code=EXIT_CODES[word], line=f"{word.upper()} {rest}", reasons=list(reasons))
