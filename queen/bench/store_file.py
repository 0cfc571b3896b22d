"""Result files: how a result gets onto the disk whole or not at all, and what is said of a file that is none.

Knows the versions that this Queen reads. Knows nothing of what a result says.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from queen.bench.result import SCHEMA_VERSION, Campaign, Result
from queen.errors import ResultFileError, ResultNotWritten

FILE_BYTES_MAX: Final = 200_000_000
"""A larger file was named by mistake: six hours of a run take a tenth of it."""

_RUN: Final = "run"
_CAMPAIGNS: Final = ("search", "sweep", "ab")


def write(result: Result | Campaign, path: Path) -> None:
    """Store a result as JSON. Raises ResultNotWritten; then the file that was there before is as it was."""
    write_text(encode(result), path)


def encode(result: Result | Campaign | Sequence[Result | Campaign]) -> str:
    """The text of a result file; several become a list, which is for other programs and no result file."""
    return msgspec.json.format(msgspec.json.encode(result), indent=1).decode() + "\n"


def write_text(text: str, path: Path) -> None:
    """Store a text whole or not at all: written beside, flushed to the disk, then renamed. Raises ResultNotWritten."""
    beside: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        beside = Path(name)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.chmod(0o644)
        beside.replace(path)
    except OSError as error:
        if beside is not None:
            beside.unlink(missing_ok=True)
        raise ResultNotWritten(f"cannot write {path}: {_why(error)}", hint=_remedy(error)) from error


def read(path: Path) -> Result | Campaign:
    """The result in a file; whether it is `partial` it says itself. Raises ResultFileError, with what to do."""
    raw = _load(path)
    try:
        head = msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise ResultFileError(f"{path} is not JSON, or its end is missing: {error}", hint=_NAME_ONE) from error
    except UnicodeDecodeError as error:
        raise ResultFileError(f"{path} is not JSON: not UTF-8 text", hint=_NAME_ONE) from error
    kind = _kind(head, path)
    try:
        return msgspec.convert(head, Result) if kind == _RUN else msgspec.convert(head, Campaign)
    except msgspec.ValidationError as error:
        raise ResultFileError(f"{path} is a damaged result: {error}", hint=_NAME_ONE) from error


def read_run(path: Path) -> Result:
    """The result of one run. Raises ResultFileError, also for a search, sweep or interleaved comparison."""
    result = read(path)
    if isinstance(result, Campaign):
        raise ResultFileError(f"{path} is a {result.kind} with several runs, not the result of one run")
    return result


_NAME_ONE: Final = "name a result.json that queen bench wrote"


def _load(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise ResultFileError(f"{path} is a folder", hint=f"name the file: {path / 'result.json'}")
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ResultFileError(f"cannot read {path}: {_why(error)}", hint=_NAME_ONE) from error
    if len(raw) > FILE_BYTES_MAX:
        raise ResultFileError(f"{path} is larger than {FILE_BYTES_MAX // 1_000_000} MB", hint=_NAME_ONE)
    if not raw.strip():
        raise ResultFileError(f"{path} is empty", hint=_NAME_ONE)
    return raw


def _kind(head: object, path: Path) -> str:
    """The kind of result, after its version was found to be ours."""
    if not isinstance(head, Mapping) or head.get("kind") not in (_RUN, *_CAMPAIGNS):
        raise ResultFileError(f"{path} is JSON, but not a result of queen bench", hint=_NAME_ONE)
    version = head.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ResultFileError(_other_version(path, version), hint=_version_hint(version, head.get("queen_version")))
    return str(head["kind"])


def _other_version(path: Path, version: object) -> str:
    return f"{path} has result schema {version}, this Queen reads {SCHEMA_VERSION}"


def _version_hint(version: object, wrote: object) -> str:
    newer = isinstance(version, int) and version > SCHEMA_VERSION
    by = f"Queen {wrote}" if isinstance(wrote, str) else "the Queen that wrote it"
    return f"upgrade Queen, or read it with {by}" if newer else f"read it with {by}, or run the bench again"


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free some space, or name another folder with --output"
    return "name a folder that can be written with --output"
