"""The input files of a producer: checked before anything is sent, then read one after the other."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from queen.cli.traffic.lines import LineOptions, line_messages
from queen.cli.traffic.place import Note, Place, Reading
from queen.cli.traffic.source import Chunk
from queen.errors import SettingsError

STDIN = "-"


def check_files(names: Sequence[str]) -> None:
    """Raises SettingsError when a file cannot be read, or standard input is named twice."""
    if list(names).count(STDIN) > 1:
        raise SettingsError("standard input can be read once only")
    for name in names:
        if name != STDIN and not _is_pipe(name):
            os.close(_open(name))


def bytes_total(names: Sequence[str]) -> int | None:
    """The size of all files together; None when one of them is no regular file."""
    found = [os.fstat(sys.stdin.fileno()) if name == STDIN else os.stat(name) for name in names]
    return sum(one.st_size for one in found) if all(stat.S_ISREG(one.st_mode) for one in found) else None


def bytes_before(names: Sequence[str], place: Place) -> int:
    """How many bytes of the files come before a place."""
    return sum(os.stat(name).st_size for name in names[: place.file]) + place.offset


async def file_messages(
    names: Sequence[str],
    options: LineOptions,
    reading: Reading | None = None,
    *,
    start: Place = Place(),
    skip: int = 0,
    note: Note | None = None,
) -> AsyncIterator[Chunk]:
    """The messages of all files in order, without the first `skip` after `start`. Each file has its own format, header
    and line numbers. `reading` is kept at the bytes read; `note` hears of the places between chunks."""
    reading, left_out = reading or Reading(), skip
    for index, name in enumerate(names[start.file :], start.file):
        descriptor = sys.stdin.fileno() if name == STDIN else _open(name)
        first = start if index == start.file else Place(index)
        try:
            if first.offset:
                os.lseek(descriptor, first.offset, os.SEEK_SET)
            shown = "standard input" if name == STDIN else name
            if note is not None and index > start.file and not left_out:
                note(first)
            async for piece in line_messages(descriptor, shown, options, first, reading):
                skipped = min(left_out, len(piece.chunk))
                left_out -= skipped
                if skipped < len(piece.chunk):
                    yield piece.chunk[skipped:] if skipped else piece.chunk
                # While messages are left out, no place says what was handed out.
                if note is not None and piece.place is not None and not left_out:
                    note(replace(piece.place, file=index))
        finally:
            if name != STDIN:
                os.close(descriptor)


def _is_pipe(name: str) -> bool:
    """A named pipe is opened once only: its writer would take a closed probe for the end."""
    try:
        return stat.S_ISFIFO(os.stat(name).st_mode)
    except OSError:
        return False


def _open(name: str) -> int:
    try:
        descriptor = os.open(name, os.O_RDONLY)
    except OSError as error:
        raise SettingsError(f"cannot read {name}: {(error.strerror or str(error)).lower()}") from error
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SettingsError(f"cannot read {name}: it is a directory")
    return descriptor
