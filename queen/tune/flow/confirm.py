"""An apply that has to be confirmed: a process apart undoes it when nobody does, as routers do with new settings.

The watcher outlives the terminal, and ends by itself: when the apply was confirmed or rolled back, or a while after
its time. It gets the DSN by its standard input, because arguments are readable by everybody. When it was killed, the
next run of tune-pg finds that the time is over (`apply.recover`).
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Final

from queen.errors import CannotChange, QueenError, TuneInputError, TuneRefused
from queen.store.operate import Operator
from queen.tune.flow.apply import APPLICATION, claim
from queen.tune.flow.journal import Journal, Shelf
from queen.tune.flow.undo import undo

PATIENCE_S: Final = 300.0
"""How long after its time a watcher goes on trying, while the server is away or another run holds the lock."""

_POLL_S: Final = 0.5
_WATCHER: Final = "queen.tune.flow.watcher"


def start_watcher(journal: Journal, dsn: str) -> int:
    """Starts the process that undoes this apply when its time is over; its process id."""
    log = journal.folder / "watcher.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", _WATCHER, str(journal.folder)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,  # a hang-up of the terminal does not reach it
        )
    assert process.stdin is not None, "a pipe was asked for"
    with process.stdin as pipe:
        pipe.write(dsn.encode())
    # It is not waited for: when it ends before us, the kernel keeps its number until we end too.
    return process.pid


def watch(journal: Journal, dsn: str, *, poll_s: float = _POLL_S, patience_s: float = PATIENCE_S) -> Journal:
    """The watcher's life: wait for the confirmation, or undo. Raises CannotChange when it could not be undone."""
    last: QueenError | None = None
    while True:
        now = Journal.load(journal.folder)
        if now.state in ("applied", "undone") or now.confirm_by is None:
            return now
        if time.time() >= now.confirm_by:
            if time.time() > now.confirm_by + patience_s:
                raise CannotChange(f"given up: {last.message if last else 'another run is at work'}")
            try:
                return _undo_late(now, dsn)
            except QueenError as error:
                last = error
        time.sleep(poll_s)


def confirm(shelf: Shelf) -> Journal:
    """Keep what waits for its confirmation. Raises TuneInputError when nothing does, TuneRefused when it is late."""
    with shelf.locked():
        journal = shelf.waiting()
        if journal is None:
            raise TuneInputError("nothing waits for a confirmation")
        if journal.confirm_by is not None and time.time() >= journal.confirm_by:
            raise TuneRefused("the time for the confirmation is over", hint="it is being undone; apply again")
        return journal.to("applied", confirm_by=None)


def _undo_late(journal: Journal, dsn: str) -> Journal:
    with Operator(dsn, application=APPLICATION) as operator:
        claim(operator)
        with Shelf(journal.folder.parent).locked():
            now = Journal.load(journal.folder)
            return now if now.state in ("applied", "undone") else undo(operator, now)
