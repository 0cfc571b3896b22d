"""The upkeep of epochs as a server does it, in fast motion: steps without pauses, and time that passes by an update."""

from __future__ import annotations

import time

import psycopg

from tests.sql.client import Row, Session
from tests.support.server import wait_until

LOCK_MS = 50
_OTHERS_S = 1.0


def pass_time(session: Session, seconds: float) -> None:
    """Makes everything that is stored so much older."""
    for table, column in (
        ("messages", "created_at"),
        ("partitions", "last_write_at"),
        ("partitions", "first_at"),
        ("spans", "last_at"),
        ("epochs", "opened_at"),
        ("epochs", "closed_at"),
        ("epochs", "recorded_at"),
    ):
        session.rows(f"update {{s}}.{table} set {column} = {column} - %s * interval '1 second'", seconds)


def expire(session: Session, limit: int = 1000) -> int:
    """One walk over all queues with options; the number of messages hidden."""
    hidden, place = 0, (0, 0)
    while True:
        row = session.call("expire", ("integer", "bigint", "integer", "integer"), *place, limit, LOCK_MS)[0]
        hidden += row.hidden
        if row.queue_id is None:
            return hidden
        place = (row.queue_id, row.after)


def close(session: Session) -> int:
    """Opens the next epoch, and records all those before it; the number of the newest."""
    newest = int(session.one("select max(epoch) + 1 from {s}.epochs"))
    session.open_epoch(newest)
    record(session)
    return newest


def record(session: Session, limit: int = 1000) -> None:
    """Records what can be recorded. Whoever was at work when an epoch was closed may hold it up: autovacuum too."""
    ends_at = time.monotonic() + _OTHERS_S
    _record(session, limit)
    while session.one("select count(*) from {s}.epochs where closed_at is not null and recorded_at is null"):
        if time.monotonic() > ends_at:
            break
        time.sleep(0.02)
        _record(session, limit)


def _record(session: Session, limit: int) -> None:
    for (epoch,) in session.rows("select epoch from {s}.epochs where closed_at is not null order by 1"):
        after: int | None = 0
        while after is not None:
            after = session.call("record_spans", ("integer", "bigint", "integer"), epoch, after, limit)[0][0]


def life(session: Session, epoch: int) -> Row:
    return session.call("epoch_life", ("integer",), epoch)[0]


def step(session: Session, function: str, epoch: int) -> bool:
    """empty_epoch, drop_epoch or swap_epoch."""
    return bool(session.call(function, ("integer", "integer"), epoch, LOCK_MS)[0][0])


def leave(session: Session) -> list[int]:
    """Empties and drops what can leave; the epochs that are left."""
    for (epoch,) in session.rows("select epoch from {s}.epochs where recorded_at is not null order by 1"):
        if _unlocked(session, "empty_epoch", epoch):
            _insist(session, "drop_epoch", epoch)
            _insist(session, "drop_leftovers")
    return epochs(session)


def _unlocked(session: Session, function: str, *arguments: int) -> bool:
    """The step did something. False too when somebody else holds a lock: autovacuum for example, which comes when it
    likes."""
    kinds = ("integer",) * (len(arguments) + 1)
    try:
        return bool(session.call(function, kinds, *arguments, LOCK_MS)[0][0])
    except psycopg.errors.LockNotAvailable:
        return False


def _insist(session: Session, function: str, *arguments: int) -> None:
    wait_until(lambda: _unlocked(session, function, *arguments), f"{function} {arguments} to do something")


def epochs(session: Session) -> list[int]:
    return [row[0] for row in session.rows("select epoch from {s}.epochs order by 1")]


def copy(session: Session, epoch: int, limit: int = 1000) -> int:
    """Copies all that has to stay; the number of steps that did something."""
    steps = 0
    while session.call("copy_needed", ("integer", "integer", "integer"), epoch, limit, LOCK_MS)[0][0] > 0:
        steps += 1
    return steps


def first_offset(session: Session, partition: int) -> int:
    return int(session.one("select first_offset from {s}.partitions where partition_id = %s", partition))
