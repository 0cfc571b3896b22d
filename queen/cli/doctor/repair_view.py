"""The text of `--fix` and `--undo`: the plan, each step as it is done, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from queen.cli.doctor import words
from queen.cli.doctor.repair_data import Change
from queen.cli.doctor.view import View
from queen.doctor.repair.act import Done, Outcome, Undone
from queen.doctor.repair.plan import Left, Plan, Step

_NOTHING: Final = "Nothing here that the doctor may repair."


class RepairView:
    """Prints through a view; through None it prints nothing."""

    def __init__(self, view: View | None) -> None:
        self._view = view

    def plan(self, plan: Plan) -> None:
        """What will be done, and what not and why."""
        self.line(f"Plan: {words.counted(len(plan.steps), 'repair')}." if plan.steps else _NOTHING, "bold")
        for step in plan.steps:
            self._step(step)
        if plan.left:
            self.line("Not done:", "bold")
        for left in plan.left:
            self._left(left)

    def done(self, done: Done) -> None:
        """One step that was tried."""
        name = f"{done.step.check} {done.step.object or ''}".strip()
        if done.ok:
            self.line(f"done: {name}")
            return
        self.line(f"failed: {name}: {done.error}", "bold red")
        if done.hint:
            self.line(f"hint: {done.hint}")
        for dropped in done.dropped:
            self.line(f"dropped what it left behind: {dropped}")

    def outcome(self, outcome: Outcome, changes: Sequence[Change], pending: Sequence[str]) -> None:
        """Before and after, what waits for a restart, and how to take it back."""
        self.line("Before and after:", "bold")
        for change in changes:
            self._row(change.before.result.id, f"before: {change.before.finding.summary}")
            self._row("", f"after:  {_after(change)}")
        if pending:
            self.line(f"Waits for a restart of PostgreSQL, which is yours to make: {', '.join(pending)}")
        self.line(f"To take it back: queen doctor --undo {outcome.undo_file}")

    def undone(self, one: Undone) -> None:
        """One statement that was taken back, or could not be."""
        if one.error is None:
            self.line(f"taken back: {one.entry.statement}{f' ({one.note})' if one.note else ''}")
        else:
            self.line(f"not taken back: {one.entry.statement}: {one.error}", "bold red")

    def line(self, text: str, style: str = "") -> None:
        """One paragraph."""
        if self._view is not None:
            self._view.line(text, style)

    def _row(self, label: str, text: str, style: str = "") -> None:
        if self._view is not None:
            self._view.row(label, text, style)

    def _step(self, step: Step) -> None:
        self._row(f"{step.kind}  {step.check}", step.summary)
        self._row("", "\n".join(line.rstrip("; ") + ";" for line in step.apply), "cyan")
        if step.note:
            self._row("", step.note)

    def _left(self, left: Left) -> None:
        self._row(f"{left.step.kind}  {left.step.check}", f"{left.step.summary}\n{left.reason}")
        if left.lines:
            self._row("", "\n".join(left.lines), "cyan")


def _after(change: Change) -> str:
    """Gone, or what is left; a check that could not look again does not say that it is gone."""
    if change.after is not None:
        return change.after.finding.summary
    return "gone" if change.not_seen is None else f"not seen: {change.not_seen}"
