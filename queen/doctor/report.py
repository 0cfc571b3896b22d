"""The outcome of a run as plain values: results in rank order, what they cost together, and one verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from queen.doctor.facts import Facts
from queen.doctor.finding import SEVERITIES, Finding, Result, Severity, Status

Verdict = Literal["healthy", "info", "warn", "crit", "unknown"]
_SATURATED: Final = 0.20


@dataclass(frozen=True, slots=True)
class Ranked:
    """One finding with the check it belongs to."""

    result: Result
    finding: Finding

    @property
    def stake_pct(self) -> float:
        """The most that its repair may bring, 0 when no rate is at stake."""
        return self.finding.at_stake.high_pct or 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """All of a run. `results` are in the order of the catalogue. `busy`: something is saturated, so that repairs bring
    rate; None when that could not be told. `stages` are seconds by name. `busy_s`: how long its statements took, those
    of the window aside. `database_cpu_s`: processor time of the backend that served the run, where it can be read."""

    results: tuple[Result, ...]
    verdict: Verdict
    together_pct: float | None
    busy: bool | None
    window_s: float
    stages: Mapping[str, float]
    about: Mapping[str, object]
    statements: int = 0
    busy_s: float = 0.0
    database_cpu_s: float | None = None
    facts: Facts | None = field(default=None, repr=False)

    def ranked(self) -> list[Ranked]:
        """Every finding, by throughput at stake, then severity, then the order of the catalogue, then its object: the
        same findings are always in the same order."""
        found = [
            (number, Ranked(result, finding))
            for number, result in enumerate(self.results)
            for finding in result.findings
        ]
        return [one for _, one in sorted(found, key=_rank)]

    def count(self, *statuses: Status) -> int:
        """How many checks ended so."""
        return sum(result.status in statuses for result in self.results)

    def severities(self) -> dict[Severity, int]:
        """How many findings there are of each severity."""
        found = [one.finding.status for one in self.ranked()]
        return {severity: found.count(severity) for severity in ("crit", "warn", "info")}

    @property
    def known(self) -> int:
        """How many findings the baseline took away."""
        return sum(result.known for result in self.results)

    def worst(self) -> int:
        """The highest severity of a finding: 0 none, 1 info, 2 warn, 3 crit."""
        return max((SEVERITIES[one.finding.status] for one in self.ranked()), default=0)


def _rank(numbered: tuple[int, Ranked]) -> tuple[float, int, int, str]:
    number, one = numbered
    return -one.stake_pct, -SEVERITIES[one.finding.status], number, one.finding.object or ""


def verdict_of(results: Sequence[Result]) -> Verdict:
    """The verdict of a run. If everything was skipped the run is unknown, not healthy."""
    if all(result.status in ("skipped", "error") for result in results):
        return "unknown"
    worst = max(SEVERITIES[result.status] for result in results if result.status != "error")
    verdicts: tuple[Verdict, ...] = ("healthy", "info", "warn", "crit")
    return verdicts[worst]


def together(results: Sequence[Result]) -> float | None:
    """What all repairs bring at most, in percent, from the time that their findings explain together. Stakes are never
    added: the shares may overlap, so they are joined as 1 - Π(1 - share)."""
    left = 1.0
    for result in results:
        for finding in result.findings:
            left *= 1 - min(finding.at_stake.time_share or 0.0, 0.95)
    return None if left >= 1.0 else round(100 * (1 / max(left, 0.05) - 1), 1)


def saturated(longest_wait: float, cpu: float | None, pool: float | None) -> bool | None:
    """Whether anything limits the rate now: a wait above 20 % of active time, processor or pool busy above 70 %."""
    if longest_wait > _SATURATED or (cpu or 0) > 0.7 or (pool or 0) > 0.7:
        return True
    return None if cpu is None and pool is None else False
