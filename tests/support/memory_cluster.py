"""What servers tell one another, in memory: the part of the in-memory store that several engines in a test share.

Whoever is in `ears` gets every notification at once, as PostgreSQL delivers it after the commit.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from queen.store.cluster import Beat, Change
from tests.support.gates import Trouble
from tests.support.memory_rows import START_US


class MemoryCluster:
    """Mixed into the in-memory store: its clock, and what several engines share."""

    def __init__(self) -> None:
        self.trouble = Trouble()
        self._shift_us = 0
        self._looks = 0
        self.instances: dict[uuid.UUID, int] = {}
        self.leader: tuple[uuid.UUID | None, int] = (None, 0)
        self.changes: list[tuple[int, Change]] = []
        self.ears: list[Callable[[str], None]] = []
        self.pause: tuple[bool, int] = (False, 0)

    def now(self) -> int:
        """The time of the database, µs since 2000; never the same twice."""
        self._looks += 1
        return START_US + int(asyncio.get_running_loop().time() * 1_000_000) + self._shift_us + self._looks

    def advance(self, seconds: float) -> None:
        """Move the clock of the database alone."""
        self._shift_us += int(seconds * 1_000_000)

    async def beat(self, instance_id: uuid.UUID, lease_ms: int) -> Beat:
        await self.trouble.before("beat")
        now, lease_us = self.now(), lease_ms * 1000
        fresh = self.instances.get(instance_id, -lease_us) < now - lease_us
        self.instances[instance_id] = now
        if self.leader[0] == instance_id or self.leader[1] < now:
            self.leader = (instance_id, now + lease_us)
        live = [one for one, seen_us in self.instances.items() if seen_us >= now - lease_us and one != instance_id]
        answer = Beat(self.leader[0] == instance_id, len(live), fresh, *self.pause)
        await self.trouble.after("beat")
        return answer

    async def leave(self, instance_id: uuid.UUID) -> None:
        await self.trouble.before("leave")
        self.instances.pop(instance_id, None)
        if self.leader[0] == instance_id:
            self.leader = (None, 0)

    async def announce(self, instance_id: uuid.UUID, number: int, news: str, payload: str) -> None:
        await self.trouble.before("announce")
        assert len(payload.encode()) < 8000, "a notification would be refused"
        self.changes.append((self.now(), Change(instance_id, number, news)))
        for ear in list(self.ears):
            ear(payload)
        await self.trouble.after("announce")

    async def recent_changes(self, instance_id: uuid.UUID, within_ms: int, limit: int) -> list[Change]:
        await self.trouble.before("recent_changes")
        since_us = self.now() - within_ms * 1000
        found = [change for at_us, change in self.changes if at_us > since_us and change.instance_id != instance_id]
        return found[:limit]

    async def trim_changes(self) -> bool:
        await self.trouble.before("trim_changes")
        kept = [pair for pair in self.changes if pair[0] > self.now() - 30_000_000]
        forgot, self.changes = len(kept) < len(self.changes), kept
        return forgot
