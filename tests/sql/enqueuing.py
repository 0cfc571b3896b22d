"""Callers that enqueue in transactions of their own, and the moves that a server makes, for tests of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.sql.client import Row, Session

ALL: tuple[int, Sequence[int]] = (0, ())
_TYPES = ("integer", "bigint", "bigint", "bigint[]", "bigint", "bigint", "text[]", "text[]")


def enqueue(session: Session, name: str, partition: str = "p", queue: str = "q", **more: Any) -> str:
    """One message whose transaction id and payload are `name`."""
    delay = more.pop("delay", None)
    assert not more
    row = session.rows("select {s}.enqueue(%s, %s, %s, %s, %s)", queue, partition, f'"{name}"', name, delay)[0]
    return str(row[0])


def enqueue_many(session: Session, names: Sequence[str], partition: str = "p", queue: str = "q") -> None:
    """Several messages by one call."""
    session.rows(
        "select {s}.enqueue_many(%s, array[%s], %s, %s)", queue, partition, [f'"{name}"' for name in names], list(names)
    )


def place(
    session: Session,
    seen: tuple[int, Sequence[int]] = ALL,
    *,
    limit: int = 1000,
    bytes_max: int = 1 << 20,
    after: tuple[int, int] = (0, 0),
    skip: Sequence[tuple[str, str]] = (),
) -> Row:
    """One call of place_enqueued()."""
    skipped = ([q for q, _ in skip], [p for _, p in skip])
    return session.call("place_enqueued", _TYPES, limit, bytes_max, seen[0], list(seen[1]), *after, *skipped)[0]


def order(session: Session, partition: str = "p", queue: str = "q") -> list[str]:
    """Transaction ids of what has a place in the order of a partition, without creating it."""
    return [
        row.transaction_id
        for row in session.rows(
            "select m.transaction_id from {s}.messages m join {s}.partitions p using (partition_id)"
            ' join {s}.queues q on q.queue_id = p.queue_id where q.name = %s and p.name = %s and m."offset" >= 0'
            ' order by m."offset"',
            queue,
            partition,
        )
    ]


def clear(session: Session) -> None:
    """Leave nothing behind for the next test of a file that shares a database."""
    for table in ("enqueued", "messages", "cursors", "partitions", "queues"):
        session.rows(f"delete from {{s}}.{table}")


def waiting(session: Session) -> int:
    """How many messages of committed callers are not placed."""
    return int(session.one("select count(*) from {s}.enqueued"))
