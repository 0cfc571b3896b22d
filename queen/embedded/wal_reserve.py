"""Write-ahead log files made before the first start, so that no commit has to wait while one is made.

PostgreSQL writes and syncs 16 MiB of zeros whenever its log needs a file that is not there, with every commit waiting.
Once a cluster has seen a checkpoint or two it renames old files instead (`min_wal_size`), and never notices again; a
new one under load stalls at each file. A file that lies ready under the right name is taken as it is, in every version
since 9.0: that is what renaming old ones rests on too.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from queen.embedded.account import Account

SEGMENT_BYTES = 16 << 20
"""What initdb makes unless told otherwise, and we do not tell it."""

_SHARE_OF_DISK = 20
"""The reserve takes at most one part in so many of the free space: a small disk is needed for data."""

_SEGMENTS_PER_LOG = (1 << 32) // SEGMENT_BYTES
_NAME = re.compile(r"[0-9A-F]{24}")
_CHUNK = bytes(1 << 20)


def reserve_wal(data: Path, account: Account, reserve_bytes: int) -> int:
    """Make that much of log behind what initdb left, and tell how many files it became.

    For a data directory that no server has opened yet. Fewer files, or none, where the disk has little room.
    Raises OSError.
    """
    folder = data / "pg_wal"
    last = max(path.name for path in folder.iterdir() if _NAME.fullmatch(path.name))
    room = shutil.disk_usage(folder).free // _SHARE_OF_DISK
    count = min(reserve_bytes, room) // SEGMENT_BYTES
    for number in range(1, count + 1):
        _make_segment(folder / _later(last, number), account)
    return count


def _make_segment(path: Path, account: Account) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        if account.switch:
            os.fchown(descriptor, account.uid, account.gid)
        for _ in range(SEGMENT_BYTES // len(_CHUNK)):  # real zeros: a hole would make each later sync a dear one
            _write_all(descriptor)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int) -> None:
    left = memoryview(_CHUNK)
    while left:
        left = left[os.write(descriptor, left) :]


def _later(name: str, number: int) -> str:
    """The name of the file that many places after this one: timeline, log, segment, eight digits each."""
    timeline, log, segment = (int(name[at : at + 8], 16) for at in (0, 8, 16))
    place = log * _SEGMENTS_PER_LOG + segment + number
    return f"{timeline:08X}{place // _SEGMENTS_PER_LOG:08X}{place % _SEGMENTS_PER_LOG:08X}"
