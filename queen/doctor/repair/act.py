"""Carries a plan out: one statement at a time, each in the undo file before it runs. `--undo` goes the other way."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from queen.doctor.facts import Facts
from queen.doctor.repair import leftover
from queen.doctor.repair.guard import claim, refuse_unsafe
from queen.doctor.repair.journal import Book, Entry, Journal
from queen.doctor.repair.plan import Plan, Step
from queen.doctor.repair.snapshot import plan_of
from queen.errors import CannotChange, RepairRefused
from queen.store.operate import Operator

_SYSTEM = "SELECT system_identifier::text AS system, current_database() AS database FROM pg_control_system()"
_LOADED = "SELECT pg_conf_load_time() AS loaded"
_RELOAD: Final = re.compile(r"\s*SELECT\s+pg_reload_conf\b.*", re.IGNORECASE | re.DOTALL)
_RELOAD_S: Final = 2.0
_PARTIAL: Final = "Only a part of it was done; --undo takes that part back."


@dataclass(frozen=True, slots=True)
class Done:
    """One step that was tried. `error`: what PostgreSQL said; the step's later statements did not run then."""

    step: Step
    ran: int
    error: str | None = None
    hint: str | None = None
    dropped: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.error is None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a plan, and where the undo file is; None when nothing was to be done."""

    done: tuple[Done, ...]
    undo_file: Path | None


@dataclass(frozen=True, slots=True)
class Undone:
    """One entry that was taken back, or could not be."""

    entry: Entry
    error: str | None = None
    note: str | None = None


OnDone = Callable[[Done], None]
OnUndone = Callable[[Undone], None]
OnFile = Callable[[Path], None]


def carry_out(
    dsn: str,
    plan: Plan,
    facts: Facts,
    folder: Path,
    on_file: OnFile = lambda _: None,
    on_done: OnDone = lambda _: None,
) -> Outcome:
    """Make the repairs of a plan. A step that fails does not keep the next from being tried. `on_file` is told the undo
    file before anything runs.

    Raises RepairRefused where nothing may be changed, DoctorFileError when the undo file cannot be written: the
    statement that would have come next did not run then. Raises StoreUnavailable, AccessDenied.
    """
    refuse_unsafe(facts)
    if not plan.steps:
        return Outcome((), None)
    with Operator(dsn) as operator:
        claim(operator)
        about = {**_where(operator), "schema": facts.schema, "role": facts.role}
        with Journal.create(folder, about) as journal:
            on_file(journal.path)
            hand = _Hand(operator, journal)
            done = []
            for step in plan.steps:
                done.append(hand.make(step))
                on_done(done[-1])
    return Outcome(tuple(done), journal.path)


def take_back(dsn: str, book: Book, facts: Facts, on_undone: OnUndone = lambda _: None) -> list[Undone]:
    """Take back what a run did, the last first, and only what ran. Stops at the first that cannot be taken back; the
    same call goes on there later. Raises like `carry_out`, and RepairRefused for a file of another database."""
    refuse_unsafe(facts)
    with Operator(dsn) as operator:
        claim(operator)
        _refuse_stranger(operator, book)
        found: list[Undone] = []
        with Journal.resume(book.path) as journal:
            for entry in book.open_entries():
                journal.undoing(entry.number)
                found.append(_undo(operator, entry))
                on_undone(found[-1])
                if found[-1].error is not None:
                    journal.kept(entry.number, found[-1].error)
                    break
                journal.undone(entry.number)
    return found


class _Hand:
    """Makes steps, and numbers their statements through the whole file."""

    def __init__(self, operator: Operator, journal: Journal) -> None:
        self._operator = operator
        self._journal = journal
        self._number = 0

    def make(self, step: Step) -> Done:
        for ran, statement in enumerate(step.apply):
            try:
                undo = plan_of(self._operator, step.apply, step.undo, ran)
            except CannotChange as error:
                return Done(step, ran, error.message, error.hint)
            failed = self._run(step, statement, undo, ran)
            if failed is not None:
                return failed
        return Done(step, len(step.apply))

    def _run(self, step: Step, statement: str, undo: tuple[str, ...], ran: int) -> Done | None:
        """One statement; what to say when it failed."""
        self._number += 1
        before = leftover.invalid(self._operator) if leftover.may_leave(statement) else None
        self._journal.before(self._number, step.check, step.object, statement, undo, before)
        try:
            _run(self._operator, statement)
        except CannotChange as error:
            dropped = () if before is None else self._drop_leftovers(before)
            self._journal.after(self._number, error.message)
            return Done(step, ran, error.message, error.hint or (_PARTIAL if ran else None), dropped)
        self._journal.after(self._number)
        return None

    def _drop_leftovers(self, before: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(leftover.drop_new(self._operator, before))
        except CannotChange:  # the failure of the statement is what counts; check I1 finds what is left
            return ()


def _undo(operator: Operator, entry: Entry) -> Undone:
    """Take back one statement. Of one that may not have run at all, what it would have made need not be there."""
    notes = [] if entry.undo or entry.invalid_before is not None else ["it has no way back and needs none"]
    try:
        if not entry.certain and entry.invalid_before is not None:
            notes += [f"dropped the unfinished {name}" for name in leftover.drop_new(operator, entry.invalid_before)]
        for statement in entry.undo:
            if not _undone(operator, statement, entry):
                notes.append("it was not there")
    except CannotChange as error:
        return Undone(entry, error=error.message)
    return Undone(entry, note="; ".join(dict.fromkeys(notes)) or None)


def _undone(operator: Operator, statement: str, entry: Entry) -> bool:
    """Run a statement of a way back; False: what it is about is not there, and need not be."""
    try:
        _run(operator, statement)
    except CannotChange as error:
        if error.gone and not entry.certain:
            return False
        raise
    return True


def _run(operator: Operator, statement: str) -> None:
    """Run a statement. After a reload wait until our own backend has seen it: the postmaster, whose children the next
    sessions are, has seen it before."""
    if not _RELOAD.fullmatch(statement):
        operator.run(statement)
        return
    before = operator.rows(_LOADED)
    operator.run(statement)
    end = time.monotonic() + _RELOAD_S
    while operator.rows(_LOADED) == before and time.monotonic() < end:
        time.sleep(0.02)


def _where(operator: Operator) -> dict[str, Any]:
    return operator.rows(_SYSTEM)[0]


def _refuse_stranger(operator: Operator, book: Book) -> None:
    here = _where(operator)
    there = {name: book.about.get(name) for name in here}
    if here != there:
        raise RepairRefused(
            f"{book.path} is of database {there['database']} of another server or name; this is {here['database']}",
            hint="name the database it was made on with --database-url",
        )
