"""A caller's transaction that stays open while epochs are opened, closed, recorded and dropped."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

import psycopg
import pytest

from tests.sql.client import Session
from tests.sql.enqueuing import enqueue, enqueue_many, order, place, waiting
from tests.sql.upkeep import close, leave, pass_time
from tests.sql.waiting import until


@pytest.mark.parametrize("rotations", [1, 3])
def test_epochs_come_and_go_while_a_caller_is_open(
    session: Session, another: Callable[[], Session], rotations: int
) -> None:
    session.rows("set lock_timeout = '1s'")
    caller = another()
    session.configure("q", retentionEnabled=True, retentionSeconds=1, dedupWindowSeconds=0)
    p = session.partition()
    with caller.connection.transaction():
        enqueue(caller, "late")
        for n in range(rotations):
            session.push({p: [f"old{n}"]})
            newest = close(session)
        pass_time(session, 10)
    # Epochs are settled, and then leave, when every transaction that ran at their end is over.
    close(session)
    assert place(session).placed == 1
    assert "late" in order(session)
    assert session.one("select epoch from {s}.messages where transaction_id = 'late'") == newest + 1
    leave(session)
    assert "late" in order(session)


def test_moves_while_epochs_are_opened_lose_and_double_nothing(
    session: Session, another: Callable[[], Session]
) -> None:
    done = threading.Event()
    given_up = (psycopg.errors.LockNotAvailable, psycopg.errors.CheckViolation, psycopg.errors.DeadlockDetected)

    def move(own: Session) -> None:
        while not done.is_set():
            with contextlib.suppress(*given_up):
                place(own, limit=7)

    def rotate(own: Session) -> None:
        for _ in range(8):
            with contextlib.suppress(*given_up):
                close(own)

    threads = [threading.Thread(target=work, args=(another(),)) for work in (move, rotate)]
    for thread in threads:
        thread.start()
    try:
        for n in range(40):
            with session.connection.transaction():
                enqueue_many(session, [f"{n:02}-{k}" for k in range(5)])
                enqueue(session, f"{n:02}-5")
        until(lambda: waiting(session) == 0, "all are placed")
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert order(session) == [f"{n:02}-{k}" for n in range(40) for k in range(6)]
    assert session.one("select count(distinct epoch) from {s}.messages") > 1
