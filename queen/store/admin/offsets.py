"""Reads by offset, and which partitions were written to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import sql
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

from queen import errors
from queen.store.admin.calls import Calls
from queen.store.pool import Pool

_TRIES_MAX = 3


class Read(NamedTuple):
    """Where to read from, and how much at most."""

    queue: str
    partition: str
    offset: int
    bytes_max: int


class Record(NamedTuple):
    """One message. Texts are UTF-8; `created_at` is µs since 2000-01-01 UTC."""

    offset: int
    transaction_id: bytes
    payload: bytes
    created_at: int


class Records(NamedTuple):
    """What one read got; `first_offset` and `next_offset` are None when there is no such partition."""

    first_offset: int | None
    next_offset: int | None
    records: list[Record]


class Listing(NamedTuple):
    """Which partitions to list: see `changed_partitions.sql`."""

    queue: str
    since: datetime | None
    after_at: datetime | None
    after_name: str | None
    limit: int


class Listed(NamedTuple):
    """A partition of a list."""

    partition_id: int
    name: str
    first_offset: int
    next_offset: int
    written_at: datetime


class Changed(NamedTuple):
    """The lists in the order asked for, None for a queue that is not there; and what `safe_time.sql` says."""

    safe_time: datetime
    degraded: bool
    lists: list[list[Listed] | None]


class _Bytes(Loader):
    """A text as its bytes: payloads are not decoded only to be encoded again."""

    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


class _Micros(Loader):
    """A time as µs since 2000-01-01 UTC."""

    format = Format.BINARY

    def load(self, data: Buffer) -> int:
        return int.from_bytes(data, "big", signed=True)


class Offsets(Calls):
    """Calls about offsets."""

    def __init__(self, pool: Pool, schema: str) -> None:
        super().__init__(pool, schema)
        self._read = sql.SQL("select * from {}(%s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint)").format(
            sql.Identifier(schema, "read_records")
        )
        self._changed = sql.SQL(
            "select * from {}(%s::text[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::integer[])"
        ).format(sql.Identifier(schema, "changed_partitions"))

    async def read_records(self, reads: Sequence[Read], bytes_total: int) -> list[Records]:
        """Messages from an offset on, per read in input order; see `read_records.sql`."""
        for _ in range(_TRIES_MAX - 1):
            try:
                return await self._records(reads, bytes_total)
            except errors.EpochGone:
                continue  # Dropped between the look at the epochs and the read.
        return await self._records(reads, bytes_total)

    async def _records(self, reads: Sequence[Read], bytes_total: int) -> list[Records]:
        found = [Records(None, None, []) for _ in reads]
        async with self._pool.connection("read_records") as connection:
            cursor = connection.cursor(binary=True)
            cursor.adapters.register_loader("text", _Bytes)
            cursor.adapters.register_loader("timestamptz", _Micros)
            columns = [list(column) for column in zip(*reads, strict=True)]
            await cursor.execute(self._read, (*columns, bytes_total))
            rows: list[Any] = await cursor.fetchall()
            for n, first, head, offset, transaction_id, payload, created_at in rows:
                if offset is None:
                    found[n - 1] = Records(first, head, found[n - 1].records)
                else:
                    found[n - 1].records.append(Record(offset, transaction_id, payload, created_at))
        return found

    async def changed_partitions(self, lists: Sequence[Listing]) -> Changed:
        """One page of each list; see `changed_partitions.sql`."""
        found: list[list[Listed] | None] = [None] * len(lists)
        columns = [list(column) for column in zip(*lists, strict=True)] or [[], [], [], [], []]
        async with self._pool.connection("changed_partitions") as connection:
            cursor = await connection.execute(self._changed, columns)
            rows: list[Any] = await cursor.fetchall()
        _, _, _, degraded, _, safe_time = rows.pop(0)
        for n, partition_id, name, first, head, written_at in rows:
            page = found[n - 1] = found[n - 1] or []
            if partition_id is not None:
                page.append(Listed(partition_id, name, first, head, written_at))
        return Changed(safe_time, bool(degraded), found)
