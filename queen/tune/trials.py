"""What may be tried against a plan, in order of what is at stake, and what the trials mean. Pure; how one is made, the
caller knows.

A trial compares the plan with the plan and one change more, in turns. Only what can change at run time, never what
durability rests on, and nothing whose price or gain a run of half a minute does not show. One factor at a time: what is
kept is part of the next one's side A.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from queen.settings import EngineSettings
from queen.tune.inputs import Inputs
from queen.tune.lines import Note, Plan
from queen.tune.tables import HOT, THRESHOLDS

PAIRS_MIN: Final = 5
MEASURE_S: Final = 30
WARMUP_S: Final = 10
AROUND_S: Final = 15
"""About what starting, draining and ending a system takes."""

STAKE_MIN: Final = 0.03
"""A candidate that cannot win more is not worth its minutes: the search ends when none is left that can."""

SAMPLES_P99: Final = 10_000
"""Messages of a run that a p99 takes to be compared."""

GROUP_COMMIT_MIN: Final = 5
"""Sessions that commit at once before commit_delay can gather anything (commit_siblings)."""

SLOW_STATEMENT_S: Final = 0.02
"""What gathers while a statement of this length runs is what the next one carries."""

VACUUM_THRESHOLD: Final = 1000

_DELAY_US_MAX: Final = 100_000
_WAITS_MIN: Final = 300
_LOG_WAITS: Final = ("LWLock:WALWrite", "LWLock:WALInsert", "IO:WALSync", "IO:WALWrite", "IO:WalSync", "IO:WalWrite")
_SYNC_WAITS: Final = ("LWLock:WALWrite", "IO:WALSync", "IO:WalSync")
_GUARDS: Final = ("rate", "response_p50", "response_p99", "e2e_p50", "e2e_p99")

Where = Literal["settings", "tables", "postgres"]
"""Queen's own settings, storage parameters, or the server's settings: knobs of a side of `queen bench --ab`."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One change to try above the plan. `feels`: whose latency decides."""

    name: str
    value: str
    why: str
    where: Where = "postgres"
    tables: tuple[str, ...] = ()
    feels: Literal["response", "e2e"] = "response"
    bound: float | None = None
    """The most that it can win on average, as a share; None: not known before."""
    waits: tuple[str, ...] = ()
    """What it can take away at best: their share of the samples of side A becomes the bound."""

    @property
    def lines(self) -> tuple[str, ...]:
        """As the knob of a side takes it."""
        if self.tables:
            return tuple(f"{table}.{self.name} = {self.value}" for table in self.tables)
        return (f"{self.name} = {self.value}",)

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.name} = {self.value}" + (f" on {', '.join(self.tables)}" if self.tables else "")


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a trial: lines for each knob."""

    postgres: tuple[str, ...]
    settings: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()

    def plus(self, candidate: Candidate) -> Side:
        """The same with one change more."""
        return replace(self, **{candidate.where: (*getattr(self, candidate.where), *candidate.lines)})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the runs of a trial say. `comparison` is that of `queen bench --ab`; None: `problem` says why there is none.
    `waits`: samples of side A's sessions by wait event, `CPU` for none."""

    comparison: Mapping[str, Any] | None
    problem: str = ""
    waits: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """One candidate and what came of it."""

    candidate: Candidate
    kept: bool
    reason: str
    comparison: Mapping[str, Any] | None = None
    tried: bool = True


RunPairs = Callable[[Side, Side, Candidate], Outcome]
"""Side A and side B in, what the runs say out."""


def pair_s(pairs: int) -> int:
    """About how long a trial takes."""
    return pairs * 2 * (MEASURE_S + WARMUP_S + AROUND_S)


def deciding(candidate: Candidate, rate: float) -> str:
    """The metric that decides, named before the runs: the p99, or the p50 where a run has too few messages for it."""
    return f"{candidate.feels}_{'p99' if rate * MEASURE_S >= 1.1 * SAMPLES_P99 else 'p50'}"


