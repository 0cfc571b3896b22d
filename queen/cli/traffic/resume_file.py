"""The state file of `queen produce --resume`: read, judged against the files it speaks of, written whole or not at all.

It says up to which place everything is acknowledged. Nothing here knows how that is found out.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from queen.cli.traffic.place import Place
from queen.errors import ResumeNotWritten, ResumeRefused, SettingsError

KIND = "queen produce --resume"
_HEAD_BYTES = 4096
_STATE_BYTES_MAX = 16 * 1024 * 1024
_ANEW = "To begin anew, remove the state file; ids that are the same in every run keep records from being stored twice."


class FileMark(msgspec.Struct, frozen=True):
    """What a file is known by: its path, its inode, and what its first bytes were."""

    path: str
    device: int
    inode: int
    bytes: int
    mtime_ns: int
    head_bytes: int
    head: str


class State(msgspec.Struct, frozen=True):
    """One state file. `skip` messages after the place are acknowledged as well; `messages` are all, over all runs."""

    kind: str
    schema_version: int
    plan: dict[str, str | None]
    files: list[FileMark]
    place: Place
    skip: int
    messages: int


class ResumeFile:
    """The state of one reload: `place`, `skip` and `messages` are where the last run left it."""

    def __init__(self, path: Path, names: Sequence[str], plan: Mapping[str, str | None]) -> None:
        """Raises SettingsError when a file is none or the state cannot be read, ResumeRefused when it is of another
        reload."""
        self.path = path
        self._plan = dict(plan)
        self._names = list(names)
        self._files = [_mark(name) for name in names]
        found = _read(path)
        if found is not None:
            self._judge(found)
        self.place = found.place if found else Place()
        self.skip = found.skip if found else 0
        self.messages = found.messages if found else 0

    def write(self, place: Place, skip: int, acknowledged: int) -> None:
        """Replace the state: `acknowledged` messages of this run. Raises ResumeNotWritten; then the old one stands."""
        state = State(KIND, 1, self._plan, self._files, place, skip, self.messages + acknowledged)
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            with beside.open("wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(state)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise ResumeNotWritten(f"cannot write {self.path}: {(error.strerror or str(error)).lower()}") from error

    def _judge(self, state: State) -> None:
        differing = sorted(name for name in self._plan if self._plan[name] != state.plan.get(name))
        if differing:
            raise ResumeRefused(f"{self.path} is of a run with another {', another '.join(differing)}", hint=_ANEW)
        if [mark.path for mark in state.files] != [mark.path for mark in self._files]:
            raise ResumeRefused(f"{self.path} is of a run with other files", hint=_ANEW)
        for index, (then, now) in enumerate(zip(state.files, self._files, strict=True)):
            begun = state.place.offset > 0 or state.skip > 0
            if index < state.place.file or (index == state.place.file and begun):
                change = _change(then, now, state.place.offset, may_grow=index == state.place.file)
                if change is not None:
                    raise ResumeRefused(f"{self._names[index]} {change} since {self.path} was written", hint=_ANEW)


def _change(then: FileMark, now: FileMark, offset: int, *, may_grow: bool) -> str | None:
    """What makes a file another one than it was. It may have grown at its end, as long as it is still being read."""
    if (then.device, then.inode) != (now.device, now.inode):
        return "was replaced by another file"
    if now.bytes < then.bytes:
        return "has shrunk"
    if _head(now.path, then.head_bytes) != then.head:
        return "has other first bytes"
    if now.bytes == then.bytes:
        return "was changed" if now.mtime_ns != then.mtime_ns else None
    if not may_grow:
        return "has grown after it was sent"
    with open(now.path, "rb") as file:
        file.seek(max(0, offset - 1))
        return "has got more text on a line that was sent" if offset and file.read(1) != b"\n" else None


def _mark(name: str) -> FileMark:
    path = os.path.realpath(name)
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise SettingsError(f"--resume needs regular files; {name} cannot be read again from a place")
        length = min(_HEAD_BYTES, found.st_size)
        head = _head(path, length)
    except OSError as error:
        raise SettingsError(f"cannot read {name}: {(error.strerror or str(error)).lower()}") from error
    return FileMark(path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, length, head)


def _head(path: str, length: int) -> str:
    with open(path, "rb") as file:
        return hashlib.blake2b(file.read(length), digest_size=16).hexdigest()


def _read(path: Path) -> State | None:
    """The state that is there; None when there is no file."""
    try:
        with path.open("rb") as file:
            text = file.read(_STATE_BYTES_MAX)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    try:
        state = msgspec.json.decode(text, type=State)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        state = None
    if state is None or state.kind != KIND or state.schema_version != 1 or min(state.skip, state.place.offset) < 0:
        raise ResumeRefused(f"{path} is no state of queen produce", hint="Name a file that is not there yet.")
    return state
