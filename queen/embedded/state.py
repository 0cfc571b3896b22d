"""How the processes that share one private PostgreSQL know of each other: a lock and a note, both in its home.

- The lock says who owns the server. The kernel frees it when the owner ends, however it ends.
- The note says where the server listens and which process owns it. It may be stale, so it proves nothing alone:
  `owner_alive` compares the process's identity, and a server counts as running only when it answers.

Neither knows how a server is started or stopped.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from queen.embedded import processes
from queen.embedded.account import Account
from queen.embedded.folders import Home, told_plainly, write_file

_NOTE_BYTES_MAX = 65_536


@dataclass(frozen=True, slots=True)
class Note:
    """What the owner tells others, in `queen.json`."""

    owner_pid: int
    owner_identity: str
    holder: str
    """Which command owns the server: "serve", "db" or the like."""
    socket_dir: str
    version: str
    bin_dir: str
    postmaster_pid: int | None = None
    ready: bool = False
    started_at: str = ""
    """When the server answered first, ISO 8601 in UTC."""

    def owner_alive(self) -> bool:
        """Whether the very process that wrote the note still runs."""
        return bool(self.owner_identity) and processes.identity(self.owner_pid) == self.owner_identity


class OwnerLock:
    """The right to run the server, held by at most one process, and freed by the kernel when that process ends.

    A process forked from the owner would hold it too: workers are spawned, not forked.
    """

    def __init__(self, home: Home, account: Account) -> None:
        self._path = home.lock
        self._account = account
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def acquire(self) -> bool:
        """Takes the lock if it is free; never waits. Raises EmbeddedError when the file cannot be opened."""
        assert self._descriptor is None, "the lock is taken once"
        with told_plainly(self._path):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            if self._account.switch:
                os.fchown(descriptor, self._account.uid, self._account.gid)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Frees the lock; harmless when it is not held. The file stays, for removing it would split the lock in two."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def read_note(home: Home) -> Note | None:
    """The note, or None when there is none that can be understood."""
    try:
        with open(home.state, encoding="utf-8") as file:
            values = json.loads(file.read(_NOTE_BYTES_MAX))
    except (OSError, ValueError, RecursionError):
        return None
    return _parse(values)


def write_note(home: Home, note: Note, account: Account) -> None:
    """Replaces the note as a whole. Raises EmbeddedError."""
    with told_plainly(home.state):
        write_file(home.state, json.dumps({"schema_version": 1, **asdict(note)}, indent=2) + "\n", account)


def remove_note(home: Home) -> None:
    """Takes the note away; harmless when there is none."""
    Path(home.state).unlink(missing_ok=True)


def _parse(values: Any) -> Note | None:
    if not isinstance(values, dict):
        return None
    known = {field.name: values[field.name] for field in fields(Note) if field.name in values}
    try:
        note = Note(**known)
    except TypeError:
        return None
    texts = (note.owner_identity, note.holder, note.socket_dir, note.version, note.bin_dir, note.started_at)
    numbers = (note.owner_pid, note.postmaster_pid or 0)
    sound = all(isinstance(text, str) for text in texts) and all(isinstance(number, int) for number in numbers)
    return note if sound and note.socket_dir else None
