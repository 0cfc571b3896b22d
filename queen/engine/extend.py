"""Extend: move the end of a lease. One call to the store each: extensions are rare, a few per lease at most."""

from __future__ import annotations

import uuid
from typing import NamedTuple

from queen import model
from queen.engine.leases import Leases
from queen.engine.stats import Stats
from queen.settings import EngineSettings
from queen.store.base import Store


class Extended(NamedTuple):
    """How many leases go by this id and were extended, and the earliest new end (µs since 2000-01-01 UTC)."""

    renewed: int
    until_us: int | None


class Extend:
    """The extend verb of the engine."""

    def __init__(self, store: Store, leases: Leases, stats: Stats, settings: EngineSettings) -> None:
        self._store = store
        self._leases = leases
        self._counters = stats.counters
        self._seconds_max = settings.lease_seconds_max

    async def extend(self, lease_id: str, seconds: int) -> Extended:
        """Extend every live lease under this id; an expired or unknown one stays as it is."""
        partition_id = model.lease_partition(lease_id)
        lease_bytes = _bytes(lease_id)
        if partition_id is None or lease_bytes is None:
            return Extended(0, None)
        lease_ms = min(max(seconds, 1), self._seconds_max) * 1000
        rows = await self._store.extend([lease_bytes], [partition_id], [lease_ms])
        if not rows:
            return Extended(0, None)
        self._leases.extended(lease_id, lease_ms)
        self._counters.leases_extended += len(rows)
        return Extended(len(rows), min(until for _, until in rows))


def _bytes(lease_id: str) -> bytes | None:
    """The 16 bytes of a lease id; None when the text is no UUID."""
    try:
        return uuid.UUID(lease_id).bytes
    except ValueError:
        return None
