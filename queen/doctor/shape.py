"""The published JSON of a report: its classes, and the way from a report to them.

`python -m queen.doctor.shape` prints the schema that config/doctor-report.schema.json holds.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec

from queen.doctor.catalogue import find
from queen.doctor.finding import Finding, Fix, Result, Severity, Stake, StakeKind, Status, Threshold
from queen.doctor.published import schema_of, text_of
from queen.doctor.report import Ranked, Report, Verdict


class FixShape(msgspec.Struct, frozen=True, rename={"kind": "class"}):
    """Statements ready to run, and those that take them back. Lines of class E are for a shell or another file."""

    kind: Literal["A", "B", "C", "D", "E"]
    apply: list[str]
    undo: list[str]
    note: str


class ThresholdShape(msgspec.Struct, frozen=True):
    """Where the figure becomes a warning and where critical; null: never. `origin`: default, or what set it."""

    warn: float | None
    crit: float | None
    unit: str
    origin: str


class StakeShape(msgspec.Struct, frozen=True):
    """Throughput at stake in percent of today's rate, with its kind and method."""

    kind: StakeKind
    low_pct: float | None
    high_pct: float | None
    method: str
    time_share: float | None


class FindingShape(msgspec.Struct, frozen=True):
    """One thing found. `object`: the table, index, setting or session it is about."""

    id: str
    group: str
    title: str
    status: Severity
    object: str | None
    summary: str
    evidence: dict[str, Any]
    threshold: ThresholdShape | None
    why: str
    at_stake: StakeShape
    remedy: str
    fix: FixShape | None
    false_positive: str


class CheckShape(msgspec.Struct, frozen=True):
    """What became of one check. `reason` and `enable`: why it was skipped, and the line that would enable it."""

    id: str
    group: str
    title: str
    status: Status
    reason: str | None
    enable: str | None
    findings: int
    known: int


class ReportShape(msgspec.Struct, frozen=True):
    """A run of `queen doctor`. `findings` are ranked by throughput at stake, then severity; `checks` are in the order
    of the catalogue. `saturated`: something limits the rate now; null when that could not be told. `database_cpu_s`:
    processor time of the session that served it; null when PostgreSQL is elsewhere or a pooler stands in between."""

    schema_version: Literal[1]
    verdict: Verdict
    saturated: bool | None
    together_at_most_pct: float | None
    window_s: float
    stages_s: dict[str, float]
    statements: int
    statements_s: float
    database_cpu_s: float | None
    about: dict[str, Any]
    counts: dict[str, int]
    findings: list[FindingShape]
    checks: list[CheckShape]


def as_data(report: Report) -> dict[str, Any]:
    """The report as plain JSON values."""
    shaped = ReportShape(
        schema_version=1,
        verdict=report.verdict,
        saturated=report.busy,
        together_at_most_pct=report.together_pct,
        window_s=report.window_s,
        stages_s={name: round(seconds, 3) for name, seconds in report.stages.items()},
        statements=report.statements,
        statements_s=report.busy_s,
        database_cpu_s=report.database_cpu_s,
        about=plain(report.about),
        counts={status: report.count(status) for status in _STATUSES},
        findings=[finding_shape(one) for one in report.ranked()],
        checks=[_check(result) for result in report.results],
    )
    return dict(msgspec.to_builtins(shaped))


_STATUSES: Final[tuple[Status, ...]] = ("ok", "known", "info", "warn", "crit", "skipped", "error")


def finding_shape(one: Ranked) -> FindingShape:
    """One finding with what its check says of it."""
    check, finding = find(one.result.id), one.finding
    return FindingShape(
        id=check.id,
        group=check.group,
        title=check.title,
        status=finding.status,
        object=finding.object,
        summary=finding.summary,
        evidence=plain(finding.evidence),
        threshold=_threshold(finding.threshold),
        why=check.why,
        at_stake=_stake(finding.at_stake),
        remedy=finding.remedy,
        fix=_fix(finding),
        false_positive=check.false_positive,
    )


def plain(value: Any) -> Any:
    """A value of a row as JSON has it: what it does not know becomes text, what is no number null."""
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part) for part in value]
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a report."""
    return schema_of("Report of queen doctor", [ReportShape])


def text() -> str:
    """The file as it is published."""
    return text_of(schema())


def _check(result: Result) -> CheckShape:
    return CheckShape(
        result.id,
        result.group,
        result.title,
        result.status,
        result.reason,
        result.enable,
        len(result.findings),
        result.known,
    )


def _threshold(limit: Threshold | None) -> ThresholdShape | None:
    return None if limit is None else ThresholdShape(limit.warn, limit.crit, limit.unit, limit.origin)


def _stake(stake: Stake) -> StakeShape:
    return StakeShape(stake.kind, stake.low_pct, stake.high_pct, stake.method, stake.time_share)


def _fix(finding: Finding) -> FixShape | None:
    fix: Fix | None = finding.fix
    return None if fix is None else FixShape(fix.kind, list(fix.apply), list(fix.undo), fix.note)


if __name__ == "__main__":
    sys.stdout.write(text())
