"""What the engine asks of the store to keep numbers of queues and groups fresh: one call, page by page."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Step(NamedTuple):
    """One page of the walk over all partitions; a `queue_id` of None: the walk is through. See `refresh_stats.sql`."""

    queue_id: int | None
    after: int | None
    queues: int
    partitions: int
    carry: str | None


class KeptNumbers(Protocol):
    """Each call is a short transaction of its own. Walks that go on at once are safe. Raises what `Store` raises."""

    async def step(self, queue_id: int, after: int, carry: str | None) -> Step:
        """Count the partitions behind this one of this queue; the first call takes 0, 0 and None."""
