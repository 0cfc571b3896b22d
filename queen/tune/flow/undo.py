"""Puts back what one apply changed: after --rollback, after a failure, after a kill, after a time without confirmation.

Only what still is as we left it is put back. A file that somebody has edited since is not overwritten: then nothing
is done at all, and the error says where the byte copies lie. Can be interrupted and done again.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from queen.errors import TuneRefused
from queen.store.operate import Operator
from queen.tune.flow import act
from queen.tune.flow.journal import Change, FileChange, Journal, draft_of, sync_folder, told_plainly, write_whole
from queen.tune.flow.live import Live, read, same


def undo(operator: Operator, journal: Journal) -> Journal:
    """The journal in the state `undone`; its notes name what somebody else has changed since and so was left.

    Raises TuneRefused before it touches anything, CannotChange or StoreUnavailable in the middle: then it can be
    called again.
    """
    _refuse_foreign_files(journal)
    live = read(operator, journal.schema, journal.role, [change.wanted.name for change in journal.changes])
    if live.facts["system_identifier"] != journal.server:
        raise TuneRefused(f"{journal.folder} tells of another server than this one")
    ours = [change for change in journal.changes if _is_ours(change, live)]
    left = [change for change in journal.changes if change not in ours and not _is_old(change, live)]
    journal = journal.to("undoing", confirm_by=None)
    _put_back_server(operator, journal)
    act.put_back_objects(operator, journal.schema, ours)
    notes = tuple(f"{change.wanted.place}: changed since by somebody else, left as it is" for change in left)
    return journal.to("undone", notes=notes)


def undo_files(journal: Journal) -> Journal:
    """The files of a journal as they were, without the server: for one that does not start with what they say now.

    The journal stays `undoing`, and the next run with a server finishes it. Raises TuneRefused.
    """
    _refuse_foreign_files(journal)
    journal = journal.to("undoing", confirm_by=None)
    put_back_files(journal)
    return journal


def _put_back_server(operator: Operator, journal: Journal) -> None:
    changed = [change.wanted for change in journal.changes if change.wanted.kind == "server"]
    if not changed:
        return
    put_back_files(journal)
    if journal.way == "alter-system":
        act.put_back_auto_conf(operator, list(journal.auto_conf), {wish.name: wish.value for wish in changed})
    act.reload(operator)


def put_back_files(journal: Journal) -> None:
    """The files of a journal, byte for byte as they were; what did not exist is removed."""
    for number, file in reversed(list(enumerate(journal.files))):
        path = Path(file.path)
        with told_plainly(path):
            with suppress(FileNotFoundError):
                draft_of(path).unlink()
            if file.existed:
                _restore(path, journal.kept(number, "before"), file)
            else:
                path.unlink(missing_ok=True)
            if file.folder_made is not None:
                with suppress(OSError):  # somebody may have put something of theirs into it
                    Path(file.folder_made).rmdir()
            elif path.parent.exists():
                sync_folder(path.parent)


def _restore(path: Path, content: bytes, file: FileChange) -> None:
    if not path.exists() or path.read_bytes() != content:
        write_whole(path, content, file)


def _refuse_foreign_files(journal: Journal) -> None:
    for number, file in enumerate(journal.files):
        path = Path(file.path)
        with told_plainly(path):
            now = path.read_bytes() if path.exists() else None
        known = {journal.kept(number, "after"), journal.kept(number, "before") if file.existed else None}
        if now not in known:
            raise TuneRefused(
                f"{path} was changed after queen tune-pg wrote it, and would be overwritten",
                hint=f"put it back by hand: what was before is {journal.folder / f'{number}.before'}"
                if file.existed
                else f"remove it by hand if it is not needed; what was written is {journal.folder / f'{number}.after'}",
            )


def _is_ours(change: Change, live: Live) -> bool:
    """Whether a table or a role still has what we gave it. The server's part is judged by its files."""
    wish = change.wanted
    if wish.kind == "server":
        return True
    return same(wish.name, _value(change, live), wish.value, live)


def _is_old(change: Change, live: Live) -> bool:
    return same(change.wanted.name, _value(change, live), change.old, live) or _is_gone(change, live)


def _is_gone(change: Change, live: Live) -> bool:
    """A child of `messages` that was dropped since needs nothing."""
    return change.wanted.kind == "table" and change.wanted.object not in live.tables


def _value(change: Change, live: Live) -> str | None:
    wish = change.wanted
    has = live.role_settings if wish.kind == "role" else live.tables.get(wish.object, {})
    return has.get(wish.name)
