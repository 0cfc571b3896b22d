"""What a store tells of its connections, for the one that has none. Part of `memory_store`."""

from __future__ import annotations

from queen.measure.buckets import Buckets


class NoPool:
    """The side of `queen.store.base.Store` that is about connections."""

    @property
    def durability(self) -> str:
        return "committed"

    async def renew(self) -> None:
        pass

    @property
    def waits(self) -> Buckets:
        return Buckets()

    def stats(self) -> dict[str, int]:
        return {"size": 1, "idle": 1, "waiting": 0, "away": 0}
