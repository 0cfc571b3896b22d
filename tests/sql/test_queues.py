"""configure(), delete_queue() and delete_group(): the control plane's functions."""

from __future__ import annotations

from collections.abc import Callable

from tests.sql.client import Session, Signal

_TABLES = ("queues", "partitions", "cursors", "subscriptions", "dead_letters")


def _subscribe(session: Session, queue: str, group: str) -> None:
    queue_id = session.one("select queue_id from {s}.queues where name = %s", queue)
    session.call("subscribe", ("integer", "text", "text", "timestamptz"), queue_id, group, "all", None)


def test_configure_creates_a_queue_with_defaults(session: Session) -> None:
    row = session.configure("a.b")
    assert (row.namespace, row.task) == ("", "")
    assert row.options == session.one("select {s}.default_options()")
    assert row.options["leaseTime"] == 300
    assert session.one("select options from {s}.queues") == {}


def test_configure_merges_replaces_and_restores(session: Session) -> None:
    session.configure("q", leaseTime=10, retryLimit=5)
    merged = session.configure("q", retryLimit=7)
    assert (merged.options["leaseTime"], merged.options["retryLimit"]) == (10, 7)
    restored = session.configure("q", leaseTime=None)
    assert (restored.options["leaseTime"], restored.options["retryLimit"]) == (300, 7)
    replaced = session.configure("q", replace=True, leaseTime=11)
    assert (replaced.options["leaseTime"], replaced.options["retryLimit"]) == (11, 3)
    assert session.one("select options from {s}.queues") == {"leaseTime": 11}


def test_configure_keeps_namespace_and_task_unless_named(session: Session) -> None:
    session.partition(queue="parcels.scanned")
    kept = session.configure("parcels.scanned", leaseTime=5)
    assert (kept.namespace, kept.task) == ("parcels", "scanned")
    types = ("text", "text", "text", "boolean", "jsonb")
    named = session.call("configure", types, "parcels.scanned", "n", None, True, "{}")[0]
    assert (named.namespace, named.task) == ("n", "scanned")


def test_configure_sets_the_window_that_push_reads(session: Session) -> None:
    session.configure("q", dedupWindowSeconds=0)
    assert session.one("select dedup_window_s from {s}.queues") == 0
    session.configure("q", dedupWindowSeconds=None)
    assert session.one("select dedup_window_s from {s}.queues") == 3600


def test_delete_queue_takes_all_of_it_and_nothing_else(session: Session) -> None:
    kept = session.partition(queue="kept")
    gone = session.partition(queue="gone")
    for queue, number in (("kept", kept), ("gone", gone)):
        session.push({number: ["a", "b"]})
        _subscribe(session, queue, "g")
        session.open_cursors([number])
        session.pop(number)
        session.ack_failed(Signal(number, session.lease, dead=0))
    assert session.one("select {s}.delete_queue('gone')") is True
    assert session.one("select {s}.delete_queue('gone')") is False
    counts = {table: session.one(f"select count(*) from {{s}}.{table}") for table in _TABLES}
    assert counts == dict.fromkeys(_TABLES, 1)
    assert session.pop(kept)[0].transaction_ids == ["b"]


def test_a_deleted_queue_starts_anew_under_its_name(session: Session) -> None:
    old = session.partition()
    session.push({old: ["a", "b"]})
    assert session.one("select {s}.delete_queue('q')")
    new = session.partition()
    assert session.push({new: ["a"]}) == [0]
    session.open_cursors([new])
    assert session.pop(new)[0].transaction_ids == ["a"]
    assert session.push({old: ["late"]}) == [-1]


def test_delete_group_makes_the_next_contact_the_first(session: Session, another: Callable[[], Session]) -> None:
    ids = session.partitions(3)
    session.push({number: ["a"] for number in ids})
    for group in ("g", "h"):
        _subscribe(session, "q", group)
        session.open_cursors(ids, group)
        session.pop(*ids, group=group)
    assert session.one("select {s}.delete_group('g', false)") == 3
    assert session.one("select count(*) from {s}.subscriptions where consumer_group = 'g'") == 1
    session.open_cursors(ids)
    assert len(session.pop(*ids)) == 3
    assert session.one("select {s}.delete_group('g', true)") == 3
    assert session.one("select count(*) from {s}.subscriptions where consumer_group = 'g'") == 0
    assert session.one("select {s}.delete_group('g', true)") == 0
    assert all(session.cursor(number, "h").live for number in ids)