def candidates(plan: Plan, engine: EngineSettings | None = None) -> tuple[list[Candidate], list[Note]]:
    """What is worth a trial, in order of what is usually at stake, and what is not, with the reason. `engine`: what
    Queen runs with."""
    engine = engine or EngineSettings()
    inputs = plan.inputs
    made = [
        _rows(inputs, engine),
        *_gather(engine),
        *_in_flight(inputs, engine),
        _vacuum(),
        _compression(plan),
        Note("checkpoints", f"not tried: the plan spaces them as far as recovery allows, and {MEASURE_S} s see none"),
        _commit_delay(inputs, engine),
        Note("fsync, full_page_writes, synchronous_commit", "never tried: an answered push would be less safe"),
    ]
    return [one for one in made if isinstance(one, Candidate)], [one for one in made if isinstance(one, Note)]


def search(
    wanted: Sequence[Candidate],
    base: Side,
    run: RunPairs,
    *,
    budget_s: float,
    pairs: int,
    rate: float,
    clock: Callable[[], float] = time.monotonic,
) -> list[Trial]:
    """One candidate after the other, the largest bound first. Ends with the budget, or when nothing can win enough.

    `clock` gives seconds: a trial that the rest of the budget does not hold, by the longest one so far, is not begun.
    """
    trials, waiting, longest_s, ends_at = list[Trial](), list(wanted), float(pair_s(pairs)), clock() + budget_s
    while waiting:
        candidate = max(waiting, key=lambda one: 1.0 if one.bound is None else one.bound)  # the first of equals
        if candidate.bound is not None and candidate.bound < STAKE_MIN:
            most = f"at most {100 * candidate.bound:.1f} % to win"
            return [*trials, *(_untried(one, _told(one) or most) for one in waiting)]
        began = clock()
        if began + longest_s > ends_at:
            why = f"a trial takes about {math.ceil(longest_s / 60)} min, and the budget has fewer left"
            return [*trials, *(_untried(one, why) for one in waiting)]
        waiting.remove(candidate)
        outcome = run(base, base.plus(candidate), candidate)
        longest_s = max(longest_s, clock() - began)
        trials.append(judged(candidate, outcome, rate))
        if trials[-1].kept:
            base = base.plus(candidate)
        waiting = [bounded(one, outcome.waits or {}) for one in waiting]
    return trials


def bounded(candidate: Candidate, waits: Mapping[str, int]) -> Candidate:
    """The same with the bound that samples give: what waits for a share f of its time wins at most f/(1 - f) without
    that wait. Few samples give none."""
    total = sum(waits.values())
    if not candidate.waits or total < _WAITS_MIN:
        return candidate
    share = min(0.95, sum(waits.get(name, 0) for name in candidate.waits) / total)
    found = share / (1 - share)
    return replace(candidate, bound=found if candidate.bound is None else min(found, candidate.bound))


def judged(candidate: Candidate, outcome: Outcome, rate: float) -> Trial:
    """Kept when the whole interval of the deciding metric is on the right side and nothing that users feel is worse."""
    comparison = outcome.comparison
    if comparison is None:
        return Trial(candidate, False, outcome.problem or "there is no comparison")
    rows = {one["name"]: one for one in comparison["metrics"]}
    name = deciding(candidate, rate)
    row = rows.get(name, {"word": "inconclusive"})
    line = _line(name, row, comparison)
    worse = [one for one in _GUARDS if rows.get(one, {}).get("word") == "worse"]
    if worse:
        return Trial(candidate, False, f"worse in {', '.join(worse)}; {line}", comparison)
    return Trial(candidate, row["word"] == "better", line, comparison)


def _line(name: str, row: Mapping[str, Any], comparison: Mapping[str, Any]) -> str:
    """The figure that decides, with its interval."""
    between = "n/a"
    if row.get("low") is not None:
        between = f"{row['ratio']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
    more = f", about {row['further_pairs']} further pairs needed" if row.get("further_pairs") else ""
    reason = f", {row['reason']}" if row.get("reason") else ""
    return f"{row['word']}: {name} B/A {between}, {comparison.get('pairs', 0)} pairs{more}{reason}"


