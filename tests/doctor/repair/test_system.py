"""ALTER SYSTEM and its way back, and a PostgreSQL that stops in the middle, on a cluster of the tests' own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from queen.doctor.catalogue import find
from queen.doctor.check import Query
from queen.doctor.facts import Facts, gather
from queen.doctor.repair.act import Outcome, carry_out, take_back
from queen.doctor.repair.journal import read
from queen.doctor.repair.plan import Plan, Step
from queen.doctor.run import Ask, run
from queen.errors import QueenError, StoreUnavailable
from queen.store.inspect import Inspector
from tests.doctor.support import execute
from tests.support.own_cluster import OwnCluster

RELOAD = "SELECT pg_reload_conf()"
TOUCHED = ("autovacuum_naptime", "max_connections", "shared_preload_libraries", "log_min_messages")


@pytest.fixture
def dsn(own_cluster: OwnCluster) -> Iterator[str]:
    """The cluster, its postgresql.auto.conf without what these tests write."""
    yield own_cluster.dsn
    execute(own_cluster.dsn, *(f"alter system reset {name}" for name in TOUCHED), "select pg_reload_conf()")


def auto(dsn: str) -> dict[str, str]:
    """What postgresql.auto.conf says."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "select name, setting from pg_file_settings where sourcefile like '%/postgresql.auto.conf'"
        ).fetchall()
    return {name: value for name, value in rows if name in TOUCHED}


def shown(dsn: str, name: str) -> str:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("select current_setting(%s)", [name]).fetchone()
    return str(row[0]) if row else ""


def facts_of(dsn: str) -> Facts:
    with Inspector(dsn) as inspector:
        return gather(inspector)


def act(dsn: str, folder: Path, *statements: str) -> Outcome:
    step = Step("W1", None, "something", "B", statements, ("ALTER SYSTEM RESET ALL",))
    return carry_out(dsn, Plan((step,), ()), facts_of(dsn), folder)


def back(dsn: str, outcome: Outcome) -> None:
    assert outcome.undo_file is not None
    assert [one.error for one in take_back(dsn, read(outcome.undo_file), facts_of(dsn)) if one.error] == []


def test_what_was_not_set_is_reset_and_a_new_session_sees_it_at_once(dsn: str, tmp_path: Path) -> None:
    before = shown(dsn, "autovacuum_naptime")
    outcome = act(dsn, tmp_path, "ALTER SYSTEM SET autovacuum_naptime = '11s'", RELOAD)
    assert shown(dsn, "autovacuum_naptime") == "11s"
    back(dsn, outcome)
    assert (auto(dsn), shown(dsn, "autovacuum_naptime")) == ({}, before)


def test_an_old_value_is_restored_and_not_what_the_check_believed(dsn: str, tmp_path: Path) -> None:
    execute(dsn, "alter system set autovacuum_naptime = '22s'", "alter system set log_min_messages = 'error'")
    kept = auto(dsn)
    outcome = act(
        dsn, tmp_path, "ALTER SYSTEM SET autovacuum_naptime = '11s'", "ALTER SYSTEM RESET log_min_messages", RELOAD
    )  # fmt: skip
    assert auto(dsn) == {"autovacuum_naptime": "11s"}
    back(dsn, outcome)
    assert auto(dsn) == kept == {"autovacuum_naptime": "22s", "log_min_messages": "error"}


def test_a_list_is_restored_element_by_element(dsn: str, tmp_path: Path) -> None:
    execute(dsn, "alter system set shared_preload_libraries = 'auto_explain', 'pg_stat_statements'")
    kept = auto(dsn)
    outcome = act(dsn, tmp_path, "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
    assert auto(dsn) != kept
    back(dsn, outcome)
    assert auto(dsn) == kept == {"shared_preload_libraries": "auto_explain, pg_stat_statements"}


def test_what_needs_a_restart_is_written_and_waits_for_it(dsn: str, tmp_path: Path) -> None:
    now = shown(dsn, "max_connections")
    outcome = act(dsn, tmp_path, "ALTER SYSTEM SET max_connections = '33'", RELOAD)
    assert shown(dsn, "max_connections") == now, "never restarted"
    assert facts_of(dsn).settings["max_connections"].pending_restart
    back(dsn, outcome)
    assert not facts_of(dsn).settings["max_connections"].pending_restart
    assert auto(dsn) == {}


def test_a_value_that_postgres_refuses_changes_nothing(dsn: str, tmp_path: Path) -> None:
    outcome = act(dsn, tmp_path, "ALTER SYSTEM SET autovacuum_naptime = '9999999s'", RELOAD)
    assert "outside the valid range" in (outcome.done[0].error or "")
    assert auto(dsn) == {}
    assert outcome.undo_file is not None
    assert read(outcome.undo_file).open_entries() == []


def test_a_server_that_stops_in_the_window_ends_the_run(dsn: str, own_cluster: OwnCluster) -> None:
    check = replace(
        find("V4"), queries={"one": Query("SELECT 1 AS one")}, delta=True, needs=(), evaluate=lambda _: []
    )  # fmt: skip
    caught: list[QueenError] = []
    waiting = threading.Event()

    def go() -> None:
        try:
            run(Ask(dsn, [check], window_s=60), lambda name, _: waiting.set() if name == "window" else None)
        except QueenError as error:
            caught.append(error)

    thread = threading.Thread(target=go)
    thread.start()
    try:
        assert waiting.wait(20)
        own_cluster.stop()
        thread.join(60)
        assert not thread.is_alive()
    finally:
        own_cluster.start()
    assert isinstance(caught[0], StoreUnavailable)
