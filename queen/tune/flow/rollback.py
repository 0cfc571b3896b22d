"""`--rollback`: undo the newest apply that stands, or first of all what an interrupted run left."""

from __future__ import annotations

from queen.errors import TuneInputError
from queen.store.operate import Operator
from queen.tune.flow.apply import claim, recover
from queen.tune.flow.journal import Journal, Shelf
from queen.tune.flow.undo import undo, undo_files


def rollback(operator: Operator, shelf: Shelf) -> list[Journal]:
    """The journals that were undone. Raises TuneInputError when there is none, TuneRefused, CannotChange."""
    claim(operator)
    with shelf.locked():
        undone = recover(operator, shelf)
        if undone:
            return undone
        return [undo(operator, _latest(shelf))]


def rollback_files(shelf: Shelf) -> Journal:
    """Only the files, while the server is not running. Raises TuneInputError when no file was changed."""
    with shelf.locked():
        open_ones = shelf.interrupted()
        journal = open_ones[0] if open_ones else _latest(shelf)
        if not journal.files:
            raise TuneInputError("the last apply changed no file; without the server nothing can be put back")
        return undo_files(journal)


def _latest(shelf: Shelf) -> Journal:
    """The newest that changed something. Those that found nothing to do only saved their plan, and go with it."""
    while (journal := shelf.latest()) is not None:
        if journal.changes:
            return journal
        journal.to("undone")
    raise TuneInputError("nothing was applied to this server from here")
