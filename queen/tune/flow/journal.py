"""What was changed, how, and what was before: one folder for each apply, written before the change it tells of.

    FOLDER/000001-20261130T033900/journal.json    state, wishes, changes with their old values, files
    FOLDER/000001-20261130T033900/0.before        byte copies of the files that are about to change
    FOLDER/000001-20261130T033900/0.after         and of what they become
    FOLDER/000001-20261130T033900/log.json        where the server's log stood (server_log.py)
    FOLDER/000001-20261130T033900/bench.json      how fast the server was, where that was tried

States: acting → applied | waiting (for confirmation) → applied; any of them → undoing → undone. A journal that is
`acting` or `undoing` while nobody holds the lock was interrupted: the next run puts everything back. Every write is
whole, synced and renamed, so a kill at any point leaves the state before or after.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, Self

from queen.errors import TuneRefused
from queen.tune.flow.wanted import Wanted

State = Literal["acting", "applied", "waiting", "undoing", "undone"]
OPEN: Final = ("acting", "undoing")

_NAME: Final = "journal.json"
_FORMAT: Final = 1
_KEPT_MAX: Final = 50
"""Journals that are kept for a server; the oldest go."""


@dataclass(frozen=True, slots=True)
class Change:
    """One wish that was not so. `old` is what to put back; None: it had no value of its own."""

    wanted: Wanted
    old: str | None
    shown: str | None
    """The value before, as a person reads it."""
    source: str
    sourcefile: str | None = None


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file, its copies in the journal by number, and whose it was."""

    path: str
    existed: bool
    mode: int
    uid: int
    gid: int
    folder_made: str | None = None


