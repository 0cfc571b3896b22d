"""A caller's transaction that stays open while epochs are opened, closed, recorded and dropped."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sql.client import Session
from tests.sql.enqueuing import enqueue, order, place
from tests.sql.upkeep import close, leave, pass_time


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
