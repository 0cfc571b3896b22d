"""enqueue(): messages in the caller's own transaction. Its rollbacks, its order, and that nobody waits for it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.sql.client import Session
from tests.sql.enqueuing import clear, enqueue, enqueue_many, order, place, waiting


@pytest.fixture
def session(module_dsn: str) -> Iterator[Session]:
    """A session on a database that the tests of this file share."""
    with Session(module_dsn) as opened:
        yield opened
        clear(opened)


@pytest.fixture
def another(module_dsn: str) -> Iterator[Callable[[], Session]]:
    """Opens further sessions there."""
    opened: list[Session] = []

    def open_one() -> Session:
        opened.append(Session(module_dsn))
        return opened[-1]

    yield open_one
    for one in opened:
        one.connection.close()


def test_a_commit_is_placed_and_queue_and_partition_are_there(session: Session) -> None:
    assert enqueue(session, "a") == "a"
    assert session.rows("select 1 from {s}.queues") == []
    moved = place(session)
    p = session.partition()
    assert (moved.partition_ids, moved.heads, moved.placed, moved.duplicates) == ([p], [1], 1, 0)
    assert (moved.due_ms, moved.more, moved.blocked_queues) == (None, False, [])
    assert order(session) == ["a"]
    assert waiting(session) == 0


def test_a_rollback_leaves_nothing(session: Session) -> None:
    with session.connection.transaction(force_rollback=True):
        enqueue(session, "a")
    assert waiting(session) == 0
    assert place(session).placed == 0


def test_a_savepoint_takes_its_own_messages_back(session: Session) -> None:
    with session.connection.transaction():
        enqueue(session, "a")
        with session.connection.transaction(force_rollback=True):
            enqueue_many(session, ["x", "y"])
        enqueue(session, "b")
        with session.connection.transaction():
            enqueue(session, "c")
    place(session)
    assert order(session) == ["a", "b", "c"]


def test_nothing_is_placed_before_the_commit(session: Session, another: Callable[[], Session]) -> None:
    caller = another()
    with caller.connection.transaction():
        enqueue(caller, "a")
        assert place(session).placed == 0
    assert place(session).placed == 1


def test_the_order_of_one_transaction_is_kept_over_calls_and_partitions(session: Session) -> None:
    with session.connection.transaction():
        for n in range(30):
            enqueue_many(session, [f"{n:02}a", f"{n:02}b"], partition=f"p{n % 2}")
    while place(session, limit=7).more:
        pass
    for n in range(2):
        found = order(session, f"p{n}")
        assert found == sorted(found)
        assert len(found) == 30


def test_a_thousand_by_one_call(session: Session) -> None:
    names = [f"{n:04}" for n in range(1000)]
    enqueue_many(session, names)
    assert place(session).placed == 1000
    assert order(session) == names


def test_many_take_partitions_and_mint_ids(session: Session) -> None:
    ids = session.one(
        "select {s}.enqueue_many('q', array['x', 'y', null], array['1', '2', '3'], array[null, 'own', ''])"
    )
    assert ids[1] == "own"
    assert [uuid.UUID(ids[n]).version for n in (0, 2)] == [7, 7]
    place(session)
    assert [order(session, name) for name in ("x", "y", "Default")] == [[ids[0]], ["own"], [ids[2]]]


def test_a_minted_id_carries_the_time(session: Session) -> None:
    text, ms = session.rows(
        "select {s}.new_transaction_id(), floor(extract(epoch from clock_timestamp()) * 1000)::bigint"
    )[0]
    assert abs((uuid.UUID(text).int >> 80) - ms) < 60_000
    assert uuid.UUID(text).variant == uuid.RFC_4122


def test_names_of_arguments_can_be_given(session: Session) -> None:
    trace = uuid.uuid4()
    session.rows("select {s}.enqueue(queue => 'q', partition => 'p', payload => '[1]', trace_id => %s)", trace)
    place(session)
    [row] = session.rows("select payload, trace_id, status, first_id from {s}.messages")
    assert tuple(row) == ("[1]", trace, "pending", None)


@pytest.mark.parametrize(
    "reset", ["reset all", "set local queen_enqueue.last = ''", "set local queen_enqueue.last = '1:x'"]
)
def test_the_order_does_not_hang_on_a_setting_of_the_session(session: Session, reset: str) -> None:
    with session.connection.transaction():
        for n in range(5):
            enqueue_many(session, [f"{n}a", f"{n}b"])
            session.rows(reset)
    place(session)
    assert order(session) == [f"{n}{name}" for n in range(5) for name in "ab"]


@pytest.mark.parametrize("level", list(psycopg.IsolationLevel)[1:])
def test_callers_of_every_isolation_level(
    session: Session, another: Callable[[], Session], level: psycopg.IsolationLevel
) -> None:
    callers = [another() for _ in range(3)]
    for caller in callers:
        caller.connection.isolation_level = level
        caller.connection.autocommit = False
        enqueue(caller, "a", str(id(caller)))
    for caller in callers:
        enqueue(caller, "b", str(id(caller)))
    for caller in callers:
        caller.connection.commit()
    assert place(session).placed == 6
    for caller in callers:
        assert order(session, str(id(caller))) == ["a", "b"]


def test_duplicates_are_dropped_when_they_are_placed(session: Session) -> None:
    p = session.partition()
    session.push({p: ["old"]})
    enqueue_many(session, ["old", "a", "a", "b"])
    enqueue(session, "b")
    moved = place(session)
    assert (moved.placed, moved.duplicates, moved.heads) == (2, 3, [3])
    assert order(session) == ["old", "a", "b"]
    assert waiting(session) == 0


def test_a_message_for_later_waits_like_a_pushed_one(session: Session) -> None:
    enqueue(session, "later", delay=60)
    enqueue(session, "now")
    moved = place(session)
    assert (moved.placed, moved.heads) == (2, [1])
    assert 0 < moved.due_ms <= 60_000
    assert order(session) == ["now"]
    session.ripen()
    session.place_due()
    assert order(session) == ["now", "later"]


def test_a_time_that_has_passed_means_now(session: Session) -> None:
    session.rows("select {s}.enqueue('q', 'p', '1', 'a', scheduled_at => '2020-01-01')")
    assert place(session).due_ms is None
    assert order(session) == ["a"]


@pytest.mark.parametrize(
    ("state", "call"),
    [
        ("QN010", "enqueue(null, 'p', '1')"),
        ("QN010", "enqueue(repeat('x', 256), 'p', '1')"),
        ("QN010", "enqueue('q', repeat('x', 256), '1')"),
        ("QN010", "enqueue('q', 'p', '1', repeat('x', 256))"),
        ("QN010", "enqueue('q', 'p', '1', delay_seconds => -1)"),
        ("QN010", "enqueue('q', 'p', '1', delay_seconds => 'NaN')"),
        ("QN010", "enqueue('q', 'p', '1', delay_seconds => 1, scheduled_at => now())"),
        ("QN010", "enqueue_many('q', array['p', 'p'], array['1', '2', '3'])"),
        ("QN010", "enqueue_many('q', null, array['1', '2'], array['a'])"),
        ("QN011", "enqueue('q', 'p', null)"),
        ("QN011", "enqueue('q', 'p', '')"),
        ("QN011", "enqueue('q', 'p', '{{')"),
        ("QN011", "enqueue('q', 'p', 'NaN')"),
        ("QN011", "enqueue('q', 'p', repeat('[', 1000000))"),
        ("QN012", "enqueue('q', 'p', '\"' || repeat('x', 16777215) || '\"')"),
    ],
)
def test_what_can_never_work_is_refused_with_a_state_and_a_hint(session: Session, state: str, call: str) -> None:
    with pytest.raises(psycopg.Error) as refused:
        session.rows("select {s}." + call)
    assert refused.value.sqlstate == state
    assert refused.value.diag.message_hint
    assert waiting(session) == 0


def test_a_queue_that_is_encrypted_takes_nothing_plain(session: Session) -> None:
    session.configure("secret", encryptionEnabled=True)
    session.configure("open", encryptionEnabled=False)
    with pytest.raises(psycopg.Error) as refused:
        enqueue(session, "a", queue="secret")
    assert (refused.value.sqlstate, waiting(session)) == ("QN013", 0)
    assert refused.value.diag.message_hint
    enqueue(session, "a", queue="open")
    session.configure("secret", encryptionEnabled=False)
    enqueue(session, "b", queue="secret")
    assert place(session).placed == 2


def test_the_message_at_fault_is_named(session: Session) -> None:
    with pytest.raises(psycopg.Error, match="payload 2 is not JSON"):
        session.rows("select {s}.enqueue_many('q', null, array['1', '{{', '3'])")


def test_nothing_to_store_is_no_error(session: Session) -> None:
    assert session.one("select {s}.enqueue_many('q', null, '{{}}')") == []


@pytest.mark.parametrize("payload", ["null", " 1 ", '"\\u0000"', '{"a":1,"a":2}', "1e400"])
def test_json_is_kept_as_it_is(session: Session, payload: str) -> None:
    session.rows("select {s}.enqueue('q', 'p', %s)", payload)
    place(session)
    assert session.one("select payload from {s}.messages") == payload


def test_a_role_needs_two_rights(session: Session, another: Callable[[], Session]) -> None:
    role = f"queen_test_{uuid.uuid4().hex[:8]}"
    caller = another()
    session.rows(f"create role {role}")
    try:
        session.rows(f"grant {role} to current_user")
        session.rows(f"grant usage on schema {{s}} to {role}")
        session.rows(f"grant insert on {{s}}.enqueued to {role}")
        caller.rows(f"set role {role}")
        assert enqueue(caller, "a") == "a"
        caller.rows("create temporary table queues as select 'q' as name, '{{}}'::jsonb as options")
        session.configure("q", encryptionEnabled=True)
        with pytest.raises(psycopg.Error, match="encrypted"):
            enqueue(caller, "b")
        session.configure("q", encryptionEnabled=False)
        caller.rows("reset role")
        assert place(session).placed == 1
    finally:
        caller.connection.close()
        session.rows(f"drop owned by {role}")
        session.rows(f"drop role {role}")


# A caller that takes its time.


@pytest.fixture
def impatient(session: Session) -> Session:
    """The session, which fails rather than waits for a lock."""
    session.rows("set lock_timeout = '1s'")
    return session


def test_an_open_caller_blocks_neither_pushes_nor_pops_nor_creation(
    impatient: Session, another: Callable[[], Session]
) -> None:
    session, caller = impatient, another()
    with caller.connection.transaction():
        enqueue(caller, "x")
        enqueue(caller, "later", delay=60)
        p = session.partition()
        session.open_cursors([p])
        assert session.push({p: ["a"]}) == [0]
        assert session.push_deduplicating({p: ["x"]}) == [(1, False)]
        assert session.pop(p)[0].transaction_ids == ["a", "x"]
        enqueue(session, "b")
        assert place(session).placed == 1
        session.configure("q", leaseTime=5)
        assert session.one("select {s}.delete_queue('q')")
    moved = place(session)
    assert (moved.placed, moved.duplicates) == (2, 0)


def test_two_open_callers_may_name_the_same_new_partition(impatient: Session, another: Callable[[], Session]) -> None:
    one, two = another(), another()
    two.rows("set lock_timeout = '1s'")
    with one.connection.transaction(), two.connection.transaction():
        for caller, name in ((one, "a"), (two, "b")):
            enqueue(caller, name, "new", "new")
    assert place(impatient).placed == 2
    assert sorted(order(impatient, "new", "new")) == ["a", "b"]
