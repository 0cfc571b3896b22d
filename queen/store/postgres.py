"""The data plane on PostgreSQL: one short method per function of `queen/sql/functions`.

Bound to (pool, schema); several such stores may live in one process. It decides nothing: arrays in, rows out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncRawCursor, sql

from queen import errors
from queen.measure.buckets import Buckets
from queen.store import arrays
from queen.store.base import (
    Acked,
    AckRow,
    Fill,
    PartitionRow,
    Placed,
    PopBatch,
    PushBatch,
    QueueRow,
    ReadyRow,
    Resolved,
    Span,
    Standing,
    Stored,
    Transacted,
)
from queen.store.pool import Connection, Pool
from queen.store.postgres_cluster import PostgresCluster
from queen.store.spots import Spots

Row = tuple[Any, ...]

_TRIES_MAX = 3
_NO_MESSAGES = PushBatch([], [], [], [], [], None, None)


class PostgresStore(PostgresCluster):
    """Implements `queen.store.base.Store`."""

    def __init__(self, pool: Pool, schema: str) -> None:
        self._pool = pool
        self._schema = schema
        self._push = self._call("push", 8)
        self._push_deduplicating = self._call("push_deduplicating", 10)
        self._ack = self._call("ack", 6)
        self._ack_failed = self._call("ack_failed", 8)
        self._transact = self._call("transact", 22)
        self._extend = self._call(
            "extend", 3, "select place, (extract(epoch from lease_until) * 1000000)::bigint - 946684800000000 from"
        )
        self._examine = self._call("examine", 2)
        self._open_cursors = self._call("open_cursors", 2, "select")
        self._next_epoch = self._call("next_epoch", 2, "select")
        self._locate = self._call("locate", 4)
        self._resolve = self._call("resolve", 2)
        self._subscribe = self._call(
            "subscribe", 4, "select created from", casts=("integer", "text", "text", "timestamptz")
        )
        self._ensure_queue = self._call("ensure_queue", 1, "select", casts=("text",), tail=", null, null")
        self._place_due = self._call("place_due", 3, casts=("integer", "bigint", "bigint[]"))
        self._skip_gaps = self._call("skip_gaps", 2, "select")
        self._forget_leases = self._call("forget_leases", 1, "select", casts=("bigint",))
        self._forget_traces = self._call("forget_traces", 2, "select", casts=("bigint", "integer"))
        self._ready_partitions = self._call("ready_partitions", 4, casts=("integer", "text", "bigint", "integer"))
        self._partition_names = self._call("partition_names", 1)
        self._find_queues = self._call("find_queues", 6, casts=("text", "text", "text", "text", "integer", "integer"))
        self._queues_by_id = self._call("queues_by_id", 1)
        self._undelivered = self._call("undelivered", 3, casts=("integer[]", "bigint[]", "integer"))
        self._prepare_cluster(pool.size_max)
        self._pops: dict[int, bytes] = {}
        self._partition_spots: Spots[int] = Spots()
        self._cursor_spots: Spots[tuple[int, bytes]] = Spots()

    def _call(
        self, function: str, arguments: int, verb: str = "select * from", casts: Sequence[str] = (), tail: str = ""
    ) -> bytes:
        """The one-line call of a function, its name qualified by the schema."""
        marks = ", ".join(f"${n + 1}" + (f"::{casts[n]}" if casts else "") for n in range(arguments))
        name = sql.Identifier(self._schema, function).as_string(None)
        return f"{verb} {name}({marks}{tail})".encode()

    async def _fetch(self, statement: bytes, parameters: Sequence[object]) -> list[Row]:
        async with self._pool.connection(statement) as connection:
            return await _fetch(connection, statement, parameters)

    async def push(self, batch: PushBatch) -> tuple[int, ...]:
        spots = arrays.tids_or_null(self._partition_spots.mostly(batch.partition_ids))
        rows = await self._fetch(self._push, (*_push_parameters(batch), spots))
        bases: tuple[int, ...] = rows[0][0]
        if rows[0][1]:
            stored = [key for key, base in zip(batch.partition_ids, bases, strict=True) if base >= 0]
            self._partition_spots.learn(stored, rows[0][1])
        return bases

    async def push_deduplicating(self, batch: PushBatch, wait: bool = True) -> list[Stored]:
        rows = await self._fetch(self._push_deduplicating, _thorough_parameters(batch, wait))
        return [Stored(*row[1:]) for row in rows]

    async def push_together(self, batches: list[PushBatch]) -> list[list[Stored]]:
        results = []
        work = self._push_deduplicating
        async with self._pool.connection(work) as connection, connection.pipeline(), connection.transaction():
            cursors: list[AsyncRawCursor[Row]] = []
            for batch in batches:
                cursor: AsyncRawCursor[Row] = AsyncRawCursor(connection)
                await cursor.execute(self._push_deduplicating, _thorough_parameters(batch, True), binary=True)
                cursors.append(cursor)
            for cursor in cursors:
                results.append([Stored(*row[1:]) for row in await cursor.fetchall()])
        return results

    async def pop(self, epoch: int, batch: PopBatch) -> list[Span]:
        statement = self._pops.get(epoch)
        if statement is None:
            statement = self._pops[epoch] = self._call(f"pop_{epoch}", 12)
        cursors = list(zip(batch.partition_ids, batch.groups, strict=True))
        spots = self._cursor_spots.mostly(cursors)
        partition_spots = self._partition_spots.of(batch.partition_ids) if spots is not None else None
        try:
            rows = await self._fetch(
                statement,
                (
                    arrays.bigints(batch.partition_ids),
                    arrays.texts(batch.groups),
                    arrays.ints(batch.requests),
                    arrays.ints(batch.batches),
                    arrays.uuids(batch.lease_ids),
                    arrays.bigints(batch.lease_ms),
                    batch.several,
                    batch.bytes_max,
                    arrays.bigints_or_null(batch.delays_ms) if batch.delays_ms is not None else None,
                    arrays.bigints_or_null(batch.windows_ms) if batch.windows_ms is not None else None,
                    arrays.tids_or_null(spots),
                    arrays.tids_or_null(partition_spots),
                ),
            )
        except errors.EpochGone:
            self._pops.pop(epoch, None)
            return []  # Nothing is left there; `examine` and `next_epoch` say where to go on.
        leased = [row for row in rows if row[-1] is not None]
        self._cursor_spots.learn([cursors[row[0] - 1] for row in leased], [row[-1] for row in leased])
        return [Span(*row[:-1]) for row in rows]

    async def ack(self, rows: list[AckRow]) -> list[Acked]:
        cursors = [(row.partition_id, row.group) for row in rows]
        spots = arrays.tids(self._cursor_spots.of(cursors))
        done = await self._fetch(self._ack, (*_ack_parameters(rows), spots))
        self._cursor_spots.learn([cursors[row[0] - 1] for row in done], [row[-1] for row in done])
        return [Acked(*row[:-1]) for row in done]

    async def ack_failed(self, rows: list[AckRow]) -> list[Acked]:
        return [Acked(*row) for row in await self._fetch(self._ack_failed, _failed_parameters(rows))]

    async def transact(self, batch: PushBatch | None, plain: list[AckRow], failures: list[AckRow]) -> Transacted:
        given = batch if batch is not None else _NO_MESSAGES
        acks = (*_ack_parameters(plain), *_failed_parameters(failures))
        rows = await self._fetch(self._transact, (*_push_parameters(given), *acks, *_due_parameters(given)))
        return Transacted(
            [Stored(row[2], row[3], row[9]) for row in rows if row[0] == "push"],
            [Acked(row[1], *row[4:]) for row in rows if row[0] == "ack"],
            [Acked(row[1], *row[4:]) for row in rows if row[0] == "failed"],
        )

    async def extend(
        self, lease_ids: list[bytes], partition_ids: list[int], lease_ms: list[int]
    ) -> list[tuple[int, int]]:
        rows = await self._fetch(
            self._extend, (arrays.uuids(lease_ids), arrays.bigints(partition_ids), arrays.bigints(lease_ms))
        )
        return [(row[0], row[1]) for row in rows]

    async def examine(self, partition_ids: list[int], groups: list[bytes]) -> list[Standing]:
        rows = await self._fetch(self._examine, (arrays.bigints(partition_ids), arrays.texts(groups)))
        return [Standing(*row) for row in rows]

    async def open_cursors(self, partition_ids: list[int], groups: list[bytes]) -> None:
        await self._fetch(self._open_cursors, (arrays.bigints(partition_ids), arrays.texts(groups)))

    async def next_epoch(self, partition_ids: list[int], groups: list[bytes]) -> None:
        await self._fetch(self._next_epoch, (arrays.bigints(partition_ids), arrays.texts(groups)))

    async def locate(
        self, partition_ids: list[int], transaction_ids: list[bytes], low: list[int], high: list[int]
    ) -> list[int | None]:
        rows = await self._fetch(
            self._locate,
            (arrays.bigints(partition_ids), arrays.texts(transaction_ids), arrays.bigints(low), arrays.bigints(high)),
        )
        return [row[0] for row in rows]

    async def resolve(self, queues: list[bytes], partitions: list[bytes]) -> list[Resolved]:
        rows = await self._fetch(self._resolve, (arrays.texts(queues), arrays.texts(partitions)))
        return [Resolved(*row) for row in rows]

    async def ready_partitions(self, queue_id: int, group: str, after: int, limit: int) -> list[ReadyRow]:
        rows = await self._fetch(self._ready_partitions, (queue_id, group, after, limit))
        return [ReadyRow(*row) for row in rows]

    async def partition_names(self, partition_ids: list[int]) -> list[PartitionRow]:
        rows = await self._fetch(self._partition_names, (arrays.bigints(partition_ids),))
        return [PartitionRow(*row) for row in rows]

    async def subscribe(self, queue_id: int, group: str, mode: str, start_at: str | None) -> None:
        await self._fetch(self._subscribe, (queue_id, group, mode, start_at))

    async def ensure_queue(self, name: str) -> QueueRow:
        for _ in range(_TRIES_MAX):
            await self._fetch(self._ensure_queue, (name,))
            rows = await self.find_queues(name=name)
            if rows:
                return rows[0]
        raise errors.Contention(f"queue {name!r} is deleted as fast as it is created")

    async def find_queues(
        self,
        *,
        name: str | None = None,
        namespace: str | None = None,
        task: str | None = None,
        search: str | None = None,
        limit: int = 1000,
        offset: int = 0,
    ) -> list[QueueRow]:
        rows = await self._fetch(self._find_queues, (name, namespace, task, search, limit, offset))
        return [QueueRow(*row) for row in rows]

    async def queues_by_id(self, queue_ids: list[int]) -> list[QueueRow]:
        return [QueueRow(*row) for row in await self._fetch(self._queues_by_id, (arrays.ints(queue_ids),))]

    async def undelivered(self, queue_ids: list[int], afters: list[int], limit: int) -> list[Fill]:
        rows = await self._fetch(self._undelivered, (arrays.ints(queue_ids), arrays.bigints(afters), limit))
        return [Fill(*row) for row in rows]

    async def place_due(self, limit: int, bytes_max: int, skip: list[int]) -> Placed:
        rows = await self._fetch(self._place_due, (limit, bytes_max, arrays.bigints(skip)))
        return Placed(*rows[0])

    async def skip_gaps(self, partition_ids: list[int], groups: list[bytes]) -> int:
        rows = await self._fetch(self._skip_gaps, (arrays.bigints(partition_ids), arrays.texts(groups)))
        return int(rows[0][0])

    async def forget_leases(self, older_than_s: int) -> int:
        rows = await self._fetch(self._forget_leases, (older_than_s,))
        return int(rows[0][0])

    async def forget_traces(self, older_than_ms: int, limit: int) -> int:
        rows = await self._fetch(self._forget_traces, (older_than_ms, limit))
        return int(rows[0][0])

    @property
    def durability(self) -> str:
        return self._pool.durability

    async def renew(self) -> None:
        await self._pool.renew()

    @property
    def waits(self) -> Buckets:
        return self._pool.waits

    @property
    def holds(self) -> Buckets:
        return self._pool.holds

    def stats(self) -> dict[str, int]:
        return self._pool.stats()


async def _fetch(connection: Connection, statement: bytes, parameters: Sequence[object]) -> list[Row]:
    cursor = AsyncRawCursor(connection)
    await cursor.execute(statement, parameters, prepare=True, binary=True)
    # Not `cursor.description`: that makes an object for each column.
    return await cursor.fetchall() if cursor.pgresult is not None and cursor.pgresult.nfields else []


def _push_parameters(batch: PushBatch) -> tuple[object, ...]:
    return (
        arrays.bigints(batch.partition_ids),
        arrays.ints(batch.counts),
        arrays.ints(batch.places),
        arrays.texts(batch.transaction_ids),
        arrays.texts(batch.payloads),
        arrays.uuids(batch.trace_ids) if batch.trace_ids is not None else None,
        arrays.texts(batch.producer_subs) if batch.producer_subs is not None else None,
    )


def _thorough_parameters(batch: PushBatch, wait: bool) -> tuple[object, ...]:
    return (*_push_parameters(batch), wait, *_due_parameters(batch))


def _due_parameters(batch: PushBatch) -> tuple[object, object]:
    if batch.dues is None:
        return None, None
    return (
        arrays.times_or_null([due.at_us if due is not None else None for due in batch.dues]),
        arrays.bigints_or_null([due.delay_ms if due is not None else None for due in batch.dues]),
    )


def _ack_parameters(rows: list[AckRow]) -> tuple[object, ...]:
    return (
        arrays.bigints([row.partition_id for row in rows]),
        arrays.texts([row.group for row in rows]),
        arrays.uuids([row.lease_id for row in rows]),
        arrays.bigints_or_null([row.completed for row in rows]),
        arrays.bigints_or_null([row.retried for row in rows]),
    )


def _failed_parameters(rows: list[AckRow]) -> tuple[object, ...]:
    return (
        *_ack_parameters(rows),
        arrays.bigints_or_null([row.failed for row in rows]),
        arrays.bigints_or_null([row.dead for row in rows]),
        arrays.texts([row.error for row in rows]),
    )
