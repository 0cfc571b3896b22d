"""Apply: refuse what is unsafe, write the journal, change, look at the files before they are loaded, load, verify.

    recover ─► refuse? ─► journal `acting` ─► files or ALTER SYSTEM ─► pg_file_settings ─► reload
            ─► tables, role ─► verify ─► `applied`, or `waiting` for a confirmation

Whatever fails after the journal was begun puts everything back before the error is raised. A kill leaves the journal
open, and the next run puts everything back first (`recover`): what was half done was wished for at another moment,
and a new plan is computed from what is there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from queen.errors import CannotChange, QueenError
from queen.store.operate import Operator
from queen.tune.flow import act, server_log
from queen.tune.flow.journal import Change, Journal, Shelf, another_at_work
from queen.tune.flow.live import Found, Live, compare, read
from queen.tune.flow.places import choose
from queen.tune.flow.refuse import TAKES_RESTART, refuse, refuse_overridden
from queen.tune.flow.undo import undo
from queen.tune.flow.wanted import Wanted
from queen.tune.lines import Plan

APPLICATION: Final = "queen-tune-pg"
LOCK: Final = 2
"""The advisory lock of everyone who tunes; the doctor has one of its own."""
BENCH: Final = "bench.json"
LOG: Final = "log.json"
"""What a journal keeps of the time before it: a run of the bench, and where the server's log stood."""


@dataclass(frozen=True, slots=True)
class Done:
    """What an apply did. `journal` is on disk; `found` how each wish stands now; `undone`: what an interrupted run
    had left and was put back first."""

    journal: Journal
    found: tuple[Found, ...]
    undone: tuple[Journal, ...] = ()

    @property
    def pending(self) -> list[str]:
        """Settings that the server takes at its next start."""
        return [found.wanted.name for found in self.found if found.state == "pending"]


def claim(operator: Operator) -> None:
    """The right to tune this server. Raises TuneRefused when another session has it."""
    if not operator.claim(LOCK):
        raise another_at_work()


def recover(operator: Operator, shelf: Shelf) -> list[Journal]:
    """Puts back what interrupted runs left, and what was not confirmed in time. The locks are held."""
    late = [journal for journal in shelf.all() if journal.state == "waiting" and _is_late(journal)]
    return [undo(operator, journal) for journal in [*shelf.interrupted(), *late]]


def changes_of(found: Sequence[Found]) -> list[Change]:
    """What has to be changed. A value that only waits for a restart is on its way already."""
    return [
        Change(entry.wanted, _old(entry), entry.value, entry.source, entry.file)
        for entry in found
        if entry.state == "differs"
    ]


def apply(
    operator: Operator,
    host: str,
    shelf: Shelf,
    plan: Plan,
    wish_list: Callable[[Live], list[Wanted]],
    *,
    schema: str,
    role: str | None = None,
    way: str = "auto",
    confirm_within_s: float | None = None,
    watch: Callable[[Journal], int] | None = None,
    before: Callable[[], bytes | None] | None = None,
) -> Done:
    """Make the server what the plan wants.

    `wish_list` makes the wishes of what the server is; `watch` starts the watcher of an unconfirmed apply and gives
    its process id; `before` measures the server as it is, for `BENCH` of the journal, and is called only when there is
    something to change. Raises TuneRefused (nothing was changed), CannotChange (everything was put back).
    """
    claim(operator)
    with shelf.locked():
        undone = recover(operator, shelf)
        names = [line.name for line in plan.lines] + [entry.setting for entry in plan.roles]

        def look() -> tuple[Live, list[Wanted], list[Change]]:
            live = read(operator, schema, role, names)
            wanted = wish_list(live)
            changes = changes_of(compare(wanted, live))
            refuse(live, changes, shelf, operator.connection.info.backend_pid)
            return live, wanted, changes

        live, wanted, changes = look()
        bench = None
        if before is not None and changes:
            bench = before()
            live, wanted, changes = look()  # that took a while
        journal = _begin(operator, host, shelf, live, schema, wanted, changes, way)
        _keep(operator, journal, bench)
        if confirm_within_s is not None and changes:
            journal = journal.to("acting", confirm_by=time.time() + confirm_within_s)
            if watch is not None:
                journal = journal.to("acting", watcher_pid=watch(journal))
        found = _carry_out(operator, journal, names)
        journal = journal.to("waiting" if journal.confirm_by is not None else "applied")
        return Done(journal, tuple(found), tuple(undone))


