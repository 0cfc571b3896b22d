"""Signs of life, the lead and announcements in the database: one leader whatever happens at once, and few rows."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

import pytest

from tests.sql.client import Session
from tests.sql.waiting import until, until_blocked

HALF = "select floor(extract(epoch from clock_timestamp()) / 15)::bigint"
BEAT = "select leads from {s}.beat(%s, 'test', 4, %s)"


def test_two_that_take_the_lead_at_once_do_not_both_get_it(session: Session, another: Callable[[], Session]) -> None:
    other, leads = another(), []
    with session.connection.transaction():
        assert session.one(BEAT, uuid.UUID(int=1), 60_000) is True
        beat = threading.Thread(target=lambda: leads.append(other.one(BEAT, uuid.UUID(int=2), 60_000)))
        beat.start()
        until_blocked(another(), other)
    beat.join()
    assert leads == [False]


def test_beats_never_wait_for_each_other_in_a_circle(session: Session, another: Callable[[], Session]) -> None:
    """One is given up while it renews itself: the leader leaves its row alone instead of waiting for it."""
    late, leader = another(), another()
    session.one(BEAT, uuid.UUID(int=1), 10)
    session.rows("update {s}.instances set seen_at = '-infinity'")
    session.rows("update {s}.leader set lease_until = '-infinity'")
    with late.connection.transaction():
        late.rows("update {s}.instances set seen_at = seen_at")
        assert leader.one(BEAT, uuid.UUID(int=2), 60_000) is True
    assert session.one("select count(*) from {s}.instances") == 2
    leader.one(BEAT, uuid.UUID(int=2), 60_000)
    assert session.one("select count(*) from {s}.instances") == 1, "given up for long, and not locked any more"


@pytest.mark.parametrize("call", [BEAT, "select {s}.announce(%s, %s, '{{}}', 'x')"])
def test_nobody_waits_for_the_disk(session: Session, call: str) -> None:
    session.one("select set_config('synchronous_commit', 'on', false)")
    with session.connection.transaction():
        session.one(call, uuid.UUID(int=1), 5000)
        assert session.one("show synchronous_commit") == "off"
    assert session.one("show synchronous_commit") == "on", "for this transaction alone"


def test_a_beat_is_a_hot_update(session: Session) -> None:
    for _ in range(100):
        session.one(BEAT, uuid.UUID(int=1), 60_000)
    for table in ("instances", "leader"):
        until(
            lambda table=table: session.one(  # type: ignore[misc]
                "select n_tup_upd > 50 and n_tup_hot_upd = n_tup_upd from pg_stat_user_tables where relname = %s", table
            ),
            f"updates of {table} to be counted, and to be HOT",
        )


def test_an_announcement_is_heard_on_the_channel_of_the_schema(
    session: Session, another: Callable[[], Session]
) -> None:
    ear = another()
    ear.rows("listen queen")
    session.rows("select {s}.announce(%s, 7, '{{}}', 'the payload')", uuid.UUID(int=1))
    assert [one.payload for one in ear.connection.notifies(timeout=60, stop_after=1)] == ["the payload"]


def test_the_table_at_rest_is_emptied_in_the_second_half_of_a_turn(session: Session) -> None:
    until(lambda: session.one(f"{HALF} % 2 = 1"), "the second half of a turn")
    before = session.one(HALF)
    for n in (0, 1):
        session.rows(f"insert into {{s}}.changes_{n} values (now(), 1, %s, '{{{{}}}}')", uuid.UUID(int=1))
    assert session.one("select {s}.trim_changes()") is True
    assert session.one("select {s}.trim_changes()") is False, "nothing is left to do"
    rows = [session.one(f"select count(*) from {{s}}.changes_{n}") for n in (0, 1)]
    if session.one(HALF) == before:
        active = before // 2 % 2
        assert (rows[active], rows[1 - active]) == (1, 0)


def test_trimming_waits_for_no_reader_for_long(session: Session, another: Callable[[], Session]) -> None:
    until(lambda: session.one(f"{HALF} % 2 = 1"), "the second half of a turn")
    reader = another()
    for n in (0, 1):
        session.rows(f"insert into {{s}}.changes_{n} values (now(), 1, %s, '{{{{}}}}')", uuid.UUID(int=1))
    with reader.connection.transaction():
        reader.rows("select count(*) from {s}.changes_0")
        reader.rows("select count(*) from {s}.changes_1")
        assert session.one("select {s}.trim_changes()") is False