def _untried(candidate: Candidate, why: str) -> Trial:
    return Trial(candidate, False, f"not tried: {why}", tried=False)


def _told(candidate: Candidate) -> str:
    return "" if candidate.bound is None else f"at most {100 * candidate.bound:.1f} % to win"


def _rows(inputs: Inputs, engine: EngineSettings) -> Candidate | Note:
    most = engine.push_messages_max or 500
    gathered = inputs.target_rate / max(1, inputs.instances) * SLOW_STATEMENT_S
    if gathered < most or most >= 1000:
        fits = f"{gathered:,.0f} messages gather in {1000 * SLOW_STATEMENT_S:.0f} ms, and {most} fit a statement"
        return Note("engine.push_messages_max", f"not tried: {fits}")
    return Candidate("engine.push_messages_max", "1000", "more rows share one statement and one commit", "settings")


def _gather(engine: EngineSettings) -> list[Candidate | Note]:
    sooner, later = engine.pop_gather_ms // 4, max(1, engine.pop_gather_ms * 3)
    name = "engine.pop_gather_ms"
    found: list[Candidate | Note] = [
        Candidate(name, str(later), "fewer and larger statements look for messages", "settings", feels="e2e")
    ]
    if engine.pop_gather_ms:
        why = "messages are looked for sooner, with more statements"
        found.append(Candidate(name, str(sooner), why, "settings", feels="e2e"))
    return found


def _in_flight(inputs: Inputs, engine: EngineSettings) -> list[Candidate | Note]:
    more = 2
    if inputs.sessions < _at_once(engine) + more:
        return [Note("calls in flight", f"not tried: the pool has {inputs.sessions} connections")]
    push, pop = engine.push_flushes_max + 1, engine.pop_flushes_max + 1
    return [
        Candidate("engine.push_flushes_max", str(push), "a push need not wait for the one before it", "settings"),
        Candidate("engine.pop_flushes_max", str(pop), "nor a pop", "settings", feels="e2e"),
    ]


def _vacuum() -> Candidate | Note:
    """Sooner only: the price of vacuuming later, larger tables, comes after the end of the run."""
    now = min(THRESHOLDS[table] for table in HOT)
    why = f"dead rows are taken away sooner than at {now}; later is not tried, its price comes after half a minute"
    return Candidate("autovacuum_vacuum_threshold", str(VACUUM_THRESHOLD), why, "tables", HOT)


def _compression(plan: Plan) -> Candidate | Note:
    inputs = plan.inputs
    if plan.value("wal_compression") is not None:
        return Note("wal_compression", "not tried: the plan has it already")
    share = inputs.fpi_share
    bound = None if share is None or share >= 1 else 1 / (1 - share) - 1
    if bound is not None and bound < STAKE_MIN:
        return Note(
            "wal_compression", f"not tried: page images are {100 * (share or 0):.0f} % of the log, so at most that"
        )
    value = "lz4" if inputs.offers("wal_compression", "lz4") else "on"
    why = "images of whole pages take less of the log and of the disk"
    return Candidate("wal_compression", value, why, bound=bound, waits=_LOG_WAITS)


def _commit_delay(inputs: Inputs, engine: EngineSettings) -> Candidate | Note:
    at_once = min(inputs.sessions, inputs.instances * _at_once(engine))
    if at_once < GROUP_COMMIT_MIN:
        return Note("commit_delay", f"not tried: {at_once} sessions never commit {GROUP_COMMIT_MIN} at once")
    if inputs.commit_ms is None:
        return Note(
            "commit_delay", "not tried: half of a safe write is its size, and that was not measured (--measure-disk)"
        )
    delay = min(_DELAY_US_MAX, max(1, int(inputs.commit_ms * 1000 / 2)))
    return Candidate("commit_delay", str(delay), "commits that come together share one safe write", waits=_SYNC_WAITS)


def _at_once(engine: EngineSettings) -> int:
    """Statements that write and that one Queen has in flight at most."""
    return engine.push_flushes_max + engine.pop_flushes_max + engine.ack_flushes_max