def test_delete_group_of_queue_mode_has_no_registration_and_works(session: Session) -> None:
    ids = session.partitions(2)
    session.open_cursors(ids, "__QUEUE_MODE__")
    assert session.one("select {s}.delete_group('__QUEUE_MODE__', true)") == 2


def test_a_list_of_dead_letters_looks_at_a_bounded_number(session: Session) -> None:
    p, types = (
        session.partition("p", "one"),
        ("text", "text", "text", "timestamptz", "timestamptz", "integer", "integer"),
    )
    session.rows(
        """insert into {s}.dead_letters
           select n, 1, %s, n, case n when 1 then 'oldest' when 9000 then 'old' else 'g' end, n, '1', 'e', 0, null,
                  null, now(), now()
             from generate_series(1, 101000) n""",
        p,
    )

    def found(group: str | None, limit: int, offset: int, queue: str | None = "one") -> tuple[list[int], set[int]]:
        rows = session.call("find_dead_letters", types, queue, group, None, None, None, limit, offset)
        return [row.dead_letter_id for row in rows], {row.total for row in rows}

    for queue in ("one", None):
        assert found(None, 2, 0, queue) == ([101_000, 100_999], {20_000})
        assert found(None, 2, 30_000, queue) == ([71_000, 70_999], {30_003})
        assert found("old", 2, 0, queue) == ([9000], {1})
        assert found("oldest", 2, 0, queue) == ([], set())
        assert found("g", 1, 19_999, queue) == ([81_001], {20_001})


def test_dead_letters_are_found_by_what_is_asked_for(session: Session) -> None:
    p, q = session.partition("p", "one"), session.partition("q", "two")
    for number in (p, q):
        session.push({number: ["a", "b"]})
        session.open_cursors([number])
        session.pop(number)
        session.ack_failed(Signal(number, session.lease, dead=0, error=f"no {number}"))
    types = ("text", "text", "text", "timestamptz", "timestamptz", "integer", "integer")
    every = session.call("find_dead_letters", types, None, None, None, None, None, 10, 0)
    assert [(row.queue, row.partition, row.error, row.total) for row in every] == [
        ("two", "q", f"no {q}", 2),
        ("one", "p", f"no {p}", 2),
    ]
    assert [row.queue for row in session.call("find_dead_letters", types, "one", "g", "p", None, None, 10, 0)] == [
        "one"
    ]
    assert session.call("find_dead_letters", types, None, "h", None, None, None, 10, 0) == []
    later = session.one("select now() + interval '1 second'")
    assert session.call("find_dead_letters", types, None, None, None, later, None, 10, 0) == []
    assert [row.queue for row in session.call("find_dead_letters", types, None, None, None, None, None, 1, 1)] == [
        "one"
    ]


def test_statistics_count_against_the_slowest_group(session: Session) -> None:
    p = session.partition()
    session.push({p: [f"m{n}" for n in range(10)]})
    for group in ("fast", "slow"):
        session.open_cursors([p], group)
    session.pop(p, group="fast", batch=8, auto=True)
    session.pop(p, group="slow", batch=2, auto=True)
    session.pop(p, group="slow", batch=3)
    queue_id = session.one("select queue_id from {s}.queues")
    row = session.call("queue_numbers", ("integer[]", "integer", "boolean"), [queue_id], 10, False)[0]
    assert (row.partitions, row.total, row.pending, row.processing, row.dead_letters) == (1, 10, 8, 3, 0)
    one = session.call("partition_stats", ("integer", "integer", "integer"), queue_id, 10, 0)[0]
    assert (one.name, one.total, one.pending, one.processing) == ("p", 10, 8, 3)
