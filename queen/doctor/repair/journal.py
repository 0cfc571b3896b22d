"""The undo file: what was about to be changed, written and synced before each statement runs.

One JSON object a line. `begin` names the database; `before` holds a statement with its way back; `after` says how it
ended. A `before` without `after` means that the doctor died meanwhile: the statement may have run or not, and its way
back is taken all the same. --undo adds `undoing`, and then `undone` or `kept`, so that nothing is taken back twice, and
a killed undo is known as well. A line cut short by a crash was not followed by its statement and is dropped.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from queen.errors import DoctorFileError

VERSION: Final = 1
_KIND: Final = "queen-doctor-undo"
_BYTES_MAX: Final = 64_000_000
_HINT: Final = "queen doctor --fix names its undo file; they lie in the folder undo of the data folder"


@dataclass(frozen=True, slots=True)
class Entry:
    """One statement of an undo file. `ended`: True it ran, False it failed and changed nothing, None not known.
    `begun`: an undo of it was begun, and died."""

    number: int
    check: str
    object: str | None
    statement: str
    undo: tuple[str, ...]
    invalid_before: tuple[str, ...] | None
    ended: bool | None
    undone: bool
    begun: bool

    @property
    def certain(self) -> bool:
        """Whether what it made must be there now."""
        return self.ended is True and not self.begun


@dataclass(frozen=True, slots=True)
class Book:
    """A whole undo file as it was read."""

    path: Path
    about: dict[str, Any]
    entries: list[Entry] = field(default_factory=list)

    def open_entries(self) -> list[Entry]:
        """What is to be taken back, the last first."""
        return [entry for entry in reversed(self.entries) if entry.ended is not False and not entry.undone]


class Journal:
    """An undo file that is being written. A context manager. Every method raises DoctorFileError."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def create(cls, folder: Path, about: dict[str, Any]) -> Journal:
        """A new file in this folder, which is made, for its owner's eyes only."""
        name = f"{time.strftime('%Y-%m-%dT%H-%M-%SZ', time.gmtime())}-{secrets.token_hex(3)}.undo"
        path = folder / name
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            journal = cls(path, descriptor)
            journal._write(what="begin", kind=_KIND, version=VERSION, at=_now(), **about)
            _sync_folder(folder)
        except OSError as error:
            raise _unwritten(path, error) from error
        return journal

    @classmethod
    def resume(cls, path: Path) -> Journal:
        """The file of an earlier run, to add to. A line cut short is taken off first."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
            text = path.read_bytes()
            os.ftruncate(descriptor, text.rfind(b"\n") + 1)
        except OSError as error:
            raise _unwritten(path, error) from error
        return cls(path, descriptor)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def before(
        self,
        number: int,
        check: str,
        object_: str | None,
        statement: str,
        undo: Sequence[str],
        invalid_before: Sequence[str] | None,
    ) -> None:
        """A statement is about to run. On the disk when this returns."""
        self._write(
            what="before",
            n=number,
            check=check,
            object=object_,
            statement=statement,
            undo=list(undo),
            invalid_before=None if invalid_before is None else list(invalid_before),
            at=_now(),
        )

    def after(self, number: int, error: str | None = None) -> None:
        """It ended; `error`: it failed and changed nothing."""
        self._write(what="after", n=number, ok=error is None, error=error)

    def undoing(self, number: int) -> None:
        """It is about to be taken back."""
        self._write(what="undoing", n=number, at=_now())

    def undone(self, number: int) -> None:
        """It was taken back."""
        self._write(what="undone", n=number)

    def kept(self, number: int, error: str) -> None:
        """It could not be taken back."""
        self._write(what="kept", n=number, error=error)

    def _write(self, **entry: Any) -> None:
        line = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
        try:
            if os.write(self._descriptor, line) != len(line):
                raise OSError("the disk is full")
            os.fsync(self._descriptor)
        except OSError as error:
            raise _unwritten(self.path, error) from error


def read(path: Path) -> Book:
    """An undo file, also one whose run was killed. Raises DoctorFileError."""
    try:
        with path.open("rb") as file:
            _refuse_of_others(path, os.fstat(file.fileno()))
            lines = file.read(_BYTES_MAX).split(b"\n")[:-1]  # what follows the last newline was cut short
        entries = [json.loads(line) for line in lines]
        if not entries or entries[0].get("kind") != _KIND or entries[0].get("version") != VERSION:
            raise ValueError("it does not begin as one")
        return Book(path, entries[0], _joined(entries[1:]))
    except OSError as error:
        raise DoctorFileError(f"{path} cannot be read: {error.strerror or error}", hint=_HINT) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DoctorFileError(f"{path} is no undo file of queen doctor: {error}", hint=_HINT) from error


def _refuse_of_others(path: Path, status: os.stat_result) -> None:
    """What stands in the file is run: nobody else may have written it."""
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise DoctorFileError(
            f"{path} belongs to another user, or others may write it: what stands in it would be run",
            hint=f"look into it; when it is yours: chmod 600 {path}, as its owner",
        )


def _joined(lines: list[dict[str, Any]]) -> list[Entry]:
    ended = {line["n"]: bool(line["ok"]) for line in lines if line["what"] == "after"}
    tried = {line["n"]: line["what"] for line in lines if line["what"] in ("undoing", "undone", "kept")}
    return [
        Entry(
            number=line["n"],
            check=line["check"],
            object=line["object"],
            statement=line["statement"],
            undo=tuple(line["undo"]),
            invalid_before=None if line["invalid_before"] is None else tuple(line["invalid_before"]),
            ended=ended.get(line["n"]),
            undone=tried.get(line["n"]) == "undone",
            begun=tried.get(line["n"]) == "undoing",
        )
        for line in lines
        if line["what"] == "before"
    ]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritten(path: Path, error: OSError) -> DoctorFileError:
    return DoctorFileError(
        f"the undo file {path} cannot be written: {error.strerror or error}",
        hint="nothing further was changed; free the disk, or name another place with --data-dir",
    )


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
