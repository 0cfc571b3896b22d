"""Up to which message of a source is everything acknowledged? Answers may come in any order across lanes.

Invariants
- Only the unbroken run of acknowledged messages from the start counts: `position` never passes a message that was
  refused or not answered.
- Memory is bounded: one byte for each message after the first open one, `AHEAD_MAX` at most; then the feeder waits.
Knows neither files nor the server.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from queen.cli.traffic.budget import Pulse
from queen.cli.traffic.place import Place

AHEAD_MAX = 1_000_000
"""Most messages that may be taken after the first one that is not acknowledged."""


class Settled:
    """Numbers the messages of a source as they are taken, and follows which of them are acknowledged."""

    def __init__(self, lanes: int, first: Place, skip: int = 0, ahead_max: int = AHEAD_MAX) -> None:
        """The source begins `skip` messages after the place `first`."""
        self._ahead_max = ahead_max
        self._taken = 0
        self._in_lanes: list[deque[int]] = [deque() for _ in range(lanes)]
        # (how many messages were taken before it, place), oldest first; the first one is at or before `acknowledged`.
        self._marks: deque[tuple[int, Place]] = deque([(-skip, first)])
        self._answered = bytearray()
        self.acknowledged = 0
        self._broken = False
        self._moved = Pulse()

    def note(self, place: Place) -> None:
        """All messages taken so far come before `place`."""
        self._marks.append((self._taken, place))
        self._forget()

    def take(self, lane: int) -> None:
        """The next message of the source went into this lane, behind those that are there."""
        self._in_lanes[lane].append(self._taken)
        self._taken += 1
        if not self._broken:
            self._answered.append(0)

    def answer(self, lane: int, stored: Iterable[bool]) -> None:
        """The oldest messages of a lane were answered: does the server have them?"""
        numbers = self._in_lanes[lane]
        for is_stored in stored:
            place = numbers.popleft() - self.acknowledged
            if not is_stored:
                # Nothing after it can count any more, so there is nothing to remember about what is still to come.
                self._broken = True
            elif place < len(self._answered):
                self._answered[place] = 1
        self._advance()

    def abandon(self, lane: int) -> None:
        """What waits in a lane is not sent any more."""
        self._broken = self._broken or bool(self._in_lanes[lane])
        self._in_lanes[lane].clear()

    async def room(self) -> None:
        """Waits while too many messages were taken after the first open one."""
        while not self._broken and len(self._answered) >= self._ahead_max:
            await self._moved.wait()

    def position(self) -> tuple[Place, int]:
        """The last place before the first open message, and how many messages after that place are acknowledged."""
        taken, place = self._marks[0]
        return place, self.acknowledged - taken

    def _advance(self) -> None:
        first_open = self._answered.find(0)
        done = len(self._answered) if first_open < 0 else first_open
        del self._answered[:done]
        self.acknowledged += done
        self._forget()
        self._moved.fire()

    def _forget(self) -> None:
        while len(self._marks) > 1 and self._marks[1][0] <= self.acknowledged:
            self._marks.popleft()