def _begin(
    operator: Operator,
    host: str,
    shelf: Shelf,
    live: Live,
    schema: str,
    wanted: Sequence[Wanted],
    changes: Sequence[Change],
    asked: str,
) -> Journal:
    """The journal with all that is needed to put things back, on disk. Nothing is changed yet."""
    server = [change for change in changes if change.wanted.kind == "server"]
    way = choose(operator, host, live, [change.wanted for change in server], asked) if server else None
    if way is not None and way.kind == "file":
        refuse_overridden(live, server, way)
    journal = Journal(
        folder=shelf.new_folder(),
        state="acting",
        server=live.facts["system_identifier"],
        schema=schema,
        role=live.role,
        way=way.kind if way else "none",
        began_at=datetime.now(UTC).isoformat(timespec="seconds"),
        wanted=tuple(wanted),
        changes=tuple(changes),
    )
    if way is not None and way.kind == "file":
        files = act.plan_files(way, [change.wanted for change in server])
        for number, (_, before, after) in enumerate(files):
            if before is not None:
                journal.keep(number, "before", before)
            journal.keep(number, "after", after)
        journal = replace(journal, files=tuple(file for file, _, _ in files))
    elif way is not None:
        journal = replace(journal, auto_conf=tuple(act.auto_conf(operator)))
    journal.write()
    return journal


def _keep(operator: Operator, journal: Journal, bench: bytes | None) -> None:
    """What the server was like before, for `--verify`."""
    if bench is not None:
        journal.put(BENCH, bench)
    if journal.changes:
        with suppress(CannotChange):  # a log that is not readable is told by --verify
            stood = server_log.mark(operator)
            if isinstance(stood, server_log.Mark):
                journal.put(LOG, json.dumps(server_log.as_dict(stood)).encode())


def _carry_out(operator: Operator, journal: Journal, names: Sequence[str]) -> list[Found]:
    """All the changes of a journal, verified; or none. Raises CannotChange, after everything was put back."""
    try:
        server = [change.wanted for change in journal.changes if change.wanted.kind == "server"]
        if server:
            _write_server(operator, journal, server)
            act.reload(operator)
        act.set_objects(operator, journal.schema, journal.changes)
        return _verified(operator, journal, names)
    except QueenError as error:
        raise _put_back(operator, journal, error) from error
    except BaseException:
        # Interrupted at the terminal: the same, and the interruption goes on.
        _put_back(operator, journal, CannotChange("interrupted"))
        raise


def _write_server(operator: Operator, journal: Journal, wishes: Sequence[Wanted]) -> None:
    if journal.way == "file":
        act.write_files(journal)
    else:
        for wish in wishes:
            act.alter_system(operator, wish)
    live = read(operator, journal.schema, journal.role, [wish.name for wish in wishes])
    for line in live.files or ():
        if line.error and not _only_waits(line.name, line.error, wishes):
            raise CannotChange(f"{line.file}, line {line.number}: {line.name or ''} {line.error}".replace("  ", " "))
    ours = {Path(file.path).name for file in journal.files} or {"postgresql.auto.conf"}
    for wish in wishes:
        counted = live.in_files(wish.name)
        if counted is None or Path(counted.file).name not in ours:
            where = f"{counted.file}, line {counted.number}, has the last word" if counted else "no file has it"
            raise CannotChange(f"{wish.name} would not take effect: {where}")


def _only_waits(name: str | None, error: str, wishes: Sequence[Wanted]) -> bool:
    return error == TAKES_RESTART and any(wish.name == name and wish.needs == "restart" for wish in wishes)


def _verified(operator: Operator, journal: Journal, names: Sequence[str]) -> list[Found]:
    """How every wish stands now. Raises CannotChange when one that was carried out does not."""
    live = read(operator, journal.schema, journal.role, names)
    found = compare(journal.wanted, live)
    missed = [entry.wanted.place for entry in found if entry.state == "differs" and _was_changed(entry, journal)]
    if missed:
        raise CannotChange(f"changed, but not in force afterwards: {', '.join(missed)}")
    return found


def _was_changed(found: Found, journal: Journal) -> bool:
    return any(change.wanted == found.wanted for change in journal.changes)


def _put_back(operator: Operator, journal: Journal, error: QueenError) -> CannotChange:
    """Undo after a failure, and the error to raise: it says what stands now."""
    try:
        undo(operator, journal)
    except QueenError as second:
        return CannotChange(
            f"{error.message}; and putting things back failed: {second.message}",
            hint="run queen tune-pg --rollback when the server answers again; it finds the open journal",
        )
    return CannotChange(f"{error.message}; everything was put back", hint=error.hint)


def _old(found: Found) -> str | None:
    """What to put back for a table or a role. For the server its files are put back, and the value is only shown."""
    return found.value if found.wanted.kind == "server" or found.source in ("table", "role") else None


def _is_late(journal: Journal) -> bool:
    return journal.confirm_by is not None and time.time() >= journal.confirm_by
