"""One session that speaks to the SQL functions alone: what psql could send, with the arrays put together.

It knows no engine and no store. Groups default to "g", leases to a minute; times are read from the database.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.abc import Buffer
from psycopg.rows import namedtuple_row
from psycopg.types.datetime import TimestamptzLoader
from psycopg.types.json import Jsonb

Row = Any

_PUSH = ("bigint[]", "integer[]", "integer[]", "text[]", "text[]", "uuid[]", "text[]")
_POP = ("bigint[]", "text[]", "integer[]", "integer[]", "uuid[]", "bigint[]", "boolean")
_ACK = ("bigint[]", "text[]", "uuid[]", "bigint[]", "bigint[]")
_ACK_FAILED = (*_ACK, "bigint[]", "bigint[]", "text[]")


@dataclass(frozen=True)
class Signal:
    """What one call says about one cursor: extremes, as ack() and ack_failed() take them."""

    partition: int
    lease: uuid.UUID | None = None
    group: str = "g"
    completed: int | None = None
    retried: int | None = None
    failed: int | None = None
    dead: int | None = None
    error: str | None = None


class _EndlessTimes(TimestamptzLoader):
    """Reads -infinity, which Python's times do not know, as the smallest of them."""

    def load(self, data: Buffer) -> datetime:
        return datetime.min.replace(tzinfo=UTC) if bytes(data) == b"-infinity" else super().load(data)