@dataclass(frozen=True, slots=True)
class Journal:
    """One apply. `auto_conf` are the lines of ALTER SYSTEM before it, in their order."""

    folder: Path
    state: State
    server: str
    schema: str
    role: str
    way: str
    began_at: str
    wanted: tuple[Wanted, ...]
    changes: tuple[Change, ...]
    files: tuple[FileChange, ...] = ()
    auto_conf: tuple[tuple[str, str], ...] = ()
    confirm_by: float | None = None
    """Seconds since 1970 after which an unconfirmed apply is undone."""
    watcher_pid: int | None = None
    notes: tuple[str, ...] = field(default=())

    def to(self, state: State, **values: Any) -> Journal:
        """The same in another state, on disk when this returns. Raises TuneRefused when it cannot be written."""
        moved = replace(self, state=state, **values)
        moved.write()
        return moved

    def write(self) -> None:
        """Puts the journal on disk."""
        data = {**asdict(self), "format": _FORMAT, "folder": None}
        with told_plainly(self.folder):
            write_whole(self.folder / _NAME, json.dumps(data, indent=1).encode())

    def keep(self, number: int, when: Literal["before", "after"], content: bytes) -> None:
        """A copy of a file's bytes, on disk when this returns."""
        with told_plainly(self.folder):
            write_whole(self.folder / f"{number}.{when}", content)

    def kept(self, number: int, when: Literal["before", "after"]) -> bytes:
        """What `keep` was given."""
        with told_plainly(self.folder):
            return (self.folder / f"{number}.{when}").read_bytes()

    def put(self, name: str, content: bytes) -> None:
        """Something else to keep beside it, such as `bench.json`. Raises TuneRefused."""
        with told_plainly(self.folder):
            write_whole(self.folder / name, content)

    def get(self, name: str) -> bytes | None:
        """What `put` was given; None when nothing was. Raises TuneRefused."""
        with told_plainly(self.folder):
            path = self.folder / name
            return path.read_bytes() if path.exists() else None

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads one. Raises TuneRefused for what is none."""
        with told_plainly(folder):
            text = (folder / _NAME).read_text("utf-8")
        try:
            data = json.loads(text)
            if data.pop("format") != _FORMAT:
                raise ValueError("another format")
            data["folder"] = folder
            data["wanted"] = tuple(Wanted(**entry) for entry in data["wanted"])
            data["changes"] = tuple(
                Change(**{**entry, "wanted": Wanted(**entry["wanted"])}) for entry in data["changes"]
            )
            data["files"] = tuple(FileChange(**entry) for entry in data["files"])
            data["auto_conf"] = tuple((name, value) for name, value in data["auto_conf"])
            data["notes"] = tuple(data["notes"])
            return cls(**data)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise TuneRefused(f"{folder / _NAME} cannot be read: {error}", hint="move that folder away") from error


class Shelf:
    """The journals of one server, oldest first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Journal]:
        """Every journal that was begun. What was killed before its first write holds nothing, and changed nothing."""
        if not self.folder.is_dir():
            return []
        return [Journal.load(path.parent) for path in sorted(self.folder.glob(f"*/{_NAME}"))]

    def interrupted(self) -> list[Journal]:
        """Those that a kill left in the middle, newest first. Only right while the lock is held."""
        return [journal for journal in reversed(self.all()) if journal.state in OPEN]

    def waiting(self) -> Journal | None:
        """The one that waits for its confirmation."""
        return next((journal for journal in self.all() if journal.state == "waiting"), None)

    def latest(self) -> Journal | None:
        """The newest that stands: what the server should be like."""
        return next((journal for journal in reversed(self.all()) if journal.state in ("applied", "waiting")), None)

    def changed(self) -> Journal | None:
        """The newest of those that changed something: it knows what was before."""
        standing = (journal for journal in reversed(self.all()) if journal.state in ("applied", "waiting"))
        return next((journal for journal in standing if journal.changes), None)

    def new_folder(self) -> Path:
        """An empty folder for one more."""
        with told_plainly(self.folder):
            make_private(self.folder)
            there = sorted(path for path in self.folder.iterdir() if path.name[:6].isdecimal())
            for old in there[:-_KEPT_MAX]:
                shutil.rmtree(old)
            # Counted, for two may be made in one second, and a clock may be set back.
            number = int(there[-1].name.partition("-")[0]) + 1 if there else 1
            name = f"{number:06d}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
            (self.folder / name).mkdir(mode=0o700)
            sync_folder(self.folder)
        return self.folder / name

    @contextmanager
    def locked(self) -> Iterator[None]:
        """At most one run at a time works on these. Raises TuneRefused when another one does."""
        with told_plainly(self.folder):
            make_private(self.folder)
            handle = os.open(self.folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise another_at_work() from None
            yield
        finally:
            os.close(handle)


def another_at_work() -> TuneRefused:
    """The error of a lock that is held."""
    return TuneRefused("another queen tune-pg is at work on this server", hint="wait until it has ended")


def make_private(folder: Path) -> None:
    """A folder that nobody else may enter: the journal tells how a server is set up."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)


def write_whole(path: Path, content: bytes, like: FileChange | None = None) -> None:
    """Puts a whole file in place at once and on disk, owned as `like` says. Raises OSError."""
    draft = draft_of(path)
    with suppress(FileNotFoundError):
        draft.unlink()
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if like is not None:
            if os.geteuid() == 0:
                os.fchown(descriptor, like.uid, like.gid)
            os.fchmod(descriptor, like.mode)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)
    sync_folder(path.parent)


def draft_of(path: Path) -> Path:
    """Where a file is written before it gets its name. PostgreSQL reads no file whose name starts with a dot."""
    return path.with_name(f".{path.name}.tune-pg")


def sync_folder(folder: Path) -> None:
    """Makes names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def told_plainly(path: Path) -> Iterator[None]:
    """Turns what the operating system says about files into TuneRefused."""
    try:
        yield
    except OSError as error:
        place = error.filename or path
        raise TuneRefused(
            f"{place} cannot be used: {error.strerror or error}",
            hint="the journal of changes needs a folder of its own",
        ) from error
