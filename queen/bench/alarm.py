"""Wakes the event loop at a given nanosecond, without spinning: timers of event loops are only exact to a millisecond.

Linux has timers as files (timerfd); Python 3.11 has no name for them, so they are called through ctypes.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable

_CLOCK_MONOTONIC, _ABSOLUTE = 1, 1
_FLAGS = 0o4000 | 0o2000000  # not blocking, closed on exec


class _Spec(ctypes.Structure):
    _fields_ = [
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("at_s", ctypes.c_long),
        ("at_ns", ctypes.c_long),
    ]


class Alarm:
    """Calls `ring` once for each `set`. Away from Linux it is as exact as the loop's own timers."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._spec = _Spec()
        self._file = -1
        self._timer: asyncio.TimerHandle | None = None
        if sys.platform == "linux":
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._file = self._libc.timerfd_create(_CLOCK_MONOTONIC, _FLAGS)
        if self._file >= 0:
            self._loop.add_reader(self._file, self._on_file)

    def set(self, at_ns: int) -> None:
        """Ring at this time of `perf_counter_ns`, or at once when it has passed. Replaces what was set before."""
        if self._file < 0:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(max(0.0, (at_ns - time.perf_counter_ns()) / 1e9), self._ring)
            return
        self._spec.at_s, self._spec.at_ns = divmod(max(1, at_ns), 10**9)
        self._libc.timerfd_settime(self._file, _ABSOLUTE, ctypes.byref(self._spec), None)

    def _on_file(self) -> None:
        try:
            os.read(self._file, 8)
        except BlockingIOError:
            return
        self._ring()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._file >= 0:
            self._loop.remove_reader(self._file)
            os.close(self._file)
            self._file = -1
