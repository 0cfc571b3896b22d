"""seek() and what stands on it: where a cursor goes, what ends with it, and what may happen at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.sql.client import Row, Session, Signal
from tests.sql.test_epochs import _drain
from tests.sql.upkeep import close, expire, leave, pass_time, record
from tests.sql.waiting import until_blocked

NAMES = ["a0", "a1", "a2", "b0", "b1", "b2", "c0", "c1", "c2"]


def seek(session: Session, *partitions: int, at: datetime | None = None, group: str = "g") -> int:
    """How many cursors were set."""
    return int(session.call("seek", ("bigint[]", "text", "timestamptz"), list(partitions), group, at)[0][0])


def seek_queue(session: Session, queue: str = "q", at: datetime | None = None, limit: int = 2, group: str = "g") -> int:
    """All pages, as the store walks them; how many cursors were set."""
    queue_id = session.one("select queue_id from {s}.queues where name = %s", queue)
    count, after = 0, 0
    while True:
        types = ("integer", "text", "timestamptz", "bigint", "integer")
        row = session.call("seek_queue", types, queue_id, group, at, after, limit)[0]
        count += row.sought
        if row.after is None:
            return count
        after = row.after


def stored_at(session: Session, partition: int, offset: int) -> datetime:
    at = session.one('select created_at from {s}.messages where partition_id = %s and "offset" = %s', partition, offset)
    assert isinstance(at, datetime)
    return at


def next_offset(session: Session, partition: int, group: str = "g") -> int:
    return int(session.cursor(partition, group).acked) + 1


@pytest.fixture
def p(session: Session, request: pytest.FixtureRequest) -> int:
    """A partition with messages of three days, each day's at one time, and a group that has consumed all.

    Each day is an epoch, the older ones recorded, unless the parameter says otherwise."""
    number, epochs = session.partition(), getattr(request, "param", "closed epochs")
    for day, first in enumerate("abc"):
        if day:
            pass_time(session, 86_400)
            if epochs != "one epoch":
                session.open_epoch(day + 1)
        session.push({number: [f"{first}{n}" for n in range(3)]})
    if epochs == "closed epochs":
        record(session)
    session.open_cursors([number])
    assert _drain(session, number) == NAMES
    return number


def test_to_the_end_nothing_is_left_until_something_comes(session: Session, p: int) -> None:
    session.open_cursors([p], "fresh")
    assert seek(session, p, group="fresh") == 1
    assert next_offset(session, p, "fresh") == 9
    session.push({p: ["new"]})
    assert session.pop(p, group="fresh", epoch=session.examine(p, "fresh").epoch)[0].transaction_ids == ["new"]


EPOCHS = pytest.mark.parametrize("p", ["one epoch", "three epochs", "closed epochs"], indirect=True)


@EPOCHS
def test_to_the_time_of_a_message_the_first_of_that_time_is_next(session: Session, p: int) -> None:
    for offset in range(9):
        assert seek(session, p, at=stored_at(session, p, offset)) == 1
        first = offset // 3 * 3
        assert next_offset(session, p) == first
        assert _drain(session, p) == NAMES[first:]


@EPOCHS
def test_to_a_time_between_messages(session: Session, p: int) -> None:
    for days, first in [(9, 0), (1.5, 3), (0.5, 6), (-1, 9)]:
        assert seek(session, p, at=session.one("select now()") - timedelta(days=days)) == 1
        assert next_offset(session, p) == first
        assert _drain(session, p) == NAMES[first:]
    seek(session, p, at=stored_at(session, p, 2) + timedelta(microseconds=1))
    assert next_offset(session, p) == 3


def test_to_the_ends_of_the_calendar(session: Session, p: int) -> None:
    for year, first in [(1, 0), (9999, 9)]:
        seek(session, p, at=datetime(year, 1, 1, tzinfo=UTC))
        assert next_offset(session, p) == first


def test_many_messages_of_many_times_are_searched_by_halves(session: Session) -> None:
    p, q = session.partitions(2)
    session.push({p: [f"t{n}" for n in range(1000)], q: [f"t{n}" for n in range(7)]})
    session.rows("update {s}.messages set created_at = now() - (2000 - \"offset\") * interval '1 minute'")
    session.rows("update {s}.partitions set last_write_at = now()")
    for offset in (0, 1, 2, 499, 500, 777, 998, 999):
        at = stored_at(session, p, offset)
        seek(session, p, q, at=at)
        assert next_offset(session, p) == offset
        assert next_offset(session, q) == min(offset, 7)
        seek(session, p, at=at - timedelta(seconds=30))
        assert next_offset(session, p) == offset


@EPOCHS
def test_gaps_between_offsets_are_stepped_over(session: Session, p: int) -> None:
    at = stored_at(session, p, 3)
    session.rows('delete from {s}.messages where partition_id = %s and "offset" in (0, 3, 7)', p)
    seek(session, p, at=at)
    assert next_offset(session, p) <= 4
    assert _drain(session, p) == ["b1", "b2", "c0", "c2"]
    seek(session, p, at=at - timedelta(days=30))
    assert _drain(session, p) == ["a1", "a2", "b1", "b2", "c0", "c2"]


def test_below_the_oldest_kept_it_resumes_there(session: Session, p: int) -> None:
    early = stored_at(session, p, 0)
    session.configure("q", retentionEnabled=True, retentionSeconds=129_600)
    assert expire(session) == 3
    seek(session, p, at=early)
    assert _drain(session, p) == NAMES[3:]
    close(session)
    leave(session)
    seek(session, p, at=early)
    assert _drain(session, p) == NAMES[3:]


def test_in_an_empty_partition_both_ways_lead_to_the_first_message(session: Session) -> None:
    p, q = session.partitions(2)
    assert seek(session, p) == 1
    assert seek(session, q, at=session.one("select now() - interval '1 hour'")) == 1
    session.push({p: ["x"], q: ["y"]})
    assert [row.transaction_ids for row in session.pop(p, q)] == [["x"], ["y"]]


def test_a_partition_whose_messages_have_all_gone(session: Session) -> None:
    p = session.partition()
    session.push({p: ["x", "y"]})
    pass_time(session, 100)
    session.configure("q", retentionEnabled=True, retentionSeconds=50)
    assert expire(session) == 2
    for at in (None, session.one("select now() - interval '1 year'")):
        seek(session, p, at=at)
        assert next_offset(session, p) == 2


@pytest.mark.parametrize("days", [None, 9])
def test_a_live_lease_ends_and_its_late_ack_is_refused(session: Session, p: int, days: int | None) -> None:
    seek(session, p, at=stored_at(session, p, 6))
    session.pop(p, epoch=session.examine(p).epoch)
    lease = session.lease
    assert session.cursor(p).live
    seek(session, p, at=None if days is None else session.one("select now()") - timedelta(days=days))
    cursor = session.cursor(p)
    assert (cursor.lease_id, cursor.lease_until, cursor.lease_end) == (None, None, cursor.acked)
    assert session.ack(Signal(p, lease, completed=8)) == []
    assert session.ack_failed(Signal(p, lease, failed=7)) == []
    assert session.extend((lease, p, 60_000)) == []  # type: ignore[arg-type]
    assert session.cursor(p) == cursor


def test_counters_and_a_retry_delay_begin_anew(session: Session, p: int) -> None:
    session.configure("q", retryDelay=3_600_000, retryLimit=5)
    back = stored_at(session, p, 6)
    seek(session, p, at=back)
    session.pop(p, epoch=session.examine(p).epoch)
    session.ack_failed(Signal(p, session.lease, failed=6))
    before = session.cursor(p)
    assert (before.retries, before.deliveries) == (1, 1)
    assert session.examine(p).held_ms is not None
    seek(session, p, at=back)
    after = session.cursor(p)
    assert (after.retries, after.deliveries) == (0, 0)
    assert session.pop(p, epoch=session.examine(p).epoch)[0].attempt == 1


def test_missing_cursors_are_made_and_nothing_is_registered(session: Session, p: int) -> None:
    assert seek(session, p, group="fresh") == 1
    assert next_offset(session, p, "fresh") == 9
    assert session.rows("select * from {s}.subscriptions") == []


def test_queue_mode_is_sought_too(session: Session, p: int) -> None:
    assert seek(session, p, group="__QUEUE_MODE__") == 1
    assert next_offset(session, p, "__QUEUE_MODE__") == 9


def test_other_groups_and_partitions_stay_where_they_are(session: Session, p: int) -> None:
    q = session.partition("other")
    session.push({q: ["x"]})
    session.open_cursors([q])
    session.open_cursors([p], "h")
    before = (session.cursor(q), session.cursor(p, "h"))
    seek(session, p)
    assert (session.cursor(q), session.cursor(p, "h")) == before


def test_a_partition_that_is_gone_is_left_out(session: Session) -> None:
    p = session.partition()
    assert seek(session, p, 12_345) == 1
    assert seek(session, 12_345) == 0
    assert seek(session) == 0


def test_a_queue_is_walked_by_the_page(session: Session) -> None:
    partitions = session.partitions(3)
    other = session.partition(queue="other")
    session.push({p: ["x", "y"] for p in [*partitions, other]})
    for limit in (1, 2, 3, 100):
        session.rows("delete from {s}.cursors")
        assert seek_queue(session, limit=limit) == 3
        assert [next_offset(session, p) for p in partitions] == [2, 2, 2]
    assert session.rows("select * from {s}.cursors where partition_id = %s", other) == []


def test_a_queue_without_partitions_has_nothing_to_seek(session: Session) -> None:
    session.configure("empty")
    assert seek_queue(session, "empty") == 0


def test_one_partition_is_found_by_its_name(session: Session, p: int) -> None:
    types = ("text", "text", "text", "timestamptz")
    row = session.call("seek_partition", types, "q", "p", "g", None)[0]
    assert (row.queue_id, row.partition_id) == (session.one("select queue_id from {s}.queues"), p)
    assert session.call("seek_partition", types, "q", "other", "g", None) == []
    assert session.call("seek_partition", types, "other", "p", "g", None) == []


def test_a_group_that_was_only_sought_is_deleted_like_any_other(session: Session) -> None:
    p = session.partition()
    seek(session, p, group="only")
    assert session.one("select {s}.delete_group('only', true)") == 1
    assert session.rows("select * from {s}.cursors") == []
    assert session.rows("select * from {s}.group_stats") == []


# At the same time.


def test_a_seek_waits_for_an_ack_and_keeps_what_it_finished(session: Session, another: Callable[[], Session]) -> None:
    """The end is read after the ack: what was pushed, popped and acked meanwhile is not delivered again."""
    p = session.partition()
    session.push({p: ["a"]})
    session.open_cursors([p])
    seeker, worker = another(), another()
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(seek(seeker, p)))
    session.pop(p)
    with worker.connection.transaction():
        worker.ack(Signal(p, session.lease, completed=0))
        thread.start()
        until_blocked(session, seeker)
        session.push({p: ["b", "c"]})
    thread.join(60)
    assert found == [1]
    assert next_offset(session, p) == 3


def test_a_pop_passes_a_seek_under_way_by(session: Session, another: Callable[[], Session]) -> None:
    p = session.partition()
    session.push({p: ["a"]})
    session.open_cursors([p])
    seeker = another()
    with seeker.connection.transaction():
        seek(seeker, p)
        assert session.pop(p) == [], "it does not wait"
        assert session.push({p: ["b"]}) == [1], "nor does a push"
    assert session.pop(p)[0].transaction_ids == ["b"]


def test_a_queue_deleted_meanwhile_leaves_no_cursor(session: Session, another: Callable[[], Session]) -> None:
    p = session.partition()
    seeker, remover = another(), another()
    thread = threading.Thread(target=lambda: remover.rows("select {s}.delete_queue('q')"))
    with seeker.connection.transaction():
        assert seek(seeker, p) == 1
        thread.start()
        until_blocked(session, remover)
    thread.join(60)
    for table in ("queues", "partitions", "cursors", "group_stats"):
        assert session.rows(f"select * from {{s}}.{table}") == []


def test_a_seek_behind_a_deletion_finds_nothing(session: Session, another: Callable[[], Session]) -> None:
    p = session.partition()
    seeker, remover = another(), another()
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(seek(seeker, p)))
    with remover.connection.transaction():
        remover.rows("select {s}.delete_queue('q')")
        thread.start()
        until_blocked(session, seeker)
    thread.join(60)
    assert found == [0]
    assert session.rows("select * from {s}.cursors") == []


def test_seeks_among_pops_and_acks_leave_each_cursor_where_one_of_them_put_it(
    session: Session, another: Callable[[], Session]
) -> None:
    """Real connections, no order of their own: an ack under a lease that a seek ended never moves the cursor."""
    partitions = session.partitions(4)
    session.push({p: [f"t{n}" for n in range(40)] for p in partitions})
    session.open_cursors(partitions)
    begin = session.one("select now() - interval '1 day'")
    wrong: list[str] = []
    over = threading.Event()

    def work(own: Session) -> None:
        try:
            while not over.is_set():
                for row in own.pop(*partitions, batch=20):
                    p, last = partitions[row.place - 1], row.first_offset + len(row.payloads) - 1
                    for done in own.ack(Signal(p, own.lease, completed=last)):
                        if (done.acked_was, done.acked) != (row.first_offset - 1, last):
                            wrong.append(f"lease of {row.first_offset}–{last} moved {done.acked_was} to {done.acked}")
        except psycopg.Error as error:
            wrong.append(str(error))

    threads = [threading.Thread(target=work, args=(another(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(150):
            seek(session, *partitions, at=begin if turn % 3 else None)
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert wrong == []
    seek(session, *partitions, at=begin)
    rows: list[Row] = session.pop(*partitions, batch=1000)
    assert [row.first_offset for row in rows] == [0] * 4
    assert all(len(row.payloads) == 40 for row in rows)
