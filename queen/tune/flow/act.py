"""The single acts: write our file, ALTER SYSTEM, ALTER TABLE, ALTER ROLE, reload and wait until it took.

Each can be done again without harm. Who calls has written the journal first. Knows no plan and no state.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from queen.errors import CannotChange
from queen.sql import catalog
from queen.store import alter
from queen.store.operate import Operator
from queen.tune.flow.conf_file import INCLUDE, Setting, merged
from queen.tune.flow.journal import Change, FileChange, Journal, sync_folder, told_plainly, write_whole
from queen.tune.flow.places import Way
from queen.tune.flow.wanted import Wanted

RELOAD_S: Final = 10.0
_POLL_S: Final = 0.02


def plan_files(way: Way, wishes: Iterable[Wanted]) -> list[tuple[FileChange, bytes | None, bytes]]:
    """Each file to write with its bytes before (None: it is not there) and after. Raises TuneRefused."""
    assert way.file is not None, "only a way by file has files"
    assert way.like is not None, "it knows the server's own file"
    settings = [Setting(wish.name, wish.value, wish.reason) for wish in wishes]
    with told_plainly(way.file):
        text = way.file.read_bytes() if way.file.exists() else None
        after = merged(None if text is None else text.decode(errors="surrogateescape"), settings)
        made = str(way.folder) if way.folder else None
        planned = [(_file(way.file, way.like, made), text, after.encode(errors="surrogateescape"))]
        if way.main is not None:
            main = way.main.resolve()
            planned.append((_file(main, main, None), main.read_bytes(), main.read_bytes() + INCLUDE.encode()))
    return planned


def write_files(journal: Journal) -> None:
    """The files of a journal, as they should become."""
    for number, file in enumerate(journal.files):
        with told_plainly(Path(file.path)):
            if file.folder_made is not None:
                _make_folder(Path(file.folder_made), file)
            write_whole(Path(file.path), journal.kept(number, "after"), file)


def alter_system(operator: Operator, wish: Wanted) -> None:
    """One setting for the server; nothing is loaded yet. Raises CannotChange."""
    operator.run(alter.set_system(wish.name, wish.value))


def set_objects(operator: Operator, schema: str, changes: Iterable[Change]) -> None:
    """Storage parameters, a statement for each table, and settings of the role. Raises CannotChange."""
    listed = [change for change in changes if change.wanted.kind != "server"]
    for table in dict.fromkeys(change.wanted.object for change in listed if change.wanted.kind == "table"):
        of_table = [change.wanted for change in listed if change.wanted.object == table]
        values = {wish.name: wish.value for wish in of_table if wish.kind == "table"}
        operator.run(alter.set_table(schema, table, values))
    for change in listed:
        if change.wanted.kind == "role":
            operator.run(alter.set_role(change.wanted.object, change.wanted.name, change.wanted.value))


def put_back_objects(operator: Operator, schema: str, changes: Iterable[Change]) -> None:
    """The old values of tables and role; what had none is reset. Raises CannotChange."""
    for change in changes:
        wish, old = change.wanted, change.old
        if wish.kind == "table" and old is None:
            operator.run(alter.reset_table(schema, wish.object, [wish.name]))
        elif wish.kind == "table":
            operator.run(alter.set_table(schema, wish.object, {wish.name: old or ""}))
        elif wish.kind == "role" and old is None:
            operator.run(alter.reset_role(wish.object, wish.name))
        elif wish.kind == "role":
            operator.run(alter.set_role(wish.object, wish.name, old or ""))


def auto_conf(operator: Operator) -> list[tuple[str, str]]:
    """The lines that ALTER SYSTEM has written, in their order."""
    rows = operator.rows(catalog("flow_files"))
    found = [row for row in rows if (row["sourcefile"] or "").endswith("postgresql.auto.conf") and row["name"]]
    return [(row["name"], row["setting"] or "") for row in found]


def put_back_auto_conf(operator: Operator, before: list[tuple[str, str]], ours: Mapping[str, str]) -> None:
    """Makes the lines of ALTER SYSTEM what they were, in their order too. `ours`: what we set, by name.

    A line that says something else than ours by now is somebody's later word and stays. Raises CannotChange.
    """
    now = dict(auto_conf(operator))
    old = dict(before)
    for name, value in ours.items():
        if now.get(name) == value and name not in old:
            operator.run(alter.reset_system(name))
        elif now.get(name) == value and old[name] != value:
            operator.run(alter.set_system(name, old[name]))
    _reorder(operator, before)


def reload(operator: Operator) -> None:
    """Makes the server read its files, and waits until this session has. Raises CannotChange."""
    before = operator.rows(catalog("flow_loaded"))[0]["loaded_at"]
    if not operator.rows(catalog("flow_reload"))[0]["sent"]:
        raise CannotChange("the server could not be told to read its configuration")
    deadline = time.monotonic() + RELOAD_S
    while operator.rows(catalog("flow_loaded"))[0]["loaded_at"] == before:
        if time.monotonic() > deadline:
            raise CannotChange(f"the server did not read its configuration within {RELOAD_S:.0f} s")
        time.sleep(_POLL_S)


def _reorder(operator: Operator, before: list[tuple[str, str]]) -> None:
    """ALTER SYSTEM puts what it sets at the end. Lines that now stand in another order than before are set again, to
    the value they have, so that the file is the same byte for byte. Only where that is all that differs."""
    now = auto_conf(operator)
    if now == before or sorted(now) != sorted(before):
        return
    same = next(number for number, pair in enumerate(before) if now[number] != pair)
    for name, value in before[same:]:
        if "," in value and name not in alter.LISTS:
            return  # it may be a list, which this statement would make a list of one
    for name, value in before[same:]:
        operator.run(alter.set_system(name, value))


def _file(path: Path, like: Path, folder_made: str | None) -> FileChange:
    """How a file is, or how a new one is to be: like the configuration beside it."""
    status = (path if path.exists() else like).stat()
    return FileChange(str(path), path.exists(), status.st_mode & 0o777, status.st_uid, status.st_gid, folder_made)


def _make_folder(folder: Path, like: FileChange) -> None:
    if not folder.exists():
        folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(folder, like.uid, like.gid)
        sync_folder(folder.parent)
