"""What the store in memory has none of: connections, traces. Part of `memory_store`."""

from __future__ import annotations

from queen.measure.buckets import Buckets


class NoPool:
    """The side of `queen.store.base.Store` that is about these."""

    @property
    def durability(self) -> str:
        return "committed"

    async def renew(self) -> None:
        pass

    @property
    def waits(self) -> Buckets:
        return Buckets()

    @property
    def holds(self) -> Buckets:
        return Buckets()

    def stats(self) -> dict[str, int]:
        return {"size": 1, "idle": 1, "waiting": 0, "away": 0, "peak": 0}

    async def forget_traces(self, older_than_ms: int, limit: int) -> int:
        return 0
