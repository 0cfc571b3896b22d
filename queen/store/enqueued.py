"""Messages that callers stored in their own transactions, on PostgreSQL: one method. It decides nothing."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from psycopg import sql

from queen.store.pool import Pool


class Seen(NamedTuple):
    """What the latest complete look has seen: everything but these transactions, by their numbers."""

    before: int
    running: tuple[int, ...]


class Moved(NamedTuple):
    """What one call did; see `place_enqueued.sql`. A `placed` of None: somebody else is at it."""

    partition_ids: list[int]
    heads: list[int]
    placed: int | None
    duplicates: int | None
    due_ms: int | None
    blocked: list[tuple[str, str]]
    more: bool
    seen: Seen


NOTHING_SEEN = Seen(0, ())


class EnqueuedCalls(Protocol):
    """One round trip and one commit. Raises what `queen.store.base.Store` raises."""

    async def place_enqueued(self, limit: int, bytes_max: int, seen: Seen, skip: list[tuple[str, str]]) -> Moved:
        """Place at most `limit` messages of committed transactions that `seen` leaves open, but for some partitions."""


class EnqueuedStore:
    """Implements `EnqueuedCalls`."""

    def __init__(self, pool: Pool, schema: str) -> None:
        self._pool = pool
        self._statement = sql.SQL(
            "select * from {}(%s::integer, %s::bigint, %s::bigint, %s::bigint[], %s::text[], %s::text[])"
        ).format(sql.Identifier(schema, "place_enqueued"))

    async def place_enqueued(self, limit: int, bytes_max: int, seen: Seen, skip: list[tuple[str, str]]) -> Moved:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                self._statement,
                (
                    limit,
                    bytes_max,
                    seen.before,
                    list(seen.running),
                    [queue for queue, _ in skip],
                    [name for _, name in skip],
                ),
            )
            row: Any = await cursor.fetchone()
        assert row is not None, "the function returns one row"
        return _moved(*row)


def _moved(
    partition_ids: list[int],
    heads: list[int],
    placed: int | None,
    duplicates: int | None,
    due_ms: int | None,
    blocked_queues: list[str],
    blocked_partitions: list[str],
    more: bool,
    before: int | None,
    running: list[int] | None,
) -> Moved:
    blocked = list(zip(blocked_queues, blocked_partitions, strict=True))
    seen = Seen(before or 0, tuple(running or ()))
    return Moved(list(partition_ids), list(heads), placed, duplicates, due_ms, blocked, more, seen)
