"""The JSON of `--fix` and `--undo`: from what was done to the published classes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from queen.doctor.finding import FixClass
from queen.doctor.repair.act import Done, Outcome, Undone
from queen.doctor.repair.journal import Entry
from queen.doctor.repair.plan import Left, Plan, Step
from queen.doctor.repair.shape import (
    ChangeShape,
    DoneShape,
    EntryShape,
    LeftShape,
    RepairShape,
    StepShape,
    UndoneShape,
    UndoShape,
)
from queen.doctor.report import Ranked, Report
from queen.doctor.shape import finding_shape


@dataclass(frozen=True, slots=True)
class Change:
    """One repaired thing: its finding before, and after; None: gone, or `not_seen` says why nobody knows."""

    before: Ranked
    after: Ranked | None
    not_seen: str | None = None


def of_repair(
    plan: Plan, outcome: Outcome, changes: Iterable[Change], report: Report, pending: Iterable[str], *, dry_run: bool
) -> dict[str, Any]:
    """What was planned, what became of it, and each finding before and after. `report`: all checks as they are now."""
    shaped = RepairShape(
        schema_version=1,
        dry_run=dry_run,
        verdict=report.verdict,
        plan=[StepShape(*_step(step)) for step in plan.steps],
        left=[_left(left) for left in plan.left],
        undo_file=str(outcome.undo_file) if outcome.undo_file else None,
        done=[_done(one) for one in outcome.done],
        changes=[_change(change) for change in changes],
        pending_restart=list(pending),
    )
    return dict(msgspec.to_builtins(shaped))


def of_undo(path: Path, planned: Iterable[Entry], found: Iterable[Undone], *, dry_run: bool) -> dict[str, Any]:
    """What was to be taken back, and what was."""
    shaped = UndoShape(
        schema_version=1,
        dry_run=dry_run,
        undo_file=str(path),
        plan=[EntryShape(*_entry(entry)) for entry in planned],
        undone=[UndoneShape(*_entry(one.entry), one.error is None, one.error, one.note) for one in found],
    )
    return dict(msgspec.to_builtins(shaped))


def _step(step: Step) -> tuple[str, str | None, FixClass, list[str], list[str]]:
    return step.check, step.object, step.kind, list(step.apply), list(step.undo)


def _left(left: Left) -> LeftShape:
    return LeftShape(*_step(left.step), left.reason, list(left.lines))


def _done(one: Done) -> DoneShape:
    return DoneShape(*_step(one.step), one.ok, one.error, list(one.dropped))


def _change(change: Change) -> ChangeShape:
    after = finding_shape(change.after) if change.after is not None else None
    return ChangeShape(finding_shape(change.before), after, change.not_seen)


def _entry(entry: Entry) -> tuple[str, str | None, str, list[str]]:
    return entry.check, entry.object, entry.statement, list(entry.undo)
