"""A schema for a trial: made, removed on every path, and never mistaken for somebody else's."""

from __future__ import annotations

from contextlib import suppress

import psycopg
import pytest

from queen.errors import CannotChange
from queen.store.connect import url_of
from queen.store.scratch import scratch_schema
from tests.tune.flow.support import one, run_sql

NAME = "queen_trial_of_tests"


def _there(dsn: str) -> bool:
    return bool(one(dsn, f"select exists (select from pg_namespace where nspname = '{NAME}')"))


def test_it_is_there_for_the_block_only_also_when_that_fails(empty_database_dsn: str) -> None:
    with suppress(ZeroDivisionError), scratch_schema(empty_database_dsn, NAME):
        run_sql(empty_database_dsn, f"create table {NAME}.t (a int)")
        assert _there(empty_database_dsn)
        raise ZeroDivisionError
    assert not _there(empty_database_dsn)


def test_what_a_killed_run_left_goes_and_what_is_not_ours_stays(empty_database_dsn: str) -> None:
    left = (f"create schema {NAME}", f"create table {NAME}.t (a int)")
    run_sql(empty_database_dsn, *left)
    with pytest.raises(CannotChange, match="queen did not make it"), scratch_schema(empty_database_dsn, NAME):
        pass
    assert _there(empty_database_dsn)
    run_sql(empty_database_dsn, f"comment on schema {NAME} is 'a trial of queen; it may be dropped'")
    with scratch_schema(empty_database_dsn, NAME):
        assert one(empty_database_dsn, f"select to_regclass('{NAME}.t') is null")
        with pytest.raises(CannotChange, match="another trial"), scratch_schema(empty_database_dsn, NAME):
            pass
    assert not _there(empty_database_dsn)


def test_the_address_of_a_connection_needs_no_environment(
    empty_database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(empty_database_dsn)
    monkeypatch.setenv("PGDATABASE", str(parts.pop("dbname")))
    with psycopg.connect(psycopg.conninfo.make_conninfo("", **parts), application_name="mine") as connection:
        url = url_of(connection)
    monkeypatch.delenv("PGDATABASE")
    assert "mine" not in url
    assert one(url, "select current_database()") == psycopg.conninfo.conninfo_to_dict(empty_database_dsn)["dbname"]
