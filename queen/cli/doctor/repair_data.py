"""The JSON of `--fix` and `--undo`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from queen.doctor.repair.act import Outcome, Undone
from queen.doctor.repair.plan import Plan, Step
from queen.doctor.report import Ranked, Report
from queen.doctor.shape import SCHEMA_VERSION, finding_shape


@dataclass(frozen=True, slots=True)
class Change:
    """One repaired thing: its finding before, and after; None: gone."""

    before: Ranked
    after: Ranked | None


def of_repair(
    plan: Plan, outcome: Outcome, changes: Iterable[Change], report: Report, pending: Iterable[str], *, dry_run: bool
) -> dict[str, Any]:
    """What was planned, what became of it, and each finding before and after. `report`: all checks as they are now."""
    return {
        "schema_version": SCHEMA_VERSION,
        "dry_run": dry_run,
        "verdict": report.verdict,
        "plan": [_step(step) for step in plan.steps],
        "left": [{**_step(left.step), "reason": left.reason, "lines": list(left.lines)} for left in plan.left],
        "undo_file": str(outcome.undo_file) if outcome.undo_file else None,
        "done": [
            {**_step(one.step), "ok": one.ok, "error": one.error, "dropped": list(one.dropped)} for one in outcome.done
        ],
        "changes": [{"before": _finding(change.before), "after": _finding(change.after)} for change in changes],
        "pending_restart": list(pending),
    }


def of_undo(path: Path, found: Iterable[Undone]) -> dict[str, Any]:
    """What was taken back."""
    return {"schema_version": SCHEMA_VERSION, "undo_file": str(path), "undone": [_undone(one) for one in found]}


def _finding(one: Ranked | None) -> dict[str, Any] | None:
    return None if one is None else dict(msgspec.to_builtins(finding_shape(one)))


def _step(step: Step) -> dict[str, Any]:
    return {
        "check": step.check,
        "object": step.object,
        "class": step.kind,
        "apply": list(step.apply),
        "undo": list(step.undo),
    }


def _undone(one: Undone) -> dict[str, Any]:
    return {
        "check": one.entry.check,
        "object": one.entry.object,
        "statement": one.entry.statement,
        "undo": list(one.entry.undo),
        "ok": one.error is None,
        "error": one.error,
        "note": one.note,
    }
