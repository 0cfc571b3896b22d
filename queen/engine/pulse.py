"""How late the event loop is: a timer that should go off ten times a second, and by how much it missed that.

Everything of a server process runs on this loop. When it is late, each request is; nothing else shows it as directly.
"""

from __future__ import annotations

import asyncio

_BEAT_S = 0.1
_SHOWN_FOR_BEATS = 10


class Pulse:
    """`lag_ms` is the largest lag of the last whole second, 0 before there is one."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._worst_s = 0.0
        self._beats = 0
        self.lag_ms = 0.0

    def start(self) -> None:
        """Begin to beat."""
        self._due = self._loop.time() + _BEAT_S
        self._timer = self._loop.call_at(self._due, self._beat)

    def stop(self) -> None:
        """Beat no more. Harmless when repeated."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat(self) -> None:
        self._worst_s = max(self._worst_s, self._loop.time() - self._due)
        self._beats += 1
        if self._beats == _SHOWN_FOR_BEATS:
            self.lag_ms, self._worst_s, self._beats = self._worst_s * 1000, 0.0, 0
        self.start()
