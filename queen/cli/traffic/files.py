"""The input files of a producer: checked before anything is sent, then read one after the other."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import AsyncIterator, Sequence

from queen.cli.traffic.lines import LineOptions, line_messages
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


async def file_messages(names: Sequence[str], options: LineOptions) -> AsyncIterator[Chunk]:
    """The messages of all files in order. Each file has its own format, header and line numbers."""
    for name in names:
        descriptor = sys.stdin.fileno() if name == STDIN else _open(name)
        try:
            async for chunk in line_messages(descriptor, "standard input" if name == STDIN else name, options):
                yield chunk
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
