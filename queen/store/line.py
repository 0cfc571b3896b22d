"""The line for a connection: who may use one, who waits, in the order of arrival, and for how long.

A place is the right to use one connection. The line is bounded, and whoever waits in it can be sent away at once when
the database turns out to be away. Knows nothing of connections.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict


class Expired(Exception):
    """No place became free in time."""


class Full(Exception):
    """Too many wait already."""


class Dismissed(Exception):
    """Whoever waited was sent away."""


class Line:
    """A bounded line in front of a number of places."""

    def __init__(self, places: int, waiting_max: int) -> None:
        self._free = places
        self._waiting_max = waiting_max
        self._waiting: OrderedDict[asyncio.Future[type[Exception] | None], None] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def free(self) -> int:
        """Places that nobody uses."""
        return self._free

    def enter(self) -> bool:
        """Take a place if one is free; one is free only when nobody waits."""
        if self._free:
            self._free -= 1
            return True
        return False

    async def wait(self, timeout_s: float) -> None:
        """Wait for a place behind all who wait already; if cancelled, take none. Raises Full, Expired, Dismissed."""
        if len(self._waiting) >= self._waiting_max:
            raise Full
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[type[Exception] | None] = loop.create_future()
        self._waiting[turn] = None
        timer = loop.call_later(timeout_s, _tell, turn, Expired)
        try:
            refusal = await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result() is None:
                self.leave()  # The place came in the same moment as the cancellation.
            raise
        finally:
            timer.cancel()
            self._waiting.pop(turn, None)
        if refusal is not None:
            raise refusal

    def leave(self) -> None:
        """Give a place back: the first who still waits gets it."""
        while self._waiting:
            turn, _ = self._waiting.popitem(last=False)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def dismiss(self) -> None:
        """Send all away who wait."""
        while self._waiting:
            _tell(self._waiting.popitem(last=False)[0], Dismissed)


def _tell(turn: asyncio.Future[type[Exception] | None], refusal: type[Exception]) -> None:
    if not turn.done():
        turn.set_result(refusal)
