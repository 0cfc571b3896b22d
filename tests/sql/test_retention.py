"""Retention options: what each hides and what it leaves, alone and beside queues with other options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.sql.client import Session, Signal
from tests.sql.upkeep import close, epochs, expire, first_offset, leave, life, pass_time


def _push_all(session: Session, partition: int, *names: str) -> None:
    session.push({partition: list(names)})


def _subscribe(session: Session, queue: str, group: str, mode: str = "all") -> None:
    number = session.one("select queue_id from {s}.queues where name = %s", queue)
    session.call("subscribe", ("integer", "text", "text", "timestamptz"), number, group, mode, None)


def _consume(session: Session, partition: int, up_to: int, group: str = "g") -> None:
    session.open_cursors([partition], group)
    session.ack(Signal(partition, group=group, completed=up_to))


def _old_and_young(session: Session, **options: Any) -> int:
    """A partition with three messages that are a hundred seconds old and two young ones."""
    session.configure("q", **options)
    p = session.partition()
    _push_all(session, p, "a0", "a1", "a2")
    pass_time(session, 100)
    _push_all(session, p, "b0", "b1")
    return p


def test_a_queue_without_options_keeps_everything(session: Session) -> None:
    p = _old_and_young(session)
    _consume(session, p, 4)
    pass_time(session, 10**8)
    assert expire(session) == 0
    assert close(session) == 2
    assert leave(session) == [1, 2]
    assert len(session.stored(p)) == 5


def test_retention_seconds_need_the_switch(session: Session) -> None:
    p = _old_and_young(session, retentionSeconds=50, completedRetentionSeconds=50)
    assert expire(session) == 0
    assert first_offset(session, p) == 0


def test_old_messages_go_consumed_or_not_and_cursors_resume_at_the_oldest_kept(session: Session) -> None:
    p = _old_and_young(session, retentionEnabled=True, retentionSeconds=50)
    _consume(session, p, 0, "slow")
    _consume(session, p, 3, "fast")
    assert expire(session) == 3
    assert first_offset(session, p) == 3
    assert session.cursor(p, "slow").acked == 2
    assert session.cursor(p, "fast").acked == 3, "it was ahead"
    assert session.pop(p, group="slow")[0].transaction_ids == ["b0", "b1"]
    session.open_cursors([p], "later")
    assert session.cursor(p, "later").acked == 2, "later groups start at the oldest kept"
    assert expire(session) == 0
    pass_time(session, 100)
    assert expire(session) == 2
    assert session.cursor(p, "later").acked == 4
    assert session.pop(p, group="later") == []


def test_completed_messages_go_when_every_group_has_passed_them(session: Session) -> None:
    p = _old_and_young(session, retentionEnabled=True, completedRetentionSeconds=50)
    assert expire(session) == 0, "nobody has passed them"
    _consume(session, p, 4, "fast")
    _consume(session, p, 0, "slow")
    assert expire(session) == 1
    session.ack(Signal(p, group="slow", completed=4))
    assert expire(session) == 2, "the young ones stay"
    assert first_offset(session, p) == 3
    assert session.cursor(p, "slow").acked == 4


@pytest.mark.parametrize(("mode", "hidden"), [("all", 0), ("new", 3)])
def test_a_registered_group_that_never_came_holds_what_it_would_get(session: Session, mode: str, hidden: int) -> None:
    p = _old_and_young(session, retentionEnabled=True, completedRetentionSeconds=50)
    _subscribe(session, "q", "absent", mode)
    _consume(session, p, 4)
    assert expire(session) == hidden


def test_undelivered_messages_go_after_the_longest_wait(session: Session) -> None:
    p = _old_and_young(session, maxWaitTimeSeconds=50)
    _consume(session, p, 1)
    assert expire(session) == 3, "the third was not delivered"
    assert session.cursor(p).acked == 2
    assert session.rows("select * from {s}.dead_letters") == []


def test_what_was_delivered_to_all_is_not_touched_by_the_longest_wait(session: Session) -> None:
    p = _old_and_young(session, maxWaitTimeSeconds=50)
    _consume(session, p, 2)
    assert expire(session) == 0
    assert first_offset(session, p) == 0


def test_a_live_lease_counts_as_delivered_and_its_cursor_is_caught_up_later(session: Session) -> None:
    p = _old_and_young(session, maxWaitTimeSeconds=50)
    session.open_cursors([p])
    session.pop(p, batch=3)
    assert expire(session) == 0
    session.configure("q", retentionEnabled=True, retentionSeconds=50)
    assert expire(session) == 3
    assert session.cursor(p).acked == -1, "its lease is live"
    assert session.ack(Signal(p, session.lease, completed=0))[0].acked == 0, "and good"
    session.expire(p)
    assert expire(session) == 0
    assert session.cursor(p).acked == 2
    assert session.pop(p)[0].transaction_ids == ["b0", "b1"]


def test_a_partition_that_another_call_holds_is_left_for_the_next_time(
    session: Session, another: Callable[[], Session]
) -> None:
    p = _old_and_young(session, retentionEnabled=True, retentionSeconds=50)
    other = another()
    with other.connection.transaction():
        other.push({p: ["new"]})
        assert expire(session) == 0
    assert expire(session) == 3


def test_a_second_look_at_what_has_not_changed_reads_no_message(session: Session) -> None:
    _old_and_young(session, retentionEnabled=True, retentionSeconds=50)
    expire(session)
    before = _reads(session)
    for _ in range(5):
        assert expire(session) == 0
    assert _reads(session) == before


def _reads(session: Session) -> int:
    """Index look-ups in the newest child so far, by this connection too."""
    session.rows(
        "select pg_stat_force_next_flush()" if session.connection.info.server_version >= 150000 else "select 1"
    )
    session.rows("select pg_stat_clear_snapshot()")
    return int(
        session.one("select sum(idx_scan) + sum(seq_scan) from pg_stat_user_tables where relname ~ '^messages_[0-9]+$'")
    )


@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_the_walk_goes_page_by_page_over_all_queues_with_options(session: Session, limit: int) -> None:
    kept = session.partitions(3, "kept")
    session.push({number: ["k"] for number in kept})
    parts: list[int] = []
    for name in ("one", "two"):
        session.configure(name, retentionEnabled=True, retentionSeconds=50)
        parts += session.partitions(3, name)
    session.push({number: ["a", "b"] for number in sorted(parts)})
    pass_time(session, 100)
    assert expire(session, limit) == 12
    assert {first_offset(session, number) for number in parts} == {2}
    assert {first_offset(session, number) for number in kept} == {0}


def test_offsets_are_found_by_time_over_many_epochs(session: Session) -> None:
    p = session.partition()
    for name in "abcdef":
        _push_all(session, p, *[f"{name}{n}" for n in range(7)])
        pass_time(session, 100)
        if name != "e":
            close(session)
    for age, offset in ((1000, 0), (550, 7), (450, 14), (350, 21), (250, 28), (150, 35), (50, 42)):
        found = session.one("select {s}.offset_at(%s, now() - %s * interval '1 second')", p, age)
        assert found == offset, age
    session.rows("update {s}.partitions set first_offset = 17")
    assert session.one("select {s}.offset_at(%s, now() - interval '1000 seconds')", p) == 17


def test_queues_with_different_options_share_children_and_only_the_dead_leave(session: Session) -> None:
    session.configure("brief", retentionEnabled=True, retentionSeconds=50, dedupWindowSeconds=0)
    session.configure("window", retentionEnabled=True, retentionSeconds=50, dedupWindowSeconds=500)
    brief, window = session.partition(queue="brief"), session.partition(queue="window")
    gone, forever = session.partition(queue="gone"), session.partition(queue="forever")
    session.push({brief: ["x"], window: ["x"], gone: ["x"]})
    close(session)
    session.push({brief: ["y"], forever: ["y"]})
    close(session)
    session.push({brief: ["z"]})
    pass_time(session, 100)
    assert expire(session) == 4
    session.one("select {s}.delete_queue('gone')")
    assert leave(session) == [1, 2, 3], "window still needs the transaction id in 1, forever the message in 2"
    assert tuple(life(session, 1)) == (3, 1, 0)
    assert session.push_deduplicating({window: ["x"]}) == [(0, True)]
    pass_time(session, 500)
    assert leave(session) == [2, 3]
    assert session.stored(forever) == [(0, "y")]
    assert session.push({window: ["x"]}) == [1]
    session.open_cursors([forever])
    assert session.pop(forever, epoch=2)[0].transaction_ids == ["y"]


def test_a_scheduled_message_keeps_its_epoch(session: Session) -> None:
    session.configure("q", retentionEnabled=True, retentionSeconds=50, dedupWindowSeconds=0)
    p = session.partition()
    _push_all(session, p, "a")
    session.rows(
        'insert into {s}.messages (partition_id, "offset", created_at, queue_id, epoch, status, transaction_id,'
        " payload, scheduled_at) select partition_id, -1, created_at, queue_id, epoch, 'scheduled', 'later', '1',"
        " now() + interval '1 hour' from {s}.messages"
    )
    close(session)
    pass_time(session, 100)
    assert expire(session) == 1
    assert tuple(life(session, 1)) == (1, 0, 1)
    assert leave(session) == [1, 2]
    session.rows('delete from {s}.messages where "offset" < 0')
    assert leave(session) == [2]


def test_a_cursor_behind_is_moved_before_its_epoch_goes_and_a_live_lease_keeps_it(session: Session) -> None:
    p = _old_and_young(session, retentionEnabled=True, retentionSeconds=50, dedupWindowSeconds=0)
    session.open_cursors([p])
    session.pop(p, batch=3)
    close(session)
    pass_time(session, 100)
    assert expire(session) == 5
    assert leave(session) == [1, 2]
    session.expire(p)
    session.configure("q", replace=True, dedupWindowSeconds=0)
    assert leave(session) == [2]
    assert session.cursor(p).acked == 4
    _push_all(session, p, "c0")
    assert session.examine(p).epoch == 2
    assert session.pop(p, epoch=2)[0].transaction_ids == ["c0"]


def test_a_cursor_in_a_dropped_epoch_goes_on_in_the_next_one(session: Session) -> None:
    session.configure("q", retentionEnabled=True, retentionSeconds=50, dedupWindowSeconds=0)
    p = session.partition()
    _push_all(session, p, "a")
    session.open_cursors([p])
    close(session)
    close(session)
    pass_time(session, 100)
    _push_all(session, p, "b")
    assert expire(session) == 1
    session.rows("update {s}.cursors set epoch = 1")
    assert leave(session) == [3]
    session.next_epoch(p)
    assert session.examine(p).epoch == 3
    assert session.pop(p, epoch=3)[0].transaction_ids == ["b"]


def test_statistics_count_what_is_kept(session: Session) -> None:
    _old_and_young(session, retentionEnabled=True, retentionSeconds=50)
    expire(session)
    session.rows("analyze")
    queue_id = session.one("select queue_id from {s}.queues")
    row = session.call("queue_numbers", ("integer[]", "integer", "boolean"), [queue_id], 10, False)[0]
    assert (row.total, row.pending) == (2, 2)
    assert row.retained_bytes > 2 * 100
    oldest = session.call("partition_stats", ("integer", "integer", "integer"), queue_id, 10, 0)[0]
    assert oldest.oldest == oldest.newest
    assert epochs(session) == [1]
