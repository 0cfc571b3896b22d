"""`--fix` and `--undo`: shows the plan, lets it be carried out, looks again, and tells before and after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from queen.cli import console
from queen.cli.doctor import words
from queen.cli.doctor.aim import Aim, again, look
from queen.cli.doctor.once import examine
from queen.cli.doctor.options import Wish
from queen.cli.doctor.outcome import code_of, keep_traces
from queen.cli.doctor.screen import screen
from queen.cli.doctor.view import View
from queen.doctor.facts import Facts
from queen.doctor.finding import Result
from queen.doctor.repair import act, journal
from queen.doctor.repair.act import Done, Outcome, Undone
from queen.doctor.repair.guard import refuse_unsafe
from queen.doctor.repair.plan import Consent, Left, Plan, Step, make_plan
from queen.doctor.report import Ranked, Report, together, verdict_of
from queen.doctor.shape import SCHEMA_VERSION, finding_shape
from queen.errors import QueenError

_NOTHING: Final = "Nothing here that the doctor may repair."


@dataclass(frozen=True, slots=True)
class Change:
    """One repaired thing: its finding before, and after; None: gone."""

    before: Ranked
    after: Ranked | None


def repair(wish: Wish, aim: Aim) -> int:
    """Look, plan, act, look again; the exit code. Raises QueenError."""
    before = examine(wish, aim)
    keep_traces(before)
    facts = _facts(before)
    consent = Consent(
        ids=frozenset(one.upper() for one in wish.ids),
        allow=frozenset(one.value for one in wish.allow),
        yes=wish.yes,
    )
    plan = make_plan(before.ranked(), consent, facts)
    view = _view(wish)
    if view is not None:
        _show_plan(view, plan)
    if wish.dry_run or not plan.steps:
        if wish.as_json:
            console.put_json(_data(plan, Outcome((), None), [], before, dry=wish.dry_run))
        return code_of(before, wish.fail_on)
    outcome = _act(aim, plan, facts, view)
    touched = {done.step.check for done in outcome.done}
    after = look(again(aim, touched))
    changes = _changes(before, after, outcome.done)
    whole = _joined(before, after)
    if wish.as_json:
        console.put_json(_data(plan, outcome, changes, whole, dry=False))
    elif view is not None:
        _show_outcome(view, outcome, changes, after)
    failed = any(not done.ok for done in outcome.done)
    return console.FOUND if failed else code_of(whole, wish.fail_on)


def take_back(wish: Wish, aim: Aim, path: Path) -> int:
    """Replay an undo file backwards; the exit code. Raises QueenError."""
    book = journal.read(path)
    facts = _facts(look(replace(aim, ask=replace(aim.ask, checks=(), url=None))))
    view = _view(wish)
    entries = book.open_entries()
    if wish.dry_run:
        found: list[Undone] = []
        refuse_unsafe(facts)
        for entry in entries:
            _show(view, f"would take back: {entry.statement}")
    else:
        found = act.take_back(aim.ask.dsn, book, facts, lambda one: _show_undone(view, one))
    if not entries:
        _show(view, "Everything in this file was taken back before, or never ran.")
    if wish.as_json:
        console.put_json(
            {"schema_version": SCHEMA_VERSION, "undo_file": str(path), "undone": [_undone(one) for one in found]}
        )
    failed = [one for one in found if one.error is not None]
    if failed:
        console.say_failure(
            f"not everything was taken back: {failed[0].error}",
            console.FOUND,
            hint=f"when that is put right, the rest: queen doctor --undo {path}",
        )
    return console.FOUND if failed else console.DONE


def _act(aim: Aim, plan: Plan, facts: Facts, view: View | None) -> Outcome:
    """Carry the plan out. Where that is cut short, the undo file is still named."""
    files: list[Path] = []
    if aim.undo_folder is None:
        raise AssertionError("a run that repairs has a folder for its undo file")

    def on_file(path: Path) -> None:
        files.append(path)
        console.say(f"undo file: {path}")

    try:
        return act.carry_out(aim.ask.dsn, plan, facts, aim.undo_folder, on_file, lambda done: _show_done(view, done))
    except (QueenError, KeyboardInterrupt):
        if files:
            console.say(f"cut short; what was done is taken back by: queen doctor --undo {files[0]}")
        raise


def _facts(report: Report) -> Facts:
    if report.facts is None:
        raise AssertionError("a run gathers facts")
    return report.facts


def _view(wish: Wish) -> View | None:
    return None if wish.as_json or wish.quiet else View(screen(wish.color))


def _changes(before: Report, after: Report, done: Iterable[Done]) -> list[Change]:
    later = {(one.result.id, one.finding.object): one for one in after.ranked()}
    steps = {(one.step.check, one.step.object) for one in done}
    return [
        Change(one, later.get((one.result.id, one.finding.object)))
        for one in before.ranked()
        if (one.result.id, one.finding.object) in steps
    ]


def _joined(before: Report, after: Report) -> Report:
    """The report of all checks, those that ran again as they are now."""
    again_: dict[str, Result] = {result.id: result for result in after.results}
    results = tuple(again_.get(result.id, result) for result in before.results)
    return replace(before, results=results, verdict=verdict_of(results), together_pct=together(results))


def _show(view: View | None, text: str, style: str = "") -> None:
    if view is not None:
        view.line(text, style)


def _show_plan(view: View, plan: Plan) -> None:
    view.line(f"Plan: {words.counted(len(plan.steps), 'repair')}." if plan.steps else _NOTHING, style="bold")
    for step in plan.steps:
        _show_step(view, step)
    if plan.left:
        view.line("Not done:", style="bold")
    for left in plan.left:
        _show_left(view, left)


def _show_step(view: View, step: Step) -> None:
    view.row(f"{step.kind}  {step.check}", step.summary)
    view.row("", "\n".join(line.rstrip("; ") + ";" for line in step.apply), style="cyan")
    if step.note:
        view.row("", step.note)


def _show_left(view: View, left: Left) -> None:
    view.row(f"{left.step.kind}  {left.step.check}", f"{left.step.summary}\n{left.reason}")
    if left.lines:
        view.row("", "\n".join(left.lines), "cyan")


def _show_done(view: View | None, done: Done) -> None:
    if view is None:
        return
    name = f"{done.step.check} {done.step.object or ''}".strip()
    if done.ok:
        view.line(f"done: {name}")
        return
    view.line(f"failed: {name}: {done.error}", "bold red")
    if done.hint:
        view.line(f"hint: {done.hint}")
    for dropped in done.dropped:
        view.line(f"dropped what it left behind: {dropped}")


def _show_outcome(view: View, outcome: Outcome, changes: list[Change], after: Report) -> None:
    view.line("Before and after:", style="bold")
    for change in changes:
        view.row(change.before.result.id, f"before: {change.before.finding.summary}")
        view.row("", f"after:  {_after(change, after)}")
    pending = _pending(after)
    if pending:
        view.line(f"Waits for a restart of PostgreSQL, which is yours to make: {', '.join(pending)}")
    view.line(f"To take it back: queen doctor --undo {outcome.undo_file}")


def _after(change: Change, after: Report) -> str:
    if change.after is not None:
        return change.after.finding.summary
    result = next((result for result in after.results if result.id == change.before.result.id), None)
    if result is not None and result.status in ("skipped", "error"):
        return f"not seen: {result.reason}"
    return "gone"


def _pending(report: Report) -> list[str]:
    return [name for name, setting in _facts(report).settings.items() if setting.pending_restart]


def _show_undone(view: View | None, one: Undone) -> None:
    if view is None:
        return
    note = f" ({one.note})" if one.note else ""
    if one.error is None:
        view.line(f"taken back: {one.entry.statement}{note}")
    else:
        view.line(f"not taken back: {one.entry.statement}: {one.error}", "bold red")


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


def _data(plan: Plan, outcome: Outcome, changes: list[Change], report: Report, *, dry: bool) -> dict[str, Any]:
    """The JSON of a repair."""
    return {
        "schema_version": SCHEMA_VERSION,
        "dry_run": dry,
        "verdict": report.verdict,
        "plan": [_step(step) for step in plan.steps],
        "left": [{**_step(left.step), "reason": left.reason, "lines": list(left.lines)} for left in plan.left],
        "undo_file": str(outcome.undo_file) if outcome.undo_file else None,
        "done": [
            {**_step(one.step), "ok": one.ok, "error": one.error, "dropped": list(one.dropped)} for one in outcome.done
        ],
        "changes": [
            {"before": _finding(change.before), "after": _finding(change.after)} for change in changes
        ],
        "pending_restart": _pending(report),
    }  # fmt: skip


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
