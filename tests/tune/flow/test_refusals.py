"""What keeps a plan from being applied, each on a real server, and what the refusal says."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from queen.embedded.cluster import Cluster
from queen.errors import TuneInputError, TuneRefused
from queen.settings import EmbeddedSettings
from queen.store.operate import Operator
from queen.tune.flow.apply import claim
from queen.tune.flow.journal import Shelf
from queen.tune.flow.live import read
from queen.tune.flow.refuse import refuse
from queen.tune.flow.wanted import parse_kinds
from queen.tune.lines import TableLine
from tests.support.fix_server import open_folder
from tests.tune.flow.support import PLAN, Ground, edited, plan_of

pytestmark = pytest.mark.pg


@pytest.fixture
def standby(server_template: Path, tmp_path: Path) -> Iterator[Ground]:
    """A server that thinks it is a standby: it has no primary, and reads only."""
    folder = open_folder()
    subprocess.run(["cp", "-a", str(server_template), str(folder / "d")], check=True)
    data = next((folder / "d").glob("pg/*/data"))
    shutil.copy2(data / "queen.conf", data / "standby.signal")
    shutil.chown(data / "standby.signal", data.owner(), data.group())
    try:
        with Cluster.open(EmbeddedSettings(data_dir=str(folder / "d")), holder="tests") as cluster:
            yield Ground(cluster, cluster.dsn, Shelf(tmp_path / "shelf"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_standby_is_not_changed(standby: Ground) -> None:
    before = standby.files
    with pytest.raises(TuneRefused, match="standby"):
        standby.apply(kinds=["server"])
    assert standby.files == before


def test_a_pooler_and_a_backup_are_seen(ground: Ground) -> None:
    with Operator(ground.dsn) as operator:
        live = read(operator, "queen", None, [])
        pid = operator.connection.info.backend_pid
    refuse(live, [], ground.shelf, pid)
    with pytest.raises(TuneRefused, match="through a pooler"):
        refuse(live, [], ground.shelf, pid + 1)
    with pytest.raises(TuneRefused, match="a backup of this server"):
        refuse(replace(live, facts={**live.facts, "backup": True}), [], ground.shelf, pid)


def test_a_restart_that_is_due_comes_first(ground: Ground) -> None:
    own = ground.cluster.data_dir / "queen.conf"
    text = own.read_text("utf-8").replace("max_connections = 200", "max_connections = 210")
    with edited(own, text):
        ground.run("select pg_reload_conf()")
        with pytest.raises(TuneRefused, match=r"waits for a restart already, for max_connections"):
            ground.apply(kinds=["server"])
    ground.run("select pg_reload_conf()")
    assert ground.value("select pending_restart from pg_settings where name = 'max_connections'") is False


def test_a_file_with_an_error_is_mended_first(ground: Ground) -> None:
    own = ground.cluster.data_dir / "queen.conf"
    with edited(own, own.read_text("utf-8") + "work_mem = 'lots'\n"), pytest.raises(TuneRefused) as caught:
        ground.apply(kinds=["server"])
    assert str(own) in caught.value.message


def test_a_line_of_alter_system_outranks_a_file(ground: Ground) -> None:
    ground.run("alter system set random_page_cost = 3", "select pg_reload_conf()")
    try:
        with pytest.raises(TuneRefused, match=r"overridden: \S*postgresql\.auto\.conf, line 3") as caught:
            ground.apply(kinds=["server"])
        assert caught.value.hint is not None
        assert "ALTER SYSTEM RESET random_page_cost" in caught.value.hint
    finally:
        ground.run("alter system reset all", "select pg_reload_conf()")


def test_the_command_line_outranks_everything(ground: Ground) -> None:
    with pytest.raises(TuneRefused, match="log_directory is set by the command line"):
        ground.apply(plan_of(("log_directory", "elsewhere", "reload")))


def test_two_cannot_tune_at_once(ground: Ground) -> None:
    with Operator(ground.dsn) as other:
        claim(other)
        with pytest.raises(TuneRefused, match="another queen tune-pg is at work"):
            ground.apply()
    with ground.shelf.locked(), pytest.raises(TuneRefused, match="another queen tune-pg is at work"):
        ground.apply()
    assert ground.shelf.all() == []


def test_without_rights_the_statements_for_an_administrator_are_told(ground: Ground) -> None:
    ground.run("create role plain login", "create schema plain authorization plain")
    # A session that became another role has only what that role may do.
    plain = f"{ground.dsn} options='-c role=plain'"
    try:
        with pytest.raises(TuneRefused, match="may not read pg_file_settings") as caught:
            ground.apply(dsn=plain, kinds=["server"])
        assert "ALTER SYSTEM SET shared_buffers = '96MB';" in str(caught.value.hint)
        with pytest.raises(TuneRefused, match="does not own cursors, leader"):
            ground.apply(dsn=plain, kinds=["table"])
        with pytest.raises(TuneRefused, match="not this role's to change"):
            ground.apply(dsn=plain, kinds=["role"], role="queen")
        done = ground.apply(dsn=plain, kinds=["role"])
        assert ground.value("select setconfig from pg_db_role_setting") == ["lock_timeout=3s", "jit=off"]
        assert [change.wanted.object for change in done.journal.changes] == ["plain", "plain"]
        ground.rollback()
    finally:
        ground.run("drop schema plain", "drop role plain")


def test_what_is_set_for_the_role_in_one_database_outranks_the_role(ground: Ground) -> None:
    ground.run("alter role queen in database queen set lock_timeout = '9s'")
    try:
        with pytest.raises(TuneRefused, match="lock_timeout: set for role queen in this database"):
            ground.apply(kinds=["role"])
    finally:
        ground.run("alter role queen in database queen reset all")


def test_an_edited_file_is_not_overwritten_by_a_rollback(ground: Ground) -> None:
    own = ground.cluster.data_dir / "queen.conf"
    before = own.read_bytes()
    done = ground.apply(kinds=["server", "table"])
    own.write_bytes(own.read_bytes() + b"# mine\n")
    with pytest.raises(TuneRefused, match="changed after queen tune-pg wrote it") as caught:
        ground.rollback()
    assert (
        ground.value("select reloptions from pg_class where relname = 'leader'").count(
            "autovacuum_vacuum_threshold=1234"
        )
        == 1
    )
    assert (done.journal.folder / "0.before").read_bytes() == before
    assert str(done.journal.folder / "0.before") in str(caught.value.hint)
    own.write_bytes(before)
    ground.rollback()
    assert ground.value("show random_page_cost") == "1.1"


def test_a_table_that_is_not_there_is_told(ground: Ground) -> None:
    plan = plan_of(
        *[(line.name, line.value, line.needs) for line in PLAN.lines],
        tables=[TableLine("nope", "fillfactor", "60", "room")],
    )
    before = ground.files
    with pytest.raises(TuneRefused, match="no table nope"):
        ground.apply(plan)
    assert ground.files == before


def test_only_takes_the_three_kinds() -> None:
    assert parse_kinds(None) == {"server", "table", "role"}
    assert parse_kinds("role, table") == {"role", "table"}
    for text in ("tables", ",", "server,disk"):
        with pytest.raises(TuneInputError):
            parse_kinds(text)
