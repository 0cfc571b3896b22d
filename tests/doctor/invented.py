"""Findings and reports that nobody saw, for tests without a database. The checks are those that really exist."""

from __future__ import annotations

from typing import Any

from queen.doctor.catalogue import find
from queen.doctor.finding import NO_STAKE, Finding, Fix, Result, Severity, Stake, Threshold
from queen.doctor.judge import with_findings
from queen.doctor.report import Report, together, verdict_of
from tests.doctor.seen import facts

FIRST, SECOND = "V1", "V4"
"""Two checks in the order of the catalogue."""


def finding(
    status: Severity = "warn",
    summary: str = "queen.partitions: 20000 dead rows",
    *,
    object_: str | None = "queen.partitions",
    stake: Stake = NO_STAKE,
    fix: Fix | None = None,
    **evidence: Any,
) -> Finding:
    """One finding."""
    return Finding(
        status,
        summary,
        evidence or {"dead_rows": 20_000, "ratio": 4.0},
        "Vacuum the table now.",
        object=object_,
        threshold=Threshold(1.0, 3.0, "× the trigger"),
        at_stake=stake,
        fix=fix,
    )


def result(check: str = FIRST, *findings: Finding, **changed: Any) -> Result:
    """What a check came to: by its findings, or as `changed` says."""
    known = find(check)
    return with_findings(Result(known.id, known.group, known.title, "ok"), findings) if not changed else Result(
        known.id, known.group, known.title, findings=findings, **changed
    )  # fmt: skip


def report(*results: Result, **changed: Any) -> Report:
    """A run with these results."""
    values: dict[str, Any] = {
        "results": results,
        "verdict": verdict_of(results),
        "together_pct": together(results),
        "busy": True,
        "window_s": 10.0,
        "stages": {"facts": 0.1, "window": 10.0},
        "about": {"postgres": "15.18", "database": "queen", "role": "queen", "pooled": False, "server": None},
        "facts": facts(),
    }
    return Report(**(values | changed))
