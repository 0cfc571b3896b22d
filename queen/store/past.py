"""What a server asks of the store to keep for days: what calls cost by the hour, and when servers started and ended.

Apart from `Store`: the message plane has no use for it, and a server without such a store keeps nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from queen.store.activity import Place


class Cost(NamedTuple):
    """What the calls of one function cost, since some time: `total_ms` and `blocks` of all of them."""

    name: str
    calls: int
    total_ms: float
    blocks: float


class Baseline(NamedTuple):
    """What a call cost in earlier hours: medians over the hours, and the best one; see `statement_baselines.sql`."""

    name: str
    hours: int
    calls: int
    mean_ms: float
    best_ms: float
    blocks: float
    since: datetime


class Start(NamedTuple):
    """A start of a server. Neither `ended_at` nor `runs`: it was killed, or ended without a database."""

    instance_id: uuid.UUID
    started_at: datetime
    ended_at: datetime | None
    hostname: str
    port: int
    worker: int
    version: str
    runs: bool


class Costs(Protocol):
    """Each method is one round trip. Raises what `Store` raises."""

    async def statement_totals(self) -> list[Cost]:
        """What PostgreSQL counted since its statistics were reset; nothing where it does not count statements."""

    async def record_statements(self, costs: Sequence[Cost]) -> None:
        """Add these to the hour that runs."""


class Starts(Protocol):
    """Each method is one round trip. Raises what `Store` raises."""

    async def record_start(self, instance_id: uuid.UUID, place: Place) -> None:
        """A server serves; once however often it is said."""

    async def record_end(self, instance_id: uuid.UUID) -> None:
        """It ends in an orderly way."""
