"""What a disk takes to make a small write safe: the least that any commit costs. Writes a file of its own."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

import numpy as np

_BLOCK: Final = 8192


def fdatasync_times(folder: Path, seconds: float = 0.4) -> dict[str, float | None]:
    """Milliseconds of a write and fdatasync of 8 kB in a file of our own, which is removed. Takes `seconds`, making
    the file, and one more call; null where nothing can be written."""
    none: dict[str, float | None] = {"fdatasync_p50_ms": None, "fdatasync_p99_ms": None, "fdatasyncs": None}
    path = folder / f".queen-fdatasync-{os.getpid()}"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        return none
    times: list[float] = []
    try:
        os.write(handle, b"\0" * (_BLOCK * 64))
        os.fsync(handle)
        # On a busy disk the file alone may take longer than the whole time: one write is timed whatever the clock says.
        ends_at = time.perf_counter() + seconds
        while not times or time.perf_counter() < ends_at:
            began = time.perf_counter_ns()
            os.pwrite(handle, os.urandom(_BLOCK), _BLOCK * (len(times) % 64))
            getattr(os, "fdatasync", os.fsync)(handle)
            times.append((time.perf_counter_ns() - began) / 1e6)
    except OSError:
        return none
    finally:
        os.close(handle)
        path.unlink(missing_ok=True)
    p50, p99 = (round(float(value), 4) for value in np.percentile(times, [50, 99]))
    return {"fdatasync_p50_ms": p50, "fdatasync_p99_ms": p99, "fdatasyncs": float(len(times))}
