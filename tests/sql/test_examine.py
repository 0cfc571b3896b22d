"""examine(): what stands at a cursor."""

from __future__ import annotations

import uuid

from tests.sql.client import Session, Signal


def test_the_states_of_a_cursor(session: Session) -> None:
    p = session.partition()
    session.push({p: ["a", "b", "c"]})
    gone = session.examine(p + 1000)
    assert (gone.found, gone.acked, gone.head) == (False, None, None)
    fresh = session.examine(p)
    assert (fresh.found, fresh.acked, fresh.head) == (True, None, 3)
    session.open_cursors([p])
    free = session.examine(p)
    assert (free.acked, free.head, free.epoch, free.lease_id, free.held_ms) == (-1, 3, 1, None, None)
    session.pop(p, batch=2)
    held = session.examine(p)
    assert (held.lease_id, held.lease_end) == (session.lease, 1)
    assert 0 < held.held_ms <= 60_000
    session.expire(p)
    over = session.examine(p)
    assert (over.lease_id, over.held_ms, over.acked) == (None, None, -1)
    session.ack(Signal(p, None, completed=1))
    assert session.examine(p).acked == 1


def test_one_row_per_pair_in_input_order(session: Session) -> None:
    ids = session.partitions(3)
    session.push({ids[1]: ["a"]})
    session.open_cursors(ids[1:2], "h")
    pairs = [(ids[2], "g"), (ids[1], "h"), (999, "g"), (ids[1], "g"), (ids[1], "h")]
    rows = session.call("examine", ("bigint[]", "text[]"), [p for p, _ in pairs], [g for _, g in pairs])
    assert [(row.found, row.head, row.acked) for row in rows] == [
        (True, 0, None),
        (True, 1, -1),
        (False, None, None),
        (True, 1, None),
        (True, 1, -1),
    ]


def test_it_writes_nothing(session: Session) -> None:
    p = session.partition()
    session.open_cursors([p])
    before = session.rows("select *, xmin::text, ctid::text from {s}.cursors")
    session.examine(p)
    session.call("examine", ("bigint[]", "text[]"), [p], [str(uuid.uuid4())])
    assert session.rows("select *, xmin::text, ctid::text from {s}.cursors") == before
