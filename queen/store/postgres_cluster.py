"""The calls of `queen.store.cluster` on PostgreSQL, as a part of the store."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from queen import __version__
from queen.store.cluster import Beat, Change


class PostgresCluster:
    """Mixed into the store that has `_call` and `_fetch`."""

    _pool_size_max = 0

    def _call(
        self, function: str, arguments: int, verb: str = "select * from", casts: Sequence[str] = (), tail: str = ""
    ) -> bytes:
        raise NotImplementedError

    async def _fetch(self, statement: bytes, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        raise NotImplementedError

    def _prepare_cluster(self, pool_size_max: int) -> None:
        """Make the texts of the calls once."""
        self._pool_size_max = pool_size_max
        self._beat = self._call("beat", 4, casts=("uuid", "text", "integer", "bigint"))
        self._leave = self._call("leave", 1, "select", casts=("uuid",))
        self._announce = self._call("announce", 4, "select", casts=("uuid", "bigint", "text", "text"))
        self._recent_changes = self._call("recent_changes", 3, casts=("uuid", "bigint", "integer"))
        self._trim_changes = self._call("trim_changes", 0, "select")

    async def beat(self, instance_id: uuid.UUID, lease_ms: int) -> Beat:
        rows = await self._fetch(self._beat, (instance_id, __version__, self._pool_size_max, lease_ms))
        return Beat(*rows[0])

    async def leave(self, instance_id: uuid.UUID) -> None:
        await self._fetch(self._leave, (instance_id,))

    async def announce(self, instance_id: uuid.UUID, number: int, news: str, payload: str) -> None:
        await self._fetch(self._announce, (instance_id, number, news, payload))

    async def recent_changes(self, instance_id: uuid.UUID, within_ms: int, limit: int) -> list[Change]:
        rows = await self._fetch(self._recent_changes, (instance_id, within_ms, limit))
        return [Change(*row) for row in rows]

    async def trim_changes(self) -> bool:
        rows = await self._fetch(self._trim_changes, ())
        return bool(rows[0][0])
