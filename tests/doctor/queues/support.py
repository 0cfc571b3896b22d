"""Queues in a state that the checks of queue semantics look for."""

from __future__ import annotations

import json
import uuid

from queen.doctor.finding import Result, Threshold
from tests.doctor import support
from tests.sql.client import Session

_COUNTS = (
    *("lag_ms_sum", "lag_ms_max", "push_requests", "push_messages", "pop_requests", "pop_messages", "pop_empty"),
    *("ack_requests", "ack_success", "ack_failed", "ack_rejected", "transactions", "dead_letters", "lag_count"),
    *("parked", "messages_hidden", "epochs_dropped"),
)


def look(dsn: str, check: str, thresholds: dict[str, Threshold] | None = None) -> Result:
    """What the check says; most of these are about what stands there, so the window is as good as none."""
    return support.look(dsn, check, window_s=0.02, thresholds=thresholds)


def fill(session: Session, queue: str, counts: dict[str, int], group: str = "g") -> dict[str, int]:
    """So many messages in each partition, of which the group has taken none; ids of partitions by name."""
    ids = {name: session.partition(name, queue) for name in counts}
    session.push({ids[name]: [uuid.uuid4().hex for _ in range(count)] for name, count in counts.items() if count})
    session.open_cursors(ids.values(), group)
    return ids


def age(session: Session, queue: str, seconds: float) -> None:
    """Everything of the queue was stored so long ago."""
    session.rows(
        "update {s}.messages set created_at = now() - %s * interval '1 second'"
        " where queue_id = (select queue_id from {s}.queues where name = %s)",
        seconds,
        queue,
    )


def consume(session: Session, *partitions: int, group: str = "g") -> None:
    """The group takes everything there."""
    session.pop(*partitions, group=group, batch=10_000, auto=True)


def write_minute(session: Session, queue: str | None, minutes_ago: int, **counts: int) -> None:
    """A server wrote down what happened in a minute, on a queue or (None) on all together."""
    queue_id = session.one("select queue_id from {s}.queues where name = %s", queue) if queue else 0
    row = dict.fromkeys(_COUNTS, 0) | counts | {"queue_id": queue_id}
    session.rows(
        "select {s}.record_activity(gen_random_uuid(), date_trunc('minute', now()) - %s * interval '1 minute',"
        " %s::jsonb, 'here', 1, 0, null)",
        minutes_ago,
        json.dumps([row]),
    )


def beat(session: Session) -> None:
    """A server gives a sign of life, and leads."""
    session.rows("select {s}.beat(gen_random_uuid(), 'test', 16, 600000)")
