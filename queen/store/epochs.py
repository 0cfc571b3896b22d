"""The upkeep of epochs on PostgreSQL: one short method per function. It decides nothing."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from queen.store.base import EpochRow, Life, Page
from queen.store.pool import Pool

PARTITIONS_PER_PAGE = 200
PARTITIONS_RECORDED_PER_PAGE = 2_000
MESSAGES_COPIED_PER_STEP = 2_000


class EpochStore:
    """Implements `queen.store.base.EpochUpkeep`."""

    def __init__(self, pool: Pool, schema: str, lock_ms: int) -> None:
        """`lock_ms`: longest wait for a lock that makes pushes wait too."""
        self._pool = pool
        self._schema = schema
        self._lock_ms = lock_ms

    async def look(self) -> list[EpochRow]:
        return [EpochRow(*row) for row in await self._call("look_at_epochs")]

    async def rotate(self, newest: int) -> int | None:
        number = (await self._call("rotate", newest, self._lock_ms))[0][0]
        return int(number) if number is not None else None

    async def record(self, epoch: int, after: int) -> int | None:
        last = (await self._call("record_spans", epoch, after, PARTITIONS_RECORDED_PER_PAGE))[0][0]
        return int(last) if last is not None else None

    async def expire(self, queue_id: int, after: int) -> Page:
        return Page(*(await self._call("expire", queue_id, after, PARTITIONS_PER_PAGE, self._lock_ms))[0])

    async def life(self, epoch: int) -> Life:
        return Life(*(await self._call("epoch_life", epoch))[0])

    async def empty(self, epoch: int) -> bool:
        return bool((await self._call("empty_epoch", epoch, self._lock_ms))[0][0])

    async def drop(self, epoch: int) -> bool:
        return bool((await self._call("drop_epoch", epoch, self._lock_ms))[0][0])

    async def copy(self, epoch: int) -> int | None:
        count = (await self._call("copy_needed", epoch, MESSAGES_COPIED_PER_STEP, self._lock_ms))[0][0]
        return int(count) if count is not None else None

    async def swap(self, epoch: int) -> bool:
        return bool((await self._call("swap_epoch", epoch, self._lock_ms))[0][0])

    async def drop_leftovers(self) -> int | None:
        count = (await self._call("drop_leftovers", self._lock_ms))[0][0]
        return int(count) if count is not None else None

    async def _call(self, function: str, *arguments: int) -> list[tuple[Any, ...]]:
        statement = sql.SQL("select * from {}({})").format(
            sql.Identifier(self._schema, function), sql.SQL(", ").join([sql.Placeholder()] * len(arguments))
        )
        async with self._pool.connection(function) as connection:
            return await (await connection.execute(statement, arguments)).fetchall()
