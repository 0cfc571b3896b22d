"""replay(), walk_dead_letters(), purge_dead_letters(): dead letters go back once, or away, and never half."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
import pytest

from tests.sql.client import Row, Session, Signal
from tests.sql.waiting import until_blocked


def bury(session: Session, partition: int, count: int, error: str = "broken", group: str = "g") -> list[int]:
    """Push so many messages and make dead letters of them; their ids."""
    session.open_cursors([partition], group)
    ids = []
    for number in range(count):
        name = f"{group}{number}-{partition}"
        offset = session.push_deduplicating({partition: [name]})[0][0]
        session.pop(partition, group=group, batch=1)
        row = session.ack_failed(Signal(partition, session.lease, group, dead=offset, error=f"{error} {number}"))[0]
        ids.append(row.dead_letter_id)
    return ids


def replay(session: Session, *ids: int, to: int | None = None) -> list[Row]:
    names = [f"dlq:{number}" for number in ids]
    return session.call("replay", ("bigint[]", "text[]", "bigint"), list(ids), names, to)


def left(session: Session) -> list[int]:
    return [row[0] for row in session.rows("select dead_letter_id from {s}.dead_letters order by 1")]


def test_a_record_becomes_the_newest_message_of_its_partition(session: Session) -> None:
    p = session.partition()
    (number,) = bury(session, p, 1)
    row = replay(session, number)[0]
    assert tuple(row) == (number, p, 1, False)
    assert left(session) == []
    stored = session.rows('select transaction_id, payload from {s}.messages where "offset" = 1')[0]
    assert tuple(stored) == (f"dlq:{number}", f'"g0-{p}"')


def test_many_go_in_the_order_of_their_records(session: Session) -> None:
    p, q = session.partitions(2)
    ids = bury(session, q, 2) + bury(session, p, 2)
    rows = {row.dead_letter_id: (row.partition_id, row.offset) for row in replay(session, *reversed(ids))}
    assert rows == dict(zip(ids, [(q, 2), (q, 3), (p, 2), (p, 3)], strict=True))


def test_a_record_goes_to_another_partition(session: Session) -> None:
    p, q = session.partition("p"), session.partition("other", "elsewhere")
    (number,) = bury(session, p, 1)
    assert tuple(replay(session, number, to=q)[0]) == (number, q, 0, False)


def test_a_duplicate_keeps_its_record(session: Session) -> None:
    p = session.partition()
    one, two = bury(session, p, 2)
    session.push({p: [f"dlq:{one}"]})
    rows = {row.dead_letter_id: (row.offset, row.duplicate) for row in replay(session, one, two)}
    assert rows == {one: (2, True), two: (3, False)}
    assert left(session) == [one]


def test_what_is_gone_is_left_out(session: Session) -> None:
    p = session.partition()
    (number,) = bury(session, p, 1)
    replay(session, number)
    assert replay(session, number, 999) == []
    assert len(session.stored(p)) == 2


def test_a_target_that_is_gone_keeps_everything(session: Session) -> None:
    p = session.partition()
    (number,) = bury(session, p, 1)
    with pytest.raises(psycopg.Error) as raised:
        replay(session, number, to=p + 100)
    assert raised.value.sqlstate == "QN003"
    assert left(session) == [number]


@pytest.mark.parametrize("window", [3600, 0])
@pytest.mark.parametrize("redirected", [False, True])
def test_of_two_replays_at_once_exactly_one_stores(
    session: Session, another: Callable[[], Session], window: int, redirected: bool
) -> None:
    session.configure("q", dedupWindowSeconds=window)
    p, q = session.partitions(2)
    (number,) = bury(session, p, 1)
    second, watcher = another(), another()
    outcome: list[object] = []

    def late() -> None:
        try:
            outcome.append(replay(second, number, to=q if redirected else None))
        except psycopg.Error as error:
            outcome.append(error.sqlstate)

    with session.connection.transaction():
        assert len(replay(session, number)) == 1
        thread = threading.Thread(target=late)
        thread.start()
        until_blocked(watcher, second)
    thread.join(60)
    assert outcome in ([[]], ["QN004"])
    assert len(session.stored(p)) + len(session.stored(q)) == 2


def walk(session: Session, *, after: int = 0, last: int | None = None, limit: int = 100, **where: object) -> list[Row]:
    types = ("text", "text", "text", "timestamptz", "timestamptz", "text", "bigint", "bigint", "integer", "bigint")
    asked = [where.get(name) for name in ("group", "partition", "since", "until", "error")]
    return session.call("walk_dead_letters", types, "q", *asked, after, last, limit, where.get("bytes", 1 << 30))


def ids_of(rows: list[Row]) -> list[int]:
    return [row.dead_letter_id for row in rows[:-1]]


def test_the_walk_selects(session: Session) -> None:
    p, r = session.partitions(2)
    a, b = bury(session, p, 2, "Timeout of tariff"), bury(session, r, 2, "poison", "h")
    bury(session, session.partition("p", "another"), 1)
    assert ids_of(walk(session)) == [*a, *b]
    assert ids_of(walk(session, group="h")) == b
    assert ids_of(walk(session, partition="p0")) == a
    assert ids_of(walk(session, error="TARIFF 1")) == a[1:]
    assert ids_of(walk(session, error="%")) == []
    assert ids_of(walk(session, partition="unknown")) == []
    assert ids_of(walk(session, since="2000-01-01")) == [*a, *b]
    assert ids_of(walk(session, until="2000-01-01")) == []
    assert ids_of(walk(session, after=a[0], last=b[0])) == [a[1], b[0]]
    assert walk(session)[-1].looked_to is None


def test_the_walk_is_cut_by_looks_and_by_bytes_and_goes_on(session: Session) -> None:
    p = session.partition()
    ids = bury(session, p, 4)
    rows = walk(session, limit=3, error="broken 3")
    assert (ids_of(rows), rows[-1].looked_to) == ([], ids[2])
    assert ids_of(walk(session, after=ids[2], error="broken 3")) == ids[3:]
    rows = walk(session, bytes=1)
    assert (ids_of(rows), rows[-1].looked_to) == (ids[:1], ids[0])


def test_a_purge_takes_a_group_of_a_queue_in_steps(session: Session) -> None:
    p = session.partition()
    a, b = bury(session, p, 3), bury(session, p, 1, group="h")
    types = ("text", "text", "bigint", "bigint", "integer")
    last = session.one("select {s}.newest_dead_letter('q')")
    assert last == b[-1]
    assert tuple(session.call("purge_dead_letters", types, "q", "g", 0, last, 2)[0]) == (2, a[1])
    assert tuple(session.call("purge_dead_letters", types, "q", "g", a[1], last, 2)[0]) == (1, None)
    assert left(session) == b
    assert session.one("select {s}.newest_dead_letter('unknown')") is None
