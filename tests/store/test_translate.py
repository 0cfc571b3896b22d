"""Driver errors become Queen's: by their SQLSTATE, and by what psycopg says without one."""

from __future__ import annotations

import asyncio
import socket

import psycopg
import psycopg_pool
import pytest

from queen import errors
from queen.store.connect import admin
from queen.store.migrate import migrate
from queen.store.translate import translate
from tests.sql.client import Session


def _error(state: str) -> psycopg.Error:
    """What psycopg raises for a state."""
    try:
        return psycopg.errors.lookup(state)(f"about {state}\nDETAIL: more")
    except KeyError:
        error = psycopg.DatabaseError(f"about {state}")
        error.sqlstate = state
        return error


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("40001", errors.Contention),
        ("40P01", errors.Contention),
        ("55P03", errors.Contention),
        ("23505", errors.DuplicateTransaction),
        ("28000", errors.AccessDenied),
        ("28P01", errors.AccessDenied),
        ("42501", errors.AccessDenied),
        ("3F000", errors.SchemaMismatch),
        ("42P01", errors.SchemaMismatch),
        ("42883", errors.SchemaMismatch),
        ("42703", errors.SchemaMismatch),
        ("22021", errors.InvalidRequest),
        ("22P05", errors.InvalidRequest),
        ("08006", errors.StoreUnavailable),
        ("08000", errors.StoreUnavailable),
        ("57P01", errors.StoreUnavailable),
        ("57P02", errors.StoreUnavailable),
        ("57P03", errors.StoreUnavailable),
        ("57014", errors.StoreUnavailable),
        ("53100", errors.StoreUnavailable),
        ("53300", errors.StoreUnavailable),
        ("25006", errors.StoreUnavailable),
    ],
)
def test_each_state_has_its_error(state: str, kind: type[errors.QueenError]) -> None:
    error = translate(_error(state))
    assert type(error) is kind
    assert f"about {state}" in error.message
    assert "DETAIL" not in error.message, "one line"


def test_an_unknown_state_is_named() -> None:
    error = translate(_error("XX000"))
    assert type(error) is errors.QueenError
    assert "XX000" in error.message
    assert not error.retryable


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (psycopg.OperationalError("connection refused"), errors.StoreUnavailable),
        (psycopg.InterfaceError("the connection is closed"), errors.StoreUnavailable),
        (ConnectionResetError("reset"), errors.StoreUnavailable),
        (TimeoutError(), errors.StoreUnavailable),
        (psycopg_pool.PoolTimeout("couldn't get a connection after 5.00 sec"), errors.PoolTimeout),
        (psycopg_pool.PoolClosed("closed"), errors.PoolTimeout),
        (psycopg_pool.TooManyRequests("too many"), errors.Overloaded),
    ],
)
def test_errors_without_a_state(raised: Exception, kind: type[errors.QueenError]) -> None:
    error = translate(raised)
    assert type(error) is kind
    assert error.message
    assert error.retryable


def test_what_stops_a_caller_says_what_to_do() -> None:
    for state, word in (("28P01", "password"), ("42P01", "queen db migrate")):
        error = translate(_error(state))
        assert error is not None
        assert word in (error.hint or "")
    timeout = translate(psycopg_pool.PoolTimeout("after 5 s"))
    assert timeout is not None
    assert timeout.message.startswith("timeout exceeded when trying to connect")
    assert "DB_POOL_SIZE" in (timeout.hint or "")


def test_other_errors_are_left_alone() -> None:
    assert translate(ValueError("no error of a database")) is None
    own = errors.NotFound("as it is")
    assert translate(own) is own


def test_nobody_listens_there() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dsn = f"postgresql://queen@127.0.0.1:{closed.getsockname()[1]}/queen"
        with pytest.raises(errors.StoreUnavailable):
            asyncio.run(migrate(dsn, "queen"))


def test_an_epoch_that_opens_inside_a_transaction_is_worth_another_try(database_dsn: str) -> None:
    with Session(database_dsn) as session, Session(database_dsn) as other:
        p = session.partition()
        with pytest.raises(psycopg.errors.CheckViolation) as caught, session.connection.transaction():  # noqa: PT012
            session.push_deduplicating({p: ["a"]})
            other.open_epoch(2)
            session.push_deduplicating({p: ["b"]})
        assert type(translate(caught.value)) is errors.Contention
        assert session.stored(p) == []
        assert session.push({p: ["a", "b"]}) == [0]


def test_a_real_server_gives_the_states_above(module_dsn: str) -> None:
    expected = {
        "select 1 / 0": errors.InvalidRequest,
        "select * from nowhere": errors.SchemaMismatch,
        "select nothing()": errors.SchemaMismatch,
        "select 'no uuid'::uuid": errors.InvalidRequest,
        "set statement_timeout = 1; select pg_sleep(60)": errors.StoreUnavailable,
        "begin read only; create table t (a int)": errors.StoreUnavailable,
    }
    for statement, kind in expected.items():
        with pytest.raises(kind), admin(module_dsn) as connection:
            connection.execute(statement.encode())


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("42P01", 'relation "queen.messages_12" does not exist'),
        ("42883", "function queen.pop_3(bigint[], text[]) does not exist"),
        ("XX000", "cache lookup failed for function 16423"),
        ("XX000", "could not open relation with OID 16423"),
    ],
)
def test_what_was_dropped_with_its_epoch_is_no_damaged_schema(state: str, text: str) -> None:
    error = psycopg.errors.lookup(state)(text)
    assert type(translate(error)) is errors.EpochGone


@pytest.mark.parametrize(
    ("state", "text"), [("42P01", 'relation "queen.messages" does not exist'), ("XX000", "broken")]
)
def test_other_missing_things_are_not_taken_for_an_epoch(state: str, text: str) -> None:
    assert not isinstance(translate(psycopg.errors.lookup(state)(text)), errors.Contention)
