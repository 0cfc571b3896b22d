"""What may be tried against a plan, in order of what is at stake, and what the trials mean. Pure; how one is made, the
caller knows.

A trial compares the plan with the plan and one setting more, in turns. Only settings that a reload takes, never one
that durability rests on, and none whose effect a run of half a minute does not show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from queen.tune.inputs import Inputs
from queen.tune.lines import Note, Plan

PAIRS_MIN: Final = 5
MEASURE_S: Final = 30
WARMUP_S: Final = 10
AROUND_S: Final = 15
"""About what starting, draining and ending a system takes."""

STAKE_MIN: Final = 0.03
"""A candidate that cannot win more is not worth its minutes."""

GROUP_COMMIT_MIN: Final = 5
"""Sessions that commit at once before commit_delay can gather anything (commit_siblings)."""

_DELAY_US_MAX: Final = 100_000
_GUARDS: Final = ("rate", "response_p99", "e2e_p99")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One setting to try above the plan."""

    name: str
    value: str
    why: str
    bound: float | None = None
    """The most that it can win, as a share; None: not known before."""

    @property
    def line(self) -> str:
        """As a file takes it."""
        return f"{self.name} = {self.value}"


@dataclass(frozen=True, slots=True)
class Trial:
    """One candidate and what came of it. `comparison` is that of `queen bench --ab`."""

    candidate: Candidate
    kept: bool
    reason: str
    comparison: Mapping[str, Any] | None = None


RunPairs = Callable[[Sequence[str], Sequence[str]], tuple[Mapping[str, Any] | None, str]]
"""Lines of side A and of side B in; the comparison out, or why there is none."""


def pair_s(pairs: int) -> int:
    """About how long a trial takes."""
    return pairs * 2 * (MEASURE_S + WARMUP_S + AROUND_S)


def candidates(plan: Plan) -> tuple[list[Candidate], list[Note]]:
    """What is worth a trial, the largest stake first, and what is not, with the reason."""
    inputs = plan.inputs
    found, left = list[Candidate](), list[Note]()
    for made in (_compression(plan), _commit_delay(inputs)):
        if isinstance(made, Note):
            left.append(made)
        else:
            found.append(made)
    left.append(Note("checkpoints, vacuum", f"not tried: a run of {MEASURE_S} s does not show what they do in an hour"))
    left.append(Note("fsync, full_page_writes, synchronous_commit", "never tried: an answered push would be less safe"))
    return sorted(found, key=lambda one: -(one.bound if one.bound is not None else 1.0)), left


def search(
    wanted: Sequence[Candidate], lines: Sequence[str], run: RunPairs, budget_s: float, pairs: int
) -> list[Trial]:
    """One candidate after the other; what is kept is part of the next one's side A. Ends with the budget."""
    trials, base, left_s = list[Trial](), list(lines), budget_s
    for candidate in wanted:
        if left_s < pair_s(pairs):
            needs = f"needs about {pair_s(pairs) // 60} min more"
            trials.append(Trial(candidate, False, f"not tried: {needs} than the budget has"))
            continue
        left_s -= pair_s(pairs)
        comparison, problem = run(base, [*base, candidate.line])
        trial = judged(candidate, comparison, problem)
        trials.append(trial)
        if trial.kept:
            base.append(candidate.line)
    return trials


def judged(candidate: Candidate, comparison: Mapping[str, Any] | None, problem: str = "") -> Trial:
    """Kept when the whole interval of the deciding metric is on the right side and nothing that users feel is worse."""
    if comparison is None:
        return Trial(candidate, False, problem or "there is no comparison")
    worse = [one["name"] for one in comparison["metrics"] if one["word"] == "worse" and one["name"] in _GUARDS]
    if comparison["word"] == "better" and not worse:
        return Trial(candidate, True, comparison["line"], comparison)
    if worse:
        return Trial(candidate, False, f"worse in {', '.join(worse)}; {comparison['line']}", comparison)
    return Trial(candidate, False, comparison["line"], comparison)


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
    return Candidate("wal_compression", value, "images of whole pages take less of the log and of the disk", bound)


def _commit_delay(inputs: Inputs) -> Candidate | Note:
    if inputs.sessions < GROUP_COMMIT_MIN:
        return Note("commit_delay", f"not tried: {inputs.sessions} sessions never commit {GROUP_COMMIT_MIN} at once")
    if inputs.commit_ms is None:
        return Note(
            "commit_delay", "not tried: half of a safe write is its size, and that was not measured (--measure-disk)"
        )
    delay = min(_DELAY_US_MAX, max(1, int(inputs.commit_ms * 1000 / 2)))
    return Candidate("commit_delay", str(delay), "commits that come together share one safe write")
