"""Epochs leave: rewritten when mostly dead, emptied, dropped; cut off at every step, held up, done by two at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import psycopg
import pytest

from tests.sql.client import Row, Session, Signal
from tests.sql.upkeep import close, copy, epochs, expire, first_offset, leave, life, pass_time, step

STEPS = {
    "record_spans": ("integer", "bigint", "integer"),
    "copy_needed": ("integer", "integer", "integer"),
    "swap_epoch": ("integer", "integer"),
    "empty_epoch": ("integer", "integer"),
    "drop_epoch": ("integer", "integer"),
}


def _mostly_dead(session: Session) -> tuple[int, int]:
    """Epoch 1 with 90 dead messages of one partition and ten of another that stay for ever, whose group stands at 3."""
    session.configure("dead", retentionEnabled=True, retentionSeconds=50, dedupWindowSeconds=0)
    dead, kept = session.partition(queue="dead"), session.partition(queue="kept")
    session.push({dead: [f"d{n}" for n in range(90)], kept: [f"k{n}" for n in range(10)]})
    session.open_cursors([kept])
    session.pop(kept, batch=6)
    session.ack(Signal(kept, session.lease, completed=3))
    close(session)
    pass_time(session, 100)
    assert expire(session) == 90
    return dead, kept


def _messages(session: Session, partition: int) -> list[tuple[object, ...]]:
    rows = session.rows('select * from {s}.messages where partition_id = %s order by "offset"', partition)
    return [tuple(row) for row in rows]


def _deletes(session: Session) -> int:
    session.rows("select pg_stat_clear_snapshot()")
    return int(session.one("select coalesce(sum(n_tup_del), 0) from pg_stat_user_tables where relname ~ '^messages'"))


@pytest.mark.parametrize("limit", [3, 1000])
def test_a_rewrite_keeps_order_ids_leases_and_duplicates(
    session: Session, another: Callable[[], Session], limit: int
) -> None:
    dead, kept = _mostly_dead(session)
    assert tuple(life(session, 1)) == (100, 10, 0)
    before, cursor = _messages(session, kept), session.cursor(kept)
    lease = session.lease
    assert copy(session, 1, limit) == (4 if limit == 3 else 1)
    assert step(session, "swap_epoch", 1)
    session.open_epoch(99)
    session.one("select {s}.create_child('messages_99_old', 99)")
    reader = another()
    with reader.connection.transaction():
        reader.rows("select count(*) from {s}.messages_99_old")
        assert session.one("select {s}.drop_leftovers(50)") is None, "one is in use"
    assert session.one("select {s}.drop_leftovers(50)") == 1, "the other went before"
    assert tuple(life(session, 1)) == (10, 10, 0)
    assert _messages(session, kept) == before
    assert _messages(session, dead) == []
    assert session.cursor(kept) == cursor
    assert session.push_deduplicating({kept: ["k5"]}) == [(5, True)]
    assert session.locate((kept, "k5", -1, 9)) == [5]
    assert session.ack(Signal(kept, lease, completed=5))[0].released
    assert session.pop(kept, epoch=1)[0].transaction_ids == ["k6", "k7", "k8", "k9"]
    assert session.push({dead: ["new"]}) == [90]
    assert _deletes(session) == 0
    assert not step(session, "swap_epoch", 1), "nothing to swap"
    indexes = "select count(*) from pg_index where indrelid = '{s}.messages_%s'::regclass"
    assert session.one(indexes % 1) == session.one(indexes % 2) == 4


def test_scheduled_messages_go_along_with_a_rewrite(session: Session) -> None:
    _, kept = _mostly_dead(session)
    session.rows(
        'insert into {s}.messages (partition_id, "offset", created_at, queue_id, epoch, status, transaction_id,'
        " payload, scheduled_at) select partition_id, -1, created_at, queue_id, epoch, 'scheduled', 'later', '1',"
        " now() + interval '1 hour' from {s}.messages where transaction_id = 'k0'"
    )
    copy(session, 1)
    assert step(session, "swap_epoch", 1)
    assert [row[1] for row in _messages(session, kept)] == [-1, *range(10)]


@pytest.mark.parametrize("function", sorted(STEPS))
def test_a_step_that_is_cut_off_leaves_nothing_half_done(
    session: Session, another: Callable[[], Session], function: str
) -> None:
    dead, kept = _mostly_dead(session)
    before = _messages(session, kept)
    if function in ("empty_epoch", "drop_epoch"):
        session.one("select {s}.delete_queue('kept')")
        if function == "drop_epoch":
            assert step(session, "empty_epoch", 1)
    elif function == "record_spans":
        session.rows("update {s}.epochs set recorded_at = null")
        session.rows("delete from {s}.spans")
    else:
        copy(session, 1, 4)
    victim = another()
    pid = victim.connection.info.backend_pid
    victim.connection.execute("begin")
    values = {"record_spans": (1, 0, 1), "copy_needed": (1, 2, 50)}.get(function, (1, 50))
    victim.call(function, STEPS[function], *values)
    session.one("select pg_terminate_backend(%s, 60000)", pid)
    # The next tick finishes.
    if function == "record_spans":
        close(session)
        assert tuple(life(session, 1)) == (100, 10, 0)
    if function in ("empty_epoch", "drop_epoch"):
        assert 1 not in leave(session) or (step(session, "drop_epoch", 1) and 1 not in epochs(session))
        assert _messages(session, dead) == []
        return
    copy(session, 1)
    assert step(session, "swap_epoch", 1)
    assert _messages(session, kept) == before
    assert session.push_deduplicating({kept: ["k0"]}) == [(0, True)]


@pytest.mark.parametrize("function", ["rotate", "empty_epoch", "swap_epoch"])
def test_of_two_leaders_one_does_the_work(session: Session, another: Callable[[], Session], function: str) -> None:
    _mostly_dead(session)
    copy(session, 1)
    if function == "empty_epoch":
        session.one("select {s}.delete_queue('kept')")
    number = 2 if function == "rotate" else 1
    other = another()
    with other.connection.transaction():
        assert other.call(function, ("integer", "integer"), number, 50)[0][0]
        assert not session.call(function, ("integer", "integer"), number, 50)[0][0]
    assert not session.call(function, ("integer", "integer"), number, 50)[0][0], "it is done"


def test_a_long_reader_delays_the_drop_alone(session: Session, another: Callable[[], Session]) -> None:
    dead, _ = _mostly_dead(session)
    session.one("select {s}.delete_queue('kept')")
    reader = another()
    with reader.connection.transaction():
        reader.rows("select count(*) from {s}.messages_1")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            step(session, "empty_epoch", 1)
        began = time.monotonic()
        assert session.push({dead: ["more"]}) == [90]
        assert session.call("rotate", ("integer", "integer"), 2, 50)[0][0] == 3
        assert time.monotonic() - began < 10, "nobody stands behind the reader"
    assert 1 not in leave(session)


def test_a_reader_of_messages_makes_the_drop_give_up_soon(session: Session, another: Callable[[], Session]) -> None:
    _mostly_dead(session)
    session.one("select {s}.delete_queue('kept')")
    assert step(session, "empty_epoch", 1)
    reader = another()
    with reader.connection.transaction():
        reader.rows("lock table {s}.messages in access share mode")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            step(session, "drop_epoch", 1)
    assert step(session, "drop_epoch", 1)
    assert session.rows("select proname from pg_proc where proname = 'pop_1'") == []


def test_an_epoch_is_not_recorded_while_somebody_may_still_write_there(
    session: Session, another: Callable[[], Session]
) -> None:
    p = session.partition()
    session.push({p: ["a"]})
    late = another()
    with late.connection.transaction():
        late.rows("select 1")
        session.open_epoch(2)
        close(session)
        assert session.rows("select epoch from {s}.epochs where recorded_at is not null") == []
    close(session)
    assert session.one("select count(*) from {s}.epochs where recorded_at is not null") == 3


def test_epochs_are_rewritten_and_dropped_while_a_crowd_works(session: Session, another: Callable[[], Session]) -> None:
    """Producers and consumers of a queue that keeps all, and of one that keeps nothing, while epochs come and go."""
    session.configure("dead", retentionEnabled=True, retentionSeconds=1, dedupWindowSeconds=0)
    kept, dead = session.partition(queue="kept"), session.partition(queue="dead")
    session.open_cursors([kept, dead])
    seen: list[str] = []
    stop = threading.Event()
    failed: list[str] = []

    def produce(own: Session, partition: int, count: int) -> None:
        number = 0
        while not stop.is_set():
            names = [f"{partition}-{number + n}" for n in range(count)]
            try:
                own.push({partition: names})
            except (psycopg.errors.UndefinedTable, psycopg.errors.CheckViolation):
                continue  # What `translate` calls Contention; the engine repeats it too.
            number += count

    def consume(own: Session) -> None:
        while not stop.is_set():
            row = _pop_on(own, kept)
            if row is not None:
                seen.extend(row.transaction_ids)
                last = own.cursor(kept).lease_end
                assert own.ack(Signal(kept, own.lease, completed=last))[0].released

    def guarded(work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except Exception as error:
                failed.append(repr(error))

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    one, two, three = another(), another(), another()
    threads = [
        guarded(lambda: produce(one, kept, 2)),
        guarded(lambda: produce(two, dead, 40)),
        guarded(lambda: consume(three)),
    ]
    rewritten = 0
    ends_at = time.monotonic() + 8
    while time.monotonic() < ends_at and not failed:
        close(session)
        expire(session)
        for epoch in epochs(session)[:-1]:
            rewritten += _rewrite_if_dead(session, epoch)
    stop.set()
    for thread in threads:
        thread.join(60)
    assert failed == []
    names = [name for _, name in session.stored(kept)]
    while (row := _pop_on(session, kept)) is not None:
        seen.extend(row.transaction_ids)
        session.ack(Signal(kept, session.lease, completed=session.cursor(kept).lease_end))
    assert seen == names == [f"{kept}-{n}" for n in range(len(names))]
    assert rewritten > 0
    assert first_offset(session, dead) > 0
    assert _deletes(session) == 0
    print(f"messages kept {len(names)}, epochs rewritten {rewritten}, epochs left {len(epochs(session))}")


def _rewrite_if_dead(session: Session, epoch: int) -> int:
    found = life(session, epoch)
    try:
        session.one("select {s}.drop_leftovers(50)")
        if found.stored and found.needed * 2 < found.stored and found.needed:
            copy(session, epoch, 500)
            return int(step(session, "swap_epoch", epoch))
        if found.needed == 0 and step(session, "empty_epoch", epoch):
            step(session, "drop_epoch", epoch)
    except psycopg.errors.LockNotAvailable:
        pass
    return 0


def _pop_on(session: Session, partition: int) -> Row | None:
    """One pop where the cursor stands, and on to the next epoch; a pop of an epoch that was dropped is a miss."""
    for _ in range(20):
        standing = session.examine(partition)
        try:
            rows = session.pop(partition, batch=50, epoch=standing.epoch)
        except (psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedTable):
            rows = []
        if rows or standing.acked + 1 >= standing.head:
            return rows[0] if rows else None
        session.next_epoch(partition)
    raise AssertionError("the cursor does not get on")
