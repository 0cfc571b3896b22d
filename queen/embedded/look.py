"""Looks at a private PostgreSQL from outside: starts nothing, makes nothing, and needs no programs.

For `queen db status`, `url` and `stop`.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from queen.embedded import recover, server
from queen.embedded.folders import Home, base_folder, existing_homes
from queen.embedded.state import Note, read_note
from queen.errors import EmbeddedError
from queen.settings import EmbeddedSettings
from queen.store.connect import ping

_POLL_S = 0.05
_PING_S = 3.0


@dataclass(frozen=True, slots=True)
class Sight:
    """One cluster as it was seen. `note` is there while its owner lives."""

    home: Home
    note: Note | None
    answers: bool

    @property
    def socket_dir(self) -> Path | None:
        return None if self.note is None else Path(self.note.socket_dir)


def look(settings: EmbeddedSettings) -> Sight | None:
    """The cluster that runs, else the newest that has data, else None. Raises EmbeddedError for unreadable folders."""
    sights = [_see(home) for home in existing_homes(base_folder(settings.data_dir))]
    return next((sight for sight in sights if sight.answers), sights[0] if sights else None)


def disk_bytes(home: Home) -> int:
    """What the cluster takes on disk, its logs included."""
    total = 0
    for folder, _, names in os.walk(home.path):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
            except OSError:
                continue  # files come and go while the server runs
    return total


def end_owner(sight: Sight, timeout_s: float) -> bool:
    """Asks the owner to end, and waits until it and its server have. False when there was none.

    The process is compared with the note, so that a number given out again never hits a stranger. Raises
    EmbeddedError when the owner may not be signalled, or does not end in time.
    """
    note = sight.note
    if note is None or not note.owner_alive():
        return False
    try:
        os.kill(note.owner_pid, signal.SIGTERM)
    except ProcessLookupError:
        return False
    except PermissionError:
        raise EmbeddedError(
            f"process {note.owner_pid}, which runs PostgreSQL, belongs to another user",
            hint="stop it as that user, or as root",
        ) from None
    deadline = time.monotonic() + timeout_s
    while note.owner_alive() or recover.running_server(sight.home) is not None:
        if time.monotonic() > deadline:
            raise EmbeddedError(
                f"process {note.owner_pid} was asked to stop PostgreSQL and still runs after {timeout_s:.0f} s",
                hint=f"look into its log in {sight.home.log}",
            )
        time.sleep(_POLL_S)
    return True


def _see(home: Home) -> Sight:
    note = read_note(home)
    if note is None or not note.owner_alive():
        return Sight(home, None, answers=False)
    answers = note.ready and ping(server.dsn(Path(note.socket_dir)), _PING_S) is None
    return Sight(home, note, answers)
