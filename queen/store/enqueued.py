"""Messages that callers stored in their own transactions, on PostgreSQL: one method. It decides nothing."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from psycopg import sql
from psycopg.rows import namedtuple_row

from queen.store.pool import Pool


class Seen(NamedTuple):
    """What the latest whole look has seen: everything but these transactions, by their numbers."""

    before: int
    running: tuple[int, ...]


class Place(NamedTuple):
    """A message among those that wait."""

    xid: int
    number: int


class Moved(NamedTuple):
    """What one call did; see `place_enqueued.sql`. A `placed` of None: somebody else is at it.

    `more_behind`: there may be more, behind this message.
    """

    partition_ids: list[int]
    heads: list[int]
    placed: int | None
    duplicates: int | None
    due_ms: int | None
    blocked: list[tuple[str, str]]
    more_behind: Place | None
    seen: Seen


NOTHING_SEEN = Seen(0, ())
BEGINNING = Place(0, 0)


class EnqueuedCalls(Protocol):
    """One round trip and one commit. Raises what `queen.store.base.Store` raises."""

    async def place_enqueued(
        self, limit: int, bytes_max: int, seen: Seen, after: Place, skip: list[tuple[str, str]]
    ) -> Moved:
        """Place at most `limit` messages of committed transactions that `seen` leaves open, those behind `after`.

        Those of the partitions in `skip` are left.
        """


class EnqueuedStore:
    """Implements `EnqueuedCalls`."""

    def __init__(self, pool: Pool, schema: str) -> None:
        self._pool = pool
        casts = ("integer", "bigint", "bigint", "bigint[]", "bigint", "bigint", "text[]", "text[]")
        marks = sql.SQL(", ").join([sql.SQL("%s::{}").format(sql.SQL(cast)) for cast in casts])
        self._statement = sql.SQL("select * from {}({})").format(sql.Identifier(schema, "place_enqueued"), marks)

    async def place_enqueued(
        self, limit: int, bytes_max: int, seen: Seen, after: Place, skip: list[tuple[str, str]]
    ) -> Moved:
        queues, partitions = [queue for queue, _ in skip], [name for _, name in skip]
        parameters = (limit, bytes_max, seen.before, list(seen.running), *after, queues, partitions)
        async with self._pool.connection("place_enqueued") as connection:
            cursor = connection.cursor(row_factory=namedtuple_row)
            row: Any = await (await cursor.execute(self._statement, parameters)).fetchone()
        return Moved(
            row.partition_ids,
            row.heads,
            row.placed,
            row.duplicates,
            row.due_ms,
            list(zip(row.blocked_queues, row.blocked_partitions, strict=True)),
            Place(row.last_xid, row.last_number) if row.more else None,
            Seen(row.next_from or 0, tuple(row.next_again or ())),
        )
