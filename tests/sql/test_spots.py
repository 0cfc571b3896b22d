"""Hints at where rows lie change nothing but the way to them: right, wrong, old or missing, the outcome is the same."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

import pytest

from tests.sql.client import _ACK, _POP, _PUSH, Row, Session, push_arrays

pytestmark = pytest.mark.pg

Spots = list[str | None]
NOWHERE = "(4000000000,1)"


def spots(session: Session, table: str, ids: list[int]) -> Spots:
    text = f"select partition_id, ctid::text as spot from {{s}}.{table} where partition_id = any(%s)"
    places = {row.partition_id: row.spot for row in session.rows(text, ids)}
    return [places[number] for number in ids]


def push(session: Session, ids: list[int], word: str, hints: Spots) -> Row:
    arrays = push_arrays({number: [f"{word}-{number}"] for number in ids})
    return session.call("push", (*_PUSH, "tid[]"), *arrays, hints)[0]


def pop(session: Session, ids: list[int], hints: Spots, partition_hints: Spots) -> list[Row]:
    count = len(ids)
    lease = uuid.uuid4()
    arrays = (ids, ["g"] * count, [1] * count, [10] * count, [lease] * count, [60_000] * count, True)
    types = (*_POP, "bigint", "bigint[]", "bigint[]", "tid[]", "tid[]")
    return session.call("pop_1", types, *arrays, 1 << 20, None, None, hints, partition_hints)


def ack(session: Session, ids: list[int], completed: int, hints: Spots) -> list[Row]:
    count = len(ids)
    types = (*_ACK, "tid[]")
    return session.call("ack", types, ids, ["g"] * count, [None] * count, [completed] * count, [None] * count, hints)


def hints_of(kind: str, right: Spots, old: Spots) -> Spots:
    kinds: dict[str, Spots] = {
        "right": right,
        "another's": right[::-1],
        "old": old,
        "missing": [None] * len(right),
        "of no row": [NOWHERE] * len(right),
        "some": [right[0], *[None] * (len(right) - 1)],
    }
    return kinds[kind]


KINDS = ("right", "another's", "old", "missing", "of no row", "some")


@pytest.mark.parametrize("kind", KINDS)
def test_push_finds_the_rows_by_any_hint(session: Session, kind: str) -> None:
    ids = session.partitions(3)
    old = spots(session, "partitions", ids)
    session.push({number: ["first"] for number in ids})
    row = push(session, ids, "second", hints_of(kind, spots(session, "partitions", ids), old))
    assert list(row.bases) == [1, 1, 1]
    assert [str(spot) for spot in row.spots] == spots(session, "partitions", ids), "where they lie now"
    assert all(session.stored(number)[1][0] == 1 for number in ids)


@pytest.mark.parametrize("kind", KINDS)
def test_pop_and_ack_find_the_rows_by_any_hint(session: Session, kind: str) -> None:
    ids = session.partitions(3)
    session.open_cursors(ids)
    old, old_partitions = spots(session, "cursors", ids), spots(session, "partitions", ids)
    session.push({number: ["one", "two"] for number in ids})
    session.rows("update {s}.cursors set retries = 0")
    hints = hints_of(kind, spots(session, "cursors", ids), old)
    rows = pop(session, ids, hints, hints_of(kind, spots(session, "partitions", ids), old_partitions))
    assert [(row.place, row.first_offset, len(row.payloads), row.head) for row in rows] == [
        (place, 0, 2, 2) for place in (1, 2, 3)
    ]
    leased = spots(session, "cursors", ids)
    assert [str(row.spot) for row in rows] == leased
    acked = sorted(ack(session, ids, 1, hints_of(kind, leased, old)), key=lambda row: int(row.place))
    assert [(row.place, row.acked_was, row.acked, row.released) for row in acked] == [
        (place, -1, 1, True) for place in (1, 2, 3)
    ]
    assert [str(row.spot) for row in acked] == spots(session, "cursors", ids)


def test_a_gone_partition_and_a_locked_one_have_no_place(session: Session, another: Callable[[], Session]) -> None:
    ids = session.partitions(3)
    right = spots(session, "partitions", ids)
    session.rows("delete from {s}.partitions where partition_id = %s", ids[0])
    locker = another()
    with locker.connection.transaction():
        locker.rows("select from {s}.partitions where partition_id = %s for update", ids[1])
        row = push(session, ids, "x", right)
    assert list(row.bases) == [-1, -1, 0]
    assert len(row.spots) == 1


def test_an_ack_that_waited_for_its_row_finds_it_where_it_lies_then(
    session: Session, another: Callable[[], Session]
) -> None:
    ids = session.partitions(1)
    session.open_cursors(ids)
    session.push({ids[0]: ["one"]})
    pop(session, ids, [None], [None])
    right = spots(session, "cursors", ids)
    mover = another()
    mover.rows("begin")
    mover.rows("update {s}.cursors set lease_until = lease_until + interval '1 minute' where partition_id = %s", ids[0])
    waiting = another()
    waiting.rows("set application_name = 'waits'")
    got: list[Row] = []
    thread = threading.Thread(target=lambda: got.extend(ack(waiting, ids, 0, right)))
    thread.start()
    while not session.one("select count(*) from pg_stat_activity where application_name = 'waits'"
                          " and wait_event_type = 'Lock'"):  # fmt: skip
        pass
    mover.rows("commit")
    thread.join()
    assert [(row.acked, row.released) for row in got] == [(0, True)]


def pages(session: Session, call: str) -> int:
    """Pages that a call touches, undone."""
    session.rows("begin")
    plan = session.one(f"explain (analyze, buffers, format json) select * from {{s}}.{call}")[0]["Plan"]
    session.rows("rollback")
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


ROUNDS = 3000
"""Of push and pop under a snapshot that keeps every version of two rows."""


def push_call(number: int, word: str, hint: str = "null") -> str:
    return f"push(array[{number}], array[1], array[1], array[{word}], array['1'], null, null, {hint})"


def pop_call(number: int, hints: str = "null, null") -> str:
    one = f"array[{number}], array['g'], array[1], array[1], array[null::uuid], array[0::bigint]"
    return f"pop_1({one}, false, 1000000, null, null, {hints})"


@pytest.mark.parametrize("hinted", [True, False])
def test_a_held_snapshot_makes_no_call_dearer(session: Session, another: Callable[[], Session], hinted: bool) -> None:
    [number] = session.partitions(1)
    session.open_cursors([number])
    session.push({number: ["first"]})
    holder = another()
    holder.rows("begin isolation level repeatable read")
    holder.rows("select count(*) from {s}.partitions")
    push, pop = push_call(number, "'m' || n"), pop_call(number)
    work = f"perform {session.schema}.{push}; perform {session.schema}.{pop}; commit;"
    session.rows("set synchronous_commit = off")
    session.rows(f"do $$ begin for n in 1 .. {ROUNDS} loop {work} end loop; end $$")
    cursor, partition = (f"array['{spots(session, table, [number])[0]}'::tid]" for table in ("cursors", "partitions"))
    calls = [push_call(number, "'x'"), pop_call(number)]
    if hinted:
        calls = [push_call(number, "'x'", partition), pop_call(number, f"{cursor}, {partition}")]
    for call in calls:
        pages(session, call)  # the first one of a session also reads the catalog
        assert pages(session, call) <= 30, call
    by_key = f"explain (analyze, buffers, format json) select from {{s}}.partitions where partition_id = {number}"
    assert session.one(by_key)[0]["Plan"]["Shared Hit Blocks"] > 30, "that is what is avoided"
    holder.rows("commit")
