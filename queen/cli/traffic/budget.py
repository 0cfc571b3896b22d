"""A number of messages shared by several workers, so that together they take exactly that many."""

from __future__ import annotations

import asyncio


class Pulse:
    """Wakes everybody who waits at the moment it fires."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    async def wait(self) -> None:
        await self._event.wait()

    def fire(self) -> None:
        self._event.set()
        self._event = asyncio.Event()


class Budget:
    """`total` messages to hand out, or None for no bound. What was reserved but not used goes back."""

    def __init__(self, total: int | None) -> None:
        self._left = total
        self._reserved = 0
        self._settled = Pulse()

    async def reserve(self, most: int) -> int:
        """Up to `most`; waits while others hold all that is left; 0 when everything is used up."""
        if self._left is None:
            return most
        while self._left == 0 and self._reserved > 0:
            await self._settled.wait()
        amount = min(most, self._left)
        self._left -= amount
        self._reserved += amount
        return amount

    def settle(self, reserved: int, used: int) -> None:
        """Account for a reservation: `used` of it are gone, the rest is free again."""
        if self._left is None:
            return
        self._reserved -= reserved
        self._left += reserved - used
        self._settled.fire()
