"""What a running server tells: with all rights, with few, and when it writes."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from queen.store.inspect import Inspector
from queen.tune import server
from queen.tune.inputs import GIB, Inputs
from queen.tune.plan import make_plan
from queen.tune.tables import table_lines
from tests.support.fix_postgres import PostgresServer


@pytest.fixture(scope="module")
def plain_role(postgres_server: PostgresServer, module_dsn: str) -> Iterator[str]:
    """A role without any right of an administrator."""
    name = f"plain_{secrets.token_hex(4)}"
    postgres_server.execute(sql.SQL("create role {} login").format(sql.Identifier(name)))
    yield name
    postgres_server.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def test_an_administrator_sees_all(module_dsn: str) -> None:
    sight = server.look(module_dsn, "queen")
    assert sight.major >= 14
    assert sight.pid is not None
    assert sight.data_dir is not None
    assert sight.preloaded is not None
    assert sight.has_module
    assert not sight.in_recovery
    assert sight.role == conninfo_to_dict(module_dsn).get("user")
    assert sight.tables["cursors"]["fillfactor"] == "10"
    assert "lz4" in sight.enumvals["default_toast_compression"]


def test_the_plan_has_what_the_schema_makes(module_dsn: str) -> None:
    """Whatever the schema sets on a table of the plan, the plan sets to the same: else each would undo the other."""
    made = server.look(module_dsn, "queen").tables
    planned = {(line.table, line.parameter): line.value for line in table_lines()}
    tables = {table for table, _ in planned}
    schema = {(table, name): value for table in tables & made.keys() for name, value in made[table].items()}
    assert schema
    assert {key: planned.get(key) for key in schema} == schema
    assert {table for table, parameters in made.items() if "fillfactor" in parameters} <= tables


def test_children_of_messages_get_what_the_plan_says(module_dsn: str) -> None:
    planned = {f"{line.parameter}={line.value}" for line in table_lines() if line.table == "messages"}
    with psycopg.connect(module_dsn) as connection:
        rows = connection.execute(
            "select reloptions from pg_class"
            " where relnamespace = 'queen'::regnamespace and relname ~ '^messages_[0-9]+$'"
        ).fetchall()
    assert rows
    assert all(set(row[0]) == planned for row in rows)


def test_without_a_schema_there_are_no_tables(module_dsn: str) -> None:
    assert server.look(module_dsn, "no_such_schema").tables == {}


def test_settings_of_the_role_are_seen(database_dsn: str) -> None:
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        role, database = connection.info.user, connection.info.dbname
        connection.execute(f'alter role "{role}" in database "{database}" set lock_timeout = \'2s\''.encode())
    assert server.look(database_dsn, "queen").role_settings["lock_timeout"] == "2s"


def test_few_rights_show_less_and_break_nothing(
    module_dsn: str, plain_role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session of an administrator that gave its rights up sees what a plain role sees."""
    dial = Inspector._dial

    def dial_as_plain(inspector: Inspector) -> psycopg.Connection[dict[str, object]]:
        connection = dial(inspector)
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(plain_role)))
        return connection

    monkeypatch.setattr(Inspector, "_dial", dial_as_plain)
    sight = server.look(module_dsn, "queen")
    assert sight.data_dir is None
    assert sight.preloaded is None
    assert sight.settings["shared_buffers"].sourcefile is None
    inputs = Inputs(memory_bytes=GIB, cpus=1, pg_version=sight.major, preloaded=sight.preloaded)
    assert make_plan(inputs).value("shared_preload_libraries") is None


def test_counters_that_are_young_tell_nothing(module_dsn: str) -> None:
    with psycopg.connect(module_dsn, autocommit=True) as connection:
        connection.execute("select pg_stat_reset_shared('wal')")
    sight = server.look(module_dsn, "queen")
    assert sight.wal_rate is None
    assert sight.fpi_share is None


def test_the_log_that_was_written_is_a_mean_since_the_counters_began(
    module_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "WINDOW_S_MIN", 0.0)
    with psycopg.connect(module_dsn, autocommit=True) as connection:
        connection.execute("create table if not exists written as select 1 as n")
        connection.execute("select pg_stat_reset_shared('wal')")
        connection.execute("insert into written select generate_series(1, 20000)")
        # Counters of a session are published a moment later, at the latest when it ends.
    sight = server.look(module_dsn, "queen")
    assert sight.wal_rate is not None
    assert sight.wal_rate * sight.wal_window_s > 20_000 * 24
    assert sight.fpi_share is None, "so little log says nothing about page images"
    monkeypatch.setattr(server, "SHARE_BYTES_MIN", 0)
    share = server.look(module_dsn, "queen").fpi_share
    assert share is not None
    assert 0 <= share <= 1
