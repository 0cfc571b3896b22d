"""What servers of one database tell one another: the calls as a protocol, and their answers.

Part of `Store`; apart from it because the message plane has no use for it. It decides nothing.
"""

from __future__ import annotations

import uuid
from typing import NamedTuple, Protocol


class Beat(NamedTuple):
    """The answer to a sign of life: does this server lead, how many others run, was it unknown or given up before?
    And do pops pause, as of which change of that switch?"""

    leading: bool
    peers: int
    fresh: bool
    pops_paused: bool = False
    pause_version: int = 0


class Change(NamedTuple):
    """One announcement of another server. Numbers of one server ascend in the order of its commits."""

    instance_id: uuid.UUID
    number: int
    news: str


class ClusterStore(Protocol):
    """Every method is one round trip. Raises like `Store`."""

    async def beat(self, instance_id: uuid.UUID, lease_ms: int) -> Beat:
        """Say that this server runs; lead, if nobody does. Both for `lease_ms` by the clock of the database."""

    async def leave(self, instance_id: uuid.UUID) -> None:
        """This server stops."""

    async def announce(self, instance_id: uuid.UUID, number: int, news: str, payload: str) -> None:
        """Write `news` down for those that read, and send `payload` (less than 8,000 bytes) to those that listen."""

    async def recent_changes(self, instance_id: uuid.UUID, within_ms: int, limit: int) -> list[Change]:
        """What others announced in the last `within_ms`, the oldest first; kept for 15 seconds at least."""

    async def trim_changes(self) -> bool:
        """Forget old announcements. True when there were any to forget."""
