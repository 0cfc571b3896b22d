"""What a check says: findings with their evidence, what is at stake, and how to repair it. Plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Status = Literal["ok", "known", "info", "warn", "crit", "skipped", "error"]
"""`known`: all that it found is in the baseline. `error`: the check itself failed, which is a bug of Queen."""
Severity = Literal["info", "warn", "crit"]
SEVERITIES: Final[Mapping[str, int]] = {
    "ok": 0,
    "known": 0,
    "skipped": 0,
    "info": 1,
    "error": 2,
    "warn": 2,
    "crit": 3,
}

StakeKind = Literal["measured", "modelled", "bound", "none"]
StakeMethod = Literal["wait share", "WAL ceiling", "statement share", "Little", "commit ceiling", ""]
FixClass = Literal["A", "B", "C", "D", "E"]

FIX_CLASSES: Final[Mapping[str, str]] = {
    "A": "online: applied by --fix",
    "B": "needs a reload: applied by --fix --allow reload",
    "C": "needs a restart: written and marked pending by --fix --allow restart",
    "D": "needs your consent: --fix ID --yes",
    "E": "outside PostgreSQL: printed only",
}


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where a figure becomes a warning and where critical; None: never. `origin`: default, or what set it."""

    warn: float | None
    crit: float | None
    unit: str = ""
    origin: str = "default"

    def judge(self, value: float) -> Severity | None:
        """The severity of a figure that is worse the larger it is, from the threshold on; None below both."""
        if self.crit is not None and value >= self.crit:
            return "crit"
        return "warn" if self.warn is not None and value >= self.warn else None

    def judge_low(self, value: float) -> Severity | None:
        """The same for a figure that is worse the smaller it is: below the threshold."""
        if self.crit is not None and value < self.crit:
            return "crit"
        return "warn" if self.warn is not None and value < self.warn else None


@dataclass(frozen=True, slots=True)
class Stake:
    """Throughput at stake, never a bare percentage (doctor-checks §3). `time_share`: share of active time it explains,
    for what all findings cost together; None when the method knows none."""

    kind: StakeKind
    low_pct: float | None = None
    high_pct: float | None = None
    method: StakeMethod = ""
    time_share: float | None = None


NO_STAKE: Final = Stake("none")


@dataclass(frozen=True, slots=True)
class Fix:
    """Statements ready to run, one a transaction, and those that take them back in the order given. Of class E the
    lines are for a shell or another file, and are printed only."""

    kind: FixClass
    apply: tuple[str, ...]
    undo: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found. `summary` is one line with the number in it; `object` names table, index, setting or session."""

    status: Severity
    summary: str
    evidence: Mapping[str, Any]
    remedy: str
    object: str | None = None
    threshold: Threshold | None = None
    at_stake: Stake = NO_STAKE
    fix: Fix | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one check: its findings (none: ok), or why it was skipped and the line that would enable it.

    `known`: how many findings the baseline took away. `memo`: what a baseline file keeps of it. `trace`: of a check
    that failed, for the report of the bug."""

    id: str
    group: str
    title: str
    status: Status
    findings: tuple[Finding, ...] = ()
    reason: str | None = None
    enable: str | None = None
    known: int = 0
    memo: tuple[Any, ...] = field(default=(), repr=False)
    trace: str | None = field(default=None, repr=False)
