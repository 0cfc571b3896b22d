"""Migration: from nothing, again, by two at once, killed in the middle, by a role that may not."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from queen import errors
from queen import sql as files
from queen.store.migrate import MigrationReport, migrate
from tests.sql.client import Session
from tests.sql.waiting import until

_LOCK = 4711


@pytest.fixture
def admin(empty_database_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(empty_database_dsn, autocommit=True) as connection:
        yield connection


def _run(dsn: str, schema: str = "queen") -> MigrationReport:
    return asyncio.run(migrate(dsn, schema))


def _catalog(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """Every relation and function of the schema."""
    return connection.execute(
        "select 'r', relname::text, relkind::text from pg_class where relnamespace = to_regnamespace('queen')"
        " union all select 'f', proname, md5(prosrc) from pg_proc where pronamespace = to_regnamespace('queen')"
        " order by 1, 2, 3"
    ).fetchall()


def test_from_nothing(empty_database_dsn: str, admin: psycopg.Connection[Any]) -> None:
    report = _run(empty_database_dsn)
    assert (report.from_version, report.to_version) == (0, files.schema_version())
    assert report.applied == [step.name for step in files.migrations()]
    names = {name for kind, name, _ in _catalog(admin) if kind == "f"}
    assert names == {name for name, _ in files.functions()} | {"pop_1"}
    steps = admin.execute("select version, name from queen.schema_migrations order by 1").fetchall()
    assert steps == [(step.version, step.name) for step in files.migrations()]


def test_again_changes_nothing(empty_database_dsn: str, admin: psycopg.Connection[Any]) -> None:
    _run(empty_database_dsn)
    before = admin.execute("select xmin::text, proname from pg_proc order by 2, 1").fetchall()
    report = _run(empty_database_dsn)
    assert (report.applied, report.functions_changed) == ([], False)
    assert report.from_version == report.to_version
    assert admin.execute("select xmin::text, proname from pg_proc order by 2, 1").fetchall() == before


def test_several_at_once(empty_database_dsn: str, admin: psycopg.Connection[Any]) -> None:
    async def together() -> list[MigrationReport]:
        return await asyncio.gather(*[migrate(empty_database_dsn, "queen") for _ in range(4)])

    reports = asyncio.run(together())
    assert sorted(len(report.applied) for report in reports) == [0, 0, 0, len(files.migrations())]
    assert admin.execute("select count(*) from queen.schema_migrations").fetchone() == (len(files.migrations()),)
    assert admin.execute("select epoch from queen.epochs").fetchall() == [(1,)]
    assert _run(empty_database_dsn).functions_changed is False


def test_a_newer_schema_is_refused_and_left_alone(empty_database_dsn: str, admin: psycopg.Connection[Any]) -> None:
    _run(empty_database_dsn)
    admin.execute("insert into queen.schema_migrations (version, name) values (9999, '9999_tomorrow.sql')")
    admin.execute("delete from queen.schema_functions")
    before = _catalog(admin)
    with pytest.raises(errors.SchemaMismatch) as refused:
        _run(empty_database_dsn)
    assert "9999" in refused.value.message
    assert refused.value.hint
    assert _catalog(admin) == before
    assert admin.execute("select count(*) from queen.schema_functions").fetchone() == (0,)


def test_killed_in_the_middle_nothing_is_half_done(empty_database_dsn: str, admin: psycopg.Connection[Any]) -> None:
    # An event trigger holds the migration up where it creates its first function, behind all tables.
    admin.execute(
        f"create function hold() returns event_trigger language plpgsql as"
        f" $$ begin perform pg_advisory_xact_lock({_LOCK}); end $$"
    )
    admin.execute(
        "create event trigger hold on ddl_command_end when tag in ('CREATE FUNCTION') execute function hold()"
    )
    admin.execute("select pg_advisory_lock(%s)", (_LOCK,))
    ended: list[BaseException | MigrationReport] = []

    def attempt() -> None:
        try:
            ended.append(_run(empty_database_dsn))
        except errors.QueenError as error:
            ended.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    waiting = "select pid from pg_locks where locktype = 'advisory' and objid = %s and not granted"
    until(lambda: admin.execute(waiting, (_LOCK,)).fetchone() is not None, "the migration is in the middle")
    assert _catalog(admin) == []
    for (pid,) in admin.execute(waiting, (_LOCK,)).fetchall():
        admin.execute("select pg_terminate_backend(%s)", (pid,))
    thread.join(90)
    assert [type(one) for one in ended] == [errors.StoreUnavailable]
    assert admin.execute("select to_regnamespace('queen')").fetchone() == (None,)
    admin.execute("drop event trigger hold")
    assert _run(empty_database_dsn).applied != []
    with Session(empty_database_dsn) as session:
        assert session.push({session.partition(): ["a"]}) == [0]


def test_a_changed_function_is_created_anew(empty_database_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _run(empty_database_dsn)
    known = dict(files.functions())
    changed = known["default_options"].replace('"leaseTime": 300', '"leaseTime": 42')
    assert changed != known["default_options"]
    texts = tuple({**known, "default_options": changed}.items())
    monkeypatch.setattr(files, "functions", lambda: texts)
    report = _run(empty_database_dsn)
    assert (report.functions_changed, report.applied) == (True, [])
    with Session(empty_database_dsn) as session:
        assert session.one("select {s}.default_options() ->> 'leaseTime'") == "42"
    assert _run(empty_database_dsn).functions_changed is False


def test_new_functions_keep_the_data_and_renew_the_pop_of_every_epoch(
    empty_database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(empty_database_dsn)
    with Session(empty_database_dsn) as session:
        p = session.partition()
        session.push({p: ["a"]})
        session.open_epoch(2)
        session.push({p: ["b"]})
        known = dict(files.functions())
        texts = {
            **known,
            "create_pop": known["create_pop"].replace("begin\n    if p_several", "begin -- new\n    if p_several"),
        }
        assert texts != known
        monkeypatch.setattr(files, "functions", lambda: tuple(texts.items()))
        assert _run(empty_database_dsn).functions_changed
        renewed = session.rows(
            "select proname from pg_proc where prosrc like %s and proname ~ '^pop_'", "%begin -- new%"
        )
        assert {row[0] for row in renewed} == {"pop_1", "pop_2"}
        assert session.stored(p) == [(0, "a"), (1, "b")]


def test_functions_may_change_their_parameters_and_their_results(
    empty_database_dsn: str, admin: psycopg.Connection[Any]
) -> None:
    _run(empty_database_dsn)
    before = _catalog(admin)
    for statement in (
        "drop function queen.examine(bigint[], text[])",
        "create function queen.examine(bigint[], text[]) returns bigint language sql as 'select 1'",
        "create function queen.push_deduplicating(bigint[]) returns bigint language sql as 'select 1'",
        "drop function queen.pop_1",
        "create function queen.pop_1(bigint[]) returns bigint language sql as 'select 1'",
        "create function queen.mine(bigint) returns bigint language sql as 'select 1'",
        "delete from queen.schema_functions",
    ):
        admin.execute(statement.encode())
    assert _run(empty_database_dsn).functions_changed
    assert [one for one in _catalog(admin) if one[1] != "mine"] == before
    assert ("f", "mine") in [one[:2] for one in _catalog(admin)], "what is not ours stays"
    with Session(empty_database_dsn) as session:
        p = session.partition()
        session.push_deduplicating({p: ["a"]})
        session.open_cursors([p])
        assert session.pop(p)[0].transaction_ids == ["a"]


def test_a_role_that_may_not_create_is_told_so(empty_database_dsn: str, admin: psycopg.Connection[Any]) -> None:
    role = f"queen_test_{secrets.token_hex(4)}"
    admin.execute(f"create role {role}")
    admin.execute(f"grant {role} to current_user")
    try:
        with pytest.raises(errors.AccessDenied) as refused:
            _run(f"{empty_database_dsn}&options=-c%20role%3D{role}")
        assert refused.value.hint
        assert _catalog(admin) == []
    finally:
        admin.execute(f"drop role {role}")


def test_a_role_without_rights_on_an_existing_schema_is_told_so(
    empty_database_dsn: str, admin: psycopg.Connection[Any]
) -> None:
    _run(empty_database_dsn)
    role = f"queen_test_{secrets.token_hex(4)}"
    admin.execute(f"create role {role}")
    admin.execute(f"grant {role} to current_user")
    try:
        with pytest.raises(errors.AccessDenied):
            _run(f"{empty_database_dsn}&options=-c%20role%3D{role}")
    finally:
        admin.execute(f"drop role {role}")


def test_time_outs_of_the_role_do_not_bound_a_migration(
    empty_database_dsn: str, admin: psycopg.Connection[Any]
) -> None:
    """Another migration holds the lock for longer than the role lets any statement wait."""
    role, database = admin.info.user, admin.info.dbname
    for name in ("lock_timeout", "statement_timeout"):
        admin.execute(f'alter role "{role}" in database "{database}" set {name} = \'200ms\''.encode())
    done: list[MigrationReport] = []
    with psycopg.connect(empty_database_dsn) as other:
        other.execute("select pg_advisory_xact_lock(hashtextextended('queen migrate queen', 0))")
        thread = threading.Thread(target=lambda: done.append(_run(empty_database_dsn)))
        thread.start()
        waits = "select count(*) from pg_stat_activity where wait_event = 'advisory' and datname = %s"
        long = f"{waits} and query_start < clock_timestamp() - interval '400 ms'"
        until(lambda: admin.execute(long, [database]).fetchone() == (1,), "the migration waits for the lock")
        other.commit()
    thread.join(60)
    assert [report.from_version for report in done] == [0]
