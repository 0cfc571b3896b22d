"""Two sides measured in turns: A B B A A B …, so that what drifts hits both alike. The plan, and the driver of it.

A side is a file of knobs (and of options of `queen serve`) above a common workload. How one run is made, the callback
knows; whether B is better, `compare` says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import msgspec

from queen.bench import profiles
from queen.bench.result import Result, Step, Verdict
from queen.bench.workload import Workload
from queen.errors import SettingsError

PAIRS_MIN: Final = 5
PAIRS_DEFAULT: Final = 8
"""With runs that scatter by 3 %, 8 pairs see a tenth more cost in 95 of 100 comparisons; 5 pairs in 70."""
PAIRS_MAX: Final = 500
RETRIES_MAX: Final = 2
"""Runs that do not count (invalid) and are made again, of the whole comparison."""
MEASURE_S_MIN: Final = 30

Label = Literal["A", "B"]
RunOne = Callable[[Label, Workload], Awaitable[Result]]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What will be run. All runs have the same seed, so the same schedule."""

    a: Workload
    b: Workload
    order: tuple[Label, ...]
    seed: int

    def workload(self, label: Label) -> Workload:
        return self.a if label == "A" else self.b


@dataclass(slots=True)
class Interleaved:
    """What was run: whole pairs, side by side; and why there are fewer of them than planned."""

    a: list[Result] = field(default_factory=list)
    b: list[Result] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    """Every run in order, those that do not count too."""
    stopped: str | None = None
    wrong: Verdict | None = None
    """The ledger of a run was not clean: that outweighs any comparison."""

    def sides(self) -> tuple[list[Result], list[Result]]:
        """The whole pairs, as `compare` takes them."""
        whole = min(len(self.a), len(self.b))
        return self.a[:whole], self.b[:whole]

    def runs(self) -> list[Result]:
        """The pairs as a campaign keeps them: A, B, A, B, …"""
        return [run for pair in zip(*self.sides(), strict=True) for run in pair]


def order(pairs: int) -> tuple[Label, ...]:
    """A B B A A B B A …: each pair turned against the one before it."""
    turns: tuple[tuple[Label, ...], ...] = (("A", "B"), ("B", "A"))
    return tuple(label for pair in range(pairs) for label in turns[pair % 2])


def plan(a: Path, b: Path, base: Workload, *, pairs: int = PAIRS_DEFAULT, seed: int) -> Plan:
    """Both files read and judged before anything runs.

    The same file twice measures the noise. Raises SettingsError for what is wrong in a file, for runs that are too
    short, and for fewer than PAIRS_MIN pairs.
    """
    if not PAIRS_MIN <= pairs <= PAIRS_MAX:
        raise SettingsError(f"{pairs} pairs: must be from {PAIRS_MIN} to {PAIRS_MAX}; fewer are an anecdote")
    sides = [profiles.read(path, base=base) for path in (a, b)]
    for path, side in zip((a, b), sides, strict=True):
        if side.measure_s < MEASURE_S_MIN:
            raise SettingsError(f"{path}: measure_s must be {MEASURE_S_MIN} s or more in a comparison")
    return Plan(a=sides[0], b=sides[1], order=order(pairs), seed=seed)


async def interleave(
    plan: Plan, run_one: RunOne, *, retries: int = RETRIES_MAX, done: Interleaved | None = None
) -> Interleaved:
    """Run the plan. A run that is invalid is made again, `retries` times in all; then, and at a run that is wrong or
    partial, it stops with the pairs it has. What is in `done` survives a cancellation."""
    done = Interleaved() if done is None else done
    for label in plan.order:
        while True:
            result = await run_one(label, plan.workload(label))
            done.steps.append(step_of(label, len(done.steps) + 1, result))
            word = result.verdict.word
            if word in ("pass", "fail"):
                (done.a if label == "A" else done.b).append(result)
                break
            if word != "invalid" or not retries:
                done.stopped = f"run {len(done.steps)} ({label}) is {word}: {'; '.join(result.verdict.reasons)}"
                done.wrong = result.verdict if word == "wrong" else None
                return done
            retries -= 1
    return done


def step_of(label: str, number: int, result: Result) -> Step:
    """A run as one line of its campaign."""
    return Step(
        label=label,
        setting={"run": number},
        seconds=result.request.workload.measure_s,
        offered_per_s=result.offered_per_s,
        delivered_per_s=result.delivered_per_s,
        response_p99_ms=_p99(result, "response"),
        e2e_p99_ms=_p99(result, "e2e"),
        held=result.verdict.word == "pass",
        reasons=list(result.verdict.reasons),
    )


def _p99(result: Result, metric: str) -> float | None:
    return result.latency[metric].p99 if metric in result.latency else None