class Session:
    """A connection in autocommit mode, and one method per function."""

    def __init__(self, dsn: str, schema: str = "queen") -> None:
        self.schema = schema
        self.connection = psycopg.connect(dsn, autocommit=True, row_factory=namedtuple_row)
        self.connection.adapters.register_loader("timestamptz", _EndlessTimes)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def call(self, function: str, types: Sequence[str], *values: object, columns: str = "*") -> list[Row]:
        """The rows of `select columns from function(values)`."""
        marks = [sql.SQL("%s::{}").format(sql.SQL(name)) for name in types]
        statement = sql.SQL("select {} from {}({})").format(
            sql.SQL(columns), sql.Identifier(self.schema, function), sql.SQL(", ").join(marks)
        )
        return self.connection.execute(statement, values).fetchall()

    def rows(self, text: str, *values: object) -> list[Row]:
        """The rows of a statement in which {s} stands for the schema."""
        statement = sql.SQL(text).format(s=sql.Identifier(self.schema))
        cursor = self.connection.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []

    def one(self, text: str, *values: object) -> Any:
        """The first column of the only row."""
        rows = self.rows(text, *values)
        assert len(rows) == 1, rows
        return rows[0][0]

    # --- the functions ---

    def resolve(self, *pairs: tuple[str, str]) -> list[Row]:
        return self.call("resolve", ("text[]", "text[]"), [q for q, _ in pairs], [p for _, p in pairs])

    def partition(self, name: str = "p", queue: str = "q") -> int:
        """The id of a partition, created when it is missing."""
        return int(self.resolve((queue, name))[0].partition_id)

    def partitions(self, count: int, queue: str = "q") -> list[int]:
        """The ids of partitions p0, p1, …, ascending."""
        return sorted(row.partition_id for row in self.resolve(*[(queue, f"p{n}") for n in range(count)]))

    def push(self, messages: Mapping[int, Sequence[str]], **more: Any) -> list[int]:
        """Transaction ids by partition; the first offset of each partition, in the order of ids."""
        return list(self.call("push", _PUSH, *push_arrays(messages, **more))[0][0])

    def push_deduplicating(
        self, messages: Mapping[int, Sequence[str]], *, wait: bool = True, **more: Any
    ) -> list[tuple[int | None, bool]]:
        rows = self.call("push_deduplicating", (*_PUSH, "boolean"), *push_arrays(messages, **more), wait)
        assert [row.n for row in rows] == list(range(1, len(rows) + 1))
        return [(row.offset, row.duplicate) for row in rows]

    def schedule(self, partition: int, *ids: str, delay_ms: int = 60_000) -> list[int | None]:
        """Stores messages for later; where they stand."""
        arrays = push_arrays({partition: ids})
        types = (*_PUSH, "boolean", "timestamptz[]", "bigint[]")
        return [
            row.offset for row in self.call("push_deduplicating", types, *arrays, True, None, [delay_ms] * len(ids))
        ]

    def ripen(self) -> None:
        """Every scheduled message is due."""
        self.rows(
            "update {s}.messages set scheduled_at = scheduled_at - interval '1 day' where scheduled_at is not null"
        )

    def place_due(self, *, limit: int = 1000, skip: Sequence[int] = ()) -> Row:
        return self.call("place_due", ("integer", "bigint", "bigint[]"), limit, 1 << 20, list(skip))[0]

    def pop(
        self,
        *partitions: int,
        group: str = "g",
        batch: int = 10,
        lease: uuid.UUID | None = None,
        lease_ms: int = 60_000,
        auto: bool = False,
        epoch: int = 1,
    ) -> list[Row]:
        """One request over some partitions. Without `lease` a fresh one is made; see `Session.lease`."""
        self.lease = None if auto else lease or uuid.uuid4()
        count = len(partitions)
        several = count > 1
        arrays = ([group] * count, [1] * count, [batch] * count, [self.lease] * count, [lease_ms] * count)
        return self.call(f"pop_{epoch}", _POP, list(partitions), *arrays, several)

    lease: uuid.UUID | None = None
    """The lease id of the latest `pop`."""

    def pop_many(self, *requests: tuple[int, str, int, int, uuid.UUID | None], epoch: int = 1) -> list[Row]:
        """Candidates as (partition, group, request, batch, lease)."""
        columns = [list(column) for column in zip(*requests, strict=True)]
        return self.call(f"pop_{epoch}", _POP, *columns, [60_000] * len(requests), True)

    def ack(self, *signals: Signal) -> list[Row]:
        return self.call("ack", _ACK, *_signal_arrays(signals)[:5], columns="place, acked_was, acked, released")

    def ack_failed(self, *signals: Signal) -> list[Row]:
        return self.call("ack_failed", _ACK_FAILED, *_signal_arrays(signals))

    def open_cursors(self, partitions: Iterable[int], group: str = "g") -> None:
        ids = list(partitions)
        self.call("open_cursors", ("bigint[]", "text[]"), ids, [group] * len(ids))

    def next_epoch(self, *partitions: int, group: str = "g") -> None:
        self.call("next_epoch", ("bigint[]", "text[]"), list(partitions), [group] * len(partitions))

    def examine(self, partition: int, group: str = "g") -> Row:
        return self.call("examine", ("bigint[]", "text[]"), [partition], [group])[0]

    def locate(self, *entries: tuple[int, str, int, int]) -> list[int | None]:
        """(partition, transaction id, from, to) → offsets."""
        columns = [list(column) for column in zip(*entries, strict=True)]
        return [row.offset for row in self.call("locate", ("bigint[]", "text[]", "bigint[]", "bigint[]"), *columns)]

    def extend(self, *entries: tuple[uuid.UUID, int, int]) -> list[Row]:
        """(lease, partition or 0, ms) → rows."""
        columns = [list(column) for column in zip(*entries, strict=True)]
        return self.call("extend", ("uuid[]", "bigint[]", "bigint[]"), *columns)

    def open_epoch(self, epoch: int) -> None:
        self.call("open_epoch", ("integer",), epoch)

    def configure(self, queue: str, *, replace: bool = False, **options: Any) -> Row:
        types = ("text", "text", "text", "boolean", "jsonb")
        return self.call("configure", types, queue, None, None, replace, Jsonb(options))[0]

    # --- looking and meddling ---

    def cursor(self, partition: int, group: str = "g") -> Row:
        return self.rows(
            "select *, lease_id is not null and lease_until > now() as live from {s}.cursors"
            " where partition_id = %s and consumer_group = %s",
            partition,
            group,
        )[0]

    def expire(self, partition: int, group: str = "g") -> None:
        """Ends the lease, or the retry delay, as if its time had passed."""
        self.rows(
            "update {s}.cursors set lease_until = now() - interval '1 second'"
            " where partition_id = %s and consumer_group = %s and lease_until is not null",
            partition,
            group,
        )

    def stored(self, partition: int) -> list[tuple[int, str]]:
        """(offset, transaction id) of all messages, in order."""
        return [
            (row.offset, row.transaction_id)
            for row in self.rows(
                'select "offset", transaction_id from {s}.messages where partition_id = %s order by 1', partition
            )
        ]


def push_arrays(
    messages: Mapping[int, Sequence[str]],
    payloads: Sequence[str] | None = None,
    trace_ids: Sequence[uuid.UUID | None] | None = None,
    subs: Sequence[str | None] | None = None,
) -> tuple[object, ...]:
    """The seven arrays of push(). Payloads are the transaction ids as JSON strings unless given."""
    ids = sorted(messages)
    transaction_ids = [one for number in ids for one in messages[number]]
    return (
        ids,
        [len(messages[number]) for number in ids],
        [place for place, number in enumerate(ids, 1) for _ in messages[number]],
        transaction_ids,
        list(payloads) if payloads is not None else [f'"{one}"' for one in transaction_ids],
        trace_ids,
        subs,
    )


def _signal_arrays(signals: Sequence[Signal]) -> tuple[list[Any], ...]:
    ordered = sorted(signals, key=lambda one: (one.partition, one.group.encode()))
    assert ordered == list(signals), "entries ascend by (partition, group)"
    names = ("partition", "group", "lease", "completed", "retried", "failed", "dead", "error")
    return tuple([getattr(one, name) for one in signals] for name in names)
