"""`--fix` and `--undo`: shows the plan, lets it be carried out, looks again, and tells before and after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from queen.cli import console
from queen.cli.doctor import repair_data
from queen.cli.doctor.aim import Aim, again, fresh, look
from queen.cli.doctor.once import examine
from queen.cli.doctor.options import Wish
from queen.cli.doctor.outcome import code_of, keep_traces
from queen.cli.doctor.repair_data import Change
from queen.cli.doctor.repair_view import RepairView
from queen.cli.doctor.screen import screen
from queen.cli.doctor.view import View
from queen.doctor.facts import Facts
from queen.doctor.finding import Result
from queen.doctor.repair import act, journal
from queen.doctor.repair.act import Done, Outcome, Undone
from queen.doctor.repair.guard import refuse_unsafe
from queen.doctor.repair.journal import Book
from queen.doctor.repair.plan import Consent, Plan, make_plan
from queen.doctor.report import Report, together, verdict_of
from queen.errors import QueenError


def repair(wish: Wish, aim: Aim) -> int:
    """Look, plan, act, look again; the exit code. Raises QueenError."""
    before = examine(wish, aim)
    keep_traces(before)
    facts = _facts(before)
    plan = make_plan(before.ranked(), _consent(wish), facts)
    view = _view(wish)
    view.plan(plan)
    if wish.dry_run or not plan.steps:
        if wish.as_json:
            nothing = Outcome((), None)
            console.put_json(repair_data.of_repair(plan, nothing, [], before, [], dry_run=wish.dry_run))
        return code_of(before, wish.fail_on)
    outcome = _act(aim, plan, facts, view)
    after = fresh(aim, look(again(aim, {done.step.check for done in outcome.done})))
    changes, whole, pending = _changes(before, after, outcome.done), _joined(before, after), _pending(after)
    view.outcome(outcome, changes, pending)
    if wish.as_json:
        console.put_json(repair_data.of_repair(plan, outcome, changes, whole, pending, dry_run=False))
    failed = any(not done.ok for done in outcome.done)
    return console.FOUND if failed else code_of(whole, wish.fail_on)


def take_back(wish: Wish, aim: Aim, path: Path) -> int:
    """Replay an undo file backwards; the exit code. Raises QueenError."""
    book = journal.read(path)
    facts = _facts(look(replace(aim, ask=replace(aim.ask, checks=(), url=None))))
    view = _view(wish)
    planned = book.open_entries()
    if not planned:
        view.line("Everything in this file was taken back before, or never ran.")
    found = _only_shown(book, facts, view) if wish.dry_run else act.take_back(aim.ask.dsn, book, facts, view.undone)
    if wish.as_json:
        console.put_json(repair_data.of_undo(path, planned, found, dry_run=wish.dry_run))
    failed = next((one.error for one in found if one.error is not None), None)
    if failed is None:
        return console.DONE
    hint = f"when that is put right, the rest: queen doctor --undo {path}"
    console.say_failure(f"not everything was taken back: {failed}", console.FOUND, hint=hint)
    return console.FOUND


def _only_shown(book: Book, facts: Facts, view: RepairView) -> list[Undone]:
    refuse_unsafe(facts)
    for entry in book.open_entries():
        view.line(f"would take back: {entry.statement}")
    return []


def _act(aim: Aim, plan: Plan, facts: Facts, view: RepairView) -> Outcome:
    """Carry the plan out. Where that is cut short, the undo file is still named."""
    files: list[Path] = []
    if aim.undo_folder is None:
        raise AssertionError("a run that repairs has a folder for its undo file")

    def on_file(path: Path) -> None:
        files.append(path)
        console.say(f"undo file: {path}")

    try:
        return act.carry_out(aim.ask.dsn, plan, facts, aim.undo_folder, on_file, view.done)
    except (QueenError, KeyboardInterrupt):
        if files:
            console.say(f"cut short; what was done is taken back by: queen doctor --undo {files[0]}")
        raise


def _consent(wish: Wish) -> Consent:
    return Consent(
        ids=frozenset(one.upper() for one in wish.ids),
        allow=frozenset(one.value for one in wish.allow),
        yes=wish.yes,
    )


def _facts(report: Report) -> Facts:
    if report.facts is None:
        raise AssertionError("a run gathers facts")
    return report.facts


def _view(wish: Wish) -> RepairView:
    return RepairView(None if wish.as_json or wish.quiet else View(screen(wish.color)))


def _changes(before: Report, after: Report, done: Iterable[Done]) -> list[Change]:
    later = {(one.result.id, one.finding.object): one for one in after.ranked()}
    steps = {(one.step.check, one.step.object) for one in done}
    return [
        Change(one, later.get((one.result.id, one.finding.object)), _not_seen(one.result.id, after))
        for one in before.ranked()
        if (one.result.id, one.finding.object) in steps
    ]


def _not_seen(check: str, after: Report) -> str | None:
    """Why a check could not look again; then nobody may say that its finding is gone."""
    result = next((result for result in after.results if result.id == check), None)
    if result is None or result.status not in ("skipped", "error"):
        return None
    return result.reason or result.status


def _joined(before: Report, after: Report) -> Report:
    """The report of all checks, those that ran again as they are now."""
    now: dict[str, Result] = {result.id: result for result in after.results}
    results = tuple(now.get(result.id, result) for result in before.results)
    return replace(before, results=results, verdict=verdict_of(results), together_pct=together(results))


def _pending(report: Report) -> list[str]:
    return [name for name, setting in _facts(report).settings.items() if setting.pending_restart]
