"""What servers did by the minute: the counts, and what the engine asks of a store that keeps them.

Apart from `Store`: the message plane has no use for it, and a server without such a store counts in memory only.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

ALL_QUEUES = 0
"""The id that stands for all queues together; no queue has it."""


class Counts(NamedTuple):
    """What was done with one queue, or all of them, in some time. The names are the columns of `activity`."""

    push_requests: int = 0
    push_messages: int = 0
    pop_requests: int = 0
    pop_messages: int = 0
    pop_empty: int = 0
    ack_requests: int = 0
    ack_success: int = 0
    ack_failed: int = 0
    ack_rejected: int = 0
    transactions: int = 0
    dead_letters: int = 0
    lag_count: int = 0
    parked: int = 0
    messages_hidden: int = 0
    epochs_dropped: int = 0
    lag_ms_sum: float = 0.0
    lag_ms_max: float = 0.0

    def plus(self, other: Counts) -> Counts:
        """Both together; of the longest lags the longer one."""
        sums = [a + b for a, b in zip(self[:-1], other[:-1], strict=True)]
        return Counts._make([*sums, max(self.lag_ms_max, other.lag_ms_max)])


class Place(NamedTuple):
    """Where a process serves. `worker` is 0 for the only process of a server; without a port it does not serve."""

    hostname: str
    port: int
    worker: int


@dataclass(slots=True)
class Minute:
    """What one process did in the minute that began at `bucket` (seconds since 1970)."""

    bucket: int
    rows: dict[int, Counts]
    """By queue id; ALL_QUEUES has the sums."""
    metrics: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    """How the process was: part → name → avg, min, max, last."""


class SeriesRow(NamedTuple):
    """One queue in one bucket; see `activity_series.sql`."""

    queue_id: int
    bucket: datetime
    counts: Counts


class ActivityStore(Protocol):
    """Each method is one round trip. Raises what `Store` raises."""

    async def record(self, instance_id: uuid.UUID, place: Place, minute: Minute) -> float:
        """Write a minute down, once however often it is said; the time of the database, in seconds since 1970."""

    async def roll_up(self, minutes_kept_ms: int, hours_kept_ms: int, limit: int) -> int:
        """Add old minutes to their hours and forget old hours; how many rows went, a multiple of what is left to do."""


def row_of(queue_id: int, counts: Counts) -> Mapping[str, Any]:
    """A row of `activity` as JSON names it."""
    return {"queue_id": queue_id, **counts._asdict()}
