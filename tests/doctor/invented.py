"""Facts, findings and reports that nobody saw, for tests without a database. Checks are those that really exist."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from queen.doctor.catalogue import find
from queen.doctor.facts import Facts, ServerSettings
from queen.doctor.finding import NO_STAKE, Finding, Fix, Result, Severity, Stake, Threshold
from queen.doctor.judge import with_findings
from queen.doctor.report import Report, together, verdict_of

FIRST, SECOND = "V1", "V4"
"""Two checks in the order of the catalogue."""


def setting(name: str, value: str = "", **more: Any) -> dict[str, Any]:
    """One row of pg_settings."""
    row = {
        "name": name,
        "setting": value,
        "unit": None,
        "vartype": "string",
        "context": "sighup",
        "source": "default",
        "sourcefile": None,
        "boot_val": value,
        "enumvals": None,
        "pending_restart": False,
    }
    return row | more


def facts(*settings: dict[str, Any], **changed: Any) -> Facts:
    """A healthy primary whose role may do everything."""
    values: dict[str, Any] = {
        "version": 150018,
        "version_text": "15.18",
        "database": "queen",
        "role": "queen",
        "schema": "queen",
        "superuser": True,
        "pg_monitor": True,
        "may_alter_system": True,
        "schema_owner": "queen",
        "schema_owned": True,
        "schema_complete": True,
        "in_recovery": False,
        "backend_pid": 7,
        "protocol_pid": 7,
        "postmaster_pid": None,
        "started_at": datetime(2026, 1, 1, tzinfo=UTC),
        "stats_reset": None,
        "stats_age_s": 3600.0,
        "host": "/run/postgresql",
        "extensions": frozenset(),
        "settings": ServerSettings(list(settings)),
    }
    return Facts(**(values | changed))


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
