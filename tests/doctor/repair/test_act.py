"""Repairs on a real PostgreSQL: each in the undo file before it runs, and taken back from there, also after kill -9."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from queen.doctor.facts import Facts, gather
from queen.doctor.finding import FixClass
from queen.doctor.repair.act import Outcome, Undone, carry_out, take_back
from queen.doctor.repair.journal import Journal, read
from queen.doctor.repair.plan import Plan, Step
from queen.errors import RepairRefused
from queen.store.inspect import Inspector
from queen.store.operate import Operator
from tests.doctor.support import execute, session
from tests.support.command import ROOT, wait_until
from tests.support.fix_postgres import PostgresServer

CURSORS = "ALTER TABLE queen.cursors SET (autovacuum_vacuum_threshold = 4321, fillfactor = 44)"
LEASES = "ALTER TABLE queen.leases SET (autovacuum_vacuum_threshold = 4321)"


def step(*apply: str, undo: tuple[str, ...] = (), kind: FixClass = "A", check: str = "V1") -> Step:
    return Step(check, "queen.cursors", "something", kind, apply, undo)


def facts_of(dsn: str) -> Facts:
    with Inspector(dsn) as inspector:
        return gather(inspector)


def act(dsn: str, folder: Path, *steps: Step) -> Outcome:
    return carry_out(dsn, Plan(steps, ()), facts_of(dsn), folder)


def back(dsn: str, outcome: Outcome) -> list[Undone]:
    assert outcome.undo_file is not None
    return take_back(dsn, read(outcome.undo_file), facts_of(dsn))


def options(dsn: str, table: str) -> set[str]:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("select reloptions from pg_class where oid = %s::regclass", [table]).fetchone()
    return set(row[0] or ()) if row else set()


def indexes(dsn: str, table: str) -> dict[str, bool]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "select 'queen.' || c.relname, i.indisvalid from pg_index i join pg_class c on c.oid = i.indexrelid"
            " where i.indrelid = %s::regclass",
            [table],
        ).fetchall()
    return dict(rows)


@pytest.fixture
def table(module_dsn: str) -> str:
    """A table of one test, with a duplicate in it."""
    name = f"queen.t_{secrets.token_hex(4)}"
    execute(module_dsn, f"create table {name} (n int)", f"insert into {name} values (1), (1)")
    return name


def test_storage_options_go_back_to_what_they_were(database_dsn: str, tmp_path: Path) -> None:
    before = options(database_dsn, "queen.cursors"), options(database_dsn, "queen.leases")
    outcome = act(database_dsn, tmp_path, step(CURSORS), step(LEASES))
    assert [done.ok for done in outcome.done] == [True, True]
    assert "autovacuum_vacuum_threshold=4321" in options(database_dsn, "queen.cursors")
    undone = back(database_dsn, outcome)
    assert [one.entry.statement for one in undone] == [LEASES, CURSORS], "the last first"
    assert (options(database_dsn, "queen.cursors"), options(database_dsn, "queen.leases")) == before
    assert back(database_dsn, outcome) == [], "once"


def test_what_a_role_had_set_goes_back(database_dsn: str, tmp_path: Path, postgres_server: PostgresServer) -> None:
    role, database = f"role_{secrets.token_hex(4)}", conninfo_to_dict(database_dsn)["dbname"]
    execute(database_dsn, f"create role {role}", f"alter role {role} set work_mem = '5MB'")

    def config() -> list[str]:
        with psycopg.connect(database_dsn) as connection:
            rows = connection.execute(
                "select unnest(setconfig) from pg_db_role_setting"
                " where setrole = (select oid from pg_roles where rolname = %s) order by 1",
                [role],
            ).fetchall()
        return [row[0] for row in rows]

    try:
        statements = (
            f"ALTER ROLE {role} SET work_mem = '9MB'",
            f"ALTER ROLE {role} SET search_path = 'a', 'b'",
            f"ALTER ROLE {role} IN DATABASE {database} SET work_mem = '7MB'",
        )
        outcome = act(database_dsn, tmp_path, step(*statements))
        assert config() == ["search_path=a, b", "work_mem=7MB", "work_mem=9MB"]
        back(database_dsn, outcome)
        assert config() == ["work_mem=5MB"]
    finally:
        postgres_server.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


def test_the_way_back_of_a_table_with_an_odd_name_is_what_the_server_had(database_dsn: str, tmp_path: Path) -> None:
    """The check had looked before somebody set it."""
    table = 'queen."Odd ""name"" SET (it\'s)"'
    execute(database_dsn, f"create table {table} (a int) with (fillfactor = 55)")
    change = step(f"ALTER TABLE {table} SET (fillfactor = 44)", undo=(f"ALTER TABLE {table} RESET (fillfactor)",))
    outcome = act(database_dsn, tmp_path, change)
    assert options(database_dsn, table) == {"fillfactor=44"}
    back(database_dsn, outcome)
    assert options(database_dsn, table) == {"fillfactor=55"}


def test_a_vacuum_has_no_way_back_and_needs_none(module_dsn: str, table: str, tmp_path: Path) -> None:
    (undone,) = back(module_dsn, act(module_dsn, tmp_path, step(f"VACUUM (ANALYZE) {table}")))
    assert (undone.error, undone.note) == (None, "it has no way back and needs none")


def test_an_index_is_made_and_dropped_again(module_dsn: str, table: str, tmp_path: Path) -> None:
    make = f"CREATE INDEX CONCURRENTLY {table[6:]}_i ON {table} (n)"
    outcome = act(module_dsn, tmp_path, step(make, undo=(f"DROP INDEX CONCURRENTLY queen.{table[6:]}_i",)))
    assert indexes(module_dsn, table) == {f"queen.{table[6:]}_i": True}
    back(module_dsn, outcome)
    assert indexes(module_dsn, table) == {}


def test_what_a_failed_concurrent_index_leaves_is_dropped(module_dsn: str, table: str, tmp_path: Path) -> None:
    make = f"CREATE UNIQUE INDEX CONCURRENTLY {table[6:]}_u ON {table} (n)"
    outcome = act(module_dsn, tmp_path, step(make), step(f"VACUUM {table}"))
    failed, other = outcome.done
    assert "could not create unique index" in (failed.error or "")
    assert failed.dropped == (f"queen.{table[6:]}_u",)
    assert indexes(module_dsn, table) == {}
    assert other.ok, "a failure keeps no other repair from being tried"
    assert [one.entry.statement for one in back(module_dsn, outcome)] == [f"VACUUM {table}"]


def test_an_invalid_index_of_before_is_left_alone(module_dsn: str, table: str, tmp_path: Path) -> None:
    with psycopg.connect(module_dsn, autocommit=True) as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(f"create unique index concurrently {table[6:]}_old on {table} (n)".encode())
    act(module_dsn, tmp_path, step(f"CREATE UNIQUE INDEX CONCURRENTLY {table[6:]}_u ON {table} (n)"))
    assert indexes(module_dsn, table) == {f"queen.{table[6:]}_old": False}


def test_of_a_step_that_failed_in_the_middle_the_first_part_is_taken_back(
    database_dsn: str, tmp_path: Path
) -> None:  # fmt: skip
    before = options(database_dsn, "queen.cursors")
    outcome = act(database_dsn, tmp_path, step(CURSORS, "ALTER TABLE queen.leases SET (no_such_option = 1)", LEASES))
    (failed,) = outcome.done
    assert (failed.ran, failed.ok) == (1, False)
    assert "no_such_option" in (failed.error or "")
    assert "Only a part" in (failed.hint or "")
    assert "autovacuum_vacuum_threshold=4321" not in options(database_dsn, "queen.leases")
    assert [one.entry.statement for one in back(database_dsn, outcome)] == [CURSORS]
    assert options(database_dsn, "queen.cursors") == before


def test_a_lock_that_is_not_free_is_given_up_after_some_tries(
    database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queen.store.operate.LOCK_TIMEOUT_MS", 50)
    monkeypatch.setattr("queen.store.operate.ATTEMPTS", 2)
    with session(database_dsn) as holder:
        holder.execute("lock table queen.cursors in share update exclusive mode")
        outcome = act(database_dsn, tmp_path, step(CURSORS), step(LEASES))
    assert [done.ok for done in outcome.done] == [False, True]
    assert "not free" in (outcome.done[0].error or "")
    assert [entry.ended for entry in read(outcome.undo_file or Path()).entries] == [False, True]


def test_two_doctors_do_not_act_at_once(module_dsn: str, tmp_path: Path) -> None:
    from queen.doctor.repair.guard import LOCK

    with Operator(module_dsn) as other:
        assert other.claim(LOCK)
        with pytest.raises(RepairRefused, match="another doctor"):
            act(module_dsn, tmp_path, step("VACUUM queen.leases"))
    assert list(tmp_path.iterdir()) == [], "nothing was begun"


def test_a_role_that_does_not_own_the_schema_changes_nothing(
    database_dsn: str, tmp_path: Path, plain: str
) -> None:  # fmt: skip
    with pytest.raises(RepairRefused, match=f"role {plain} does not own the schema queen"):
        act(database_dsn, tmp_path, step(CURSORS))


@pytest.fixture
def plain(database_dsn: str, postgres_server: PostgresServer) -> Iterator[str]:
    """Every session of the database is of this role, which owns nothing."""
    role = f"plain_{secrets.token_hex(4)}"
    database = conninfo_to_dict(database_dsn)["dbname"]
    execute(database_dsn, f"create role {role}", f"alter database {database} set role = {role}")
    yield role
    postgres_server.drop(database_dsn)
    postgres_server.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


def test_an_undo_file_of_another_database_is_refused(
    module_dsn: str, database_dsn: str, tmp_path: Path
) -> None:  # fmt: skip
    outcome = act(module_dsn, tmp_path, step("VACUUM queen.leases"))
    with pytest.raises(RepairRefused, match="of database"):
        back(database_dsn, outcome)


def test_an_undo_that_fails_stops_there_and_goes_on_later(module_dsn: str, table: str, tmp_path: Path) -> None:
    index = f"{table[6:]}_i"
    outcome = act(
        module_dsn,
        tmp_path,
        step(f"ALTER TABLE {table} SET (fillfactor = 50)"),
        step(f"CREATE INDEX {index} ON {table} (n)", undo=(f"DROP INDEX queen.{index}",)),
    )
    execute(module_dsn, f"drop index queen.{index}")
    (stopped,) = back(module_dsn, outcome)
    assert "does not exist" in (stopped.error or "")
    assert options(module_dsn, table) == {"fillfactor=50"}
    execute(module_dsn, f"create index {index} on {table} (n)")
    assert [one.error for one in back(module_dsn, outcome)] == [None, None]
    assert (options(module_dsn, table), indexes(module_dsn, table)) == (set(), {})


def test_an_undo_that_was_killed_goes_on(module_dsn: str, table: str, tmp_path: Path) -> None:
    """It died after the index was dropped and before that was written down."""
    index = f"{table[6:]}_i"
    outcome = act(
        module_dsn,
        tmp_path,
        step(f"ALTER TABLE {table} SET (fillfactor = 50)"),
        step(f"CREATE INDEX {index} ON {table} (n)", undo=(f"DROP INDEX queen.{index}",)),
    )
    assert outcome.undo_file is not None
    with Journal.resume(outcome.undo_file) as journal:
        journal.undoing(2)
    execute(module_dsn, f"drop index queen.{index}")
    assert [(one.error, one.note) for one in back(module_dsn, outcome)] == [(None, "it was not there"), (None, None)]
    assert options(module_dsn, table) == set()


_CHILD = """
import sys
from pathlib import Path
from tests.doctor.repair.test_act import CURSORS, LEASES, act, step
act(sys.argv[1], Path(sys.argv[2]), step(CURSORS), step(LEASES))
"""


def test_the_undo_file_of_a_killed_run_takes_back_what_ran(database_dsn: str, tmp_path: Path) -> None:
    before = options(database_dsn, "queen.cursors"), options(database_dsn, "queen.leases")
    with session(database_dsn) as holder:
        holder.execute("lock table queen.leases in share update exclusive mode")
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, database_dsn, str(tmp_path / "undo")],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
        )
        try:
            wait_until(lambda: len(_entries(tmp_path / "undo")) == 2, "the second statement to be under way")
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
    (path,) = (tmp_path / "undo").iterdir()
    assert "autovacuum_vacuum_threshold=4321" in options(database_dsn, "queen.cursors"), "the first had run"
    assert [entry.ended for entry in read(path).entries] == [True, None]
    wait_until(lambda: not _others(database_dsn), "PostgreSQL to notice that its client died")
    undone = take_back(database_dsn, read(path), facts_of(database_dsn))
    assert [one.error for one in undone] == [None, None]
    assert (options(database_dsn, "queen.cursors"), options(database_dsn, "queen.leases")) == before


def _entries(folder: Path) -> list[object]:
    files = list(folder.glob("*.undo")) if folder.exists() else []
    return list(read(files[0]).entries) if files and files[0].stat().st_size else []


def _others(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "select count(*) from pg_stat_activity where application_name = 'queen-doctor'"
            " and datname = current_database()"
        ).fetchone()
    return int(row[0]) if row else 0
