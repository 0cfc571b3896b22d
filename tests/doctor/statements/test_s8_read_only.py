"""S8 on a real PostgreSQL: writes that are turned off for a database or a role."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from queen.doctor.catalogue import find
from queen.doctor.check import Seen
from queen.embedded.cluster import Cluster
from queen.embedded.plan import make_plan
from queen.errors import CannotLook
from queen.settings import EmbeddedSettings
from queen.store.inspect import Row
from tests.doctor.support import apply, execute, look, look_as, only, undo
from tests.support.fix_server import open_folder


def test_a_database_without_writes_is_found_and_writable_after_the_fix(database_dsn: str) -> None:
    name = psycopg.conninfo.conninfo_to_dict(database_dsn)["dbname"]
    execute(database_dsn, f'alter database "{name}" set default_transaction_read_only = on')
    finding = only(look(database_dsn, "S8"))
    assert finding.status == "crit"
    assert finding.evidence == {"value": "on", "place": "database"}
    apply(database_dsn, finding.fix)
    assert look(database_dsn, "S8").status == "ok"
    undo(database_dsn, finding.fix)
    assert look(database_dsn, "S8").status == "crit"


def test_the_role_wins_over_the_database(database_dsn: str) -> None:
    name = psycopg.conninfo.conninfo_to_dict(database_dsn)["dbname"]
    execute(
        database_dsn,
        f'alter database "{name}" set default_transaction_read_only = on',
        f'alter role current_user in database "{name}" set default_transaction_read_only = off',
    )
    assert look(database_dsn, "S8").status == "ok"


def test_a_role_that_does_not_see_the_files_is_told_all_that_it_needs(database_dsn: str) -> None:
    role = f"watcher_{secrets.token_hex(4)}"
    execute(database_dsn, f"create role {role}")
    try:
        grants = (look_as(role, database_dsn, "S8").enable or "").split("; ")
        assert len(grants) == 2
        execute(database_dsn, grants[1])
        assert look_as(role, database_dsn, "S8").status == "skipped", "one of them does not let it see"
        execute(database_dsn, grants[0])
        assert look_as(role, database_dsn, "S8").status == "ok"
    finally:
        execute(database_dsn, f"drop owned by {role}", f"drop role {role}")


@pytest.mark.pg
@pytest.mark.slow
def test_a_standby_is_found_and_gone_when_promoted(server_template: Path) -> None:
    folder = open_folder()
    try:
        subprocess.run(["cp", "-a", str(server_template), str(folder / "d")], check=True)
        settings = EmbeddedSettings(data_dir=str(folder / "d"), wal_reserve_bytes=0)
        signal = make_plan(settings).home.data / "standby.signal"
        signal.touch()
        shutil.chown(signal, signal.parent.stat().st_uid, signal.parent.stat().st_gid)
        with Cluster.open(settings, holder="tests") as cluster:
            finding = only(look(cluster.url, "S8"))
            assert (finding.status, finding.evidence["in_recovery"]) == ("crit", True)
            execute(cluster.url, "select pg_promote()")
            assert look(cluster.url, "S8").status == "ok"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_files_that_set_it_are_named_and_unseen_ones_skip_the_check(plain_seen: Seen) -> None:
    rows: dict[str, list[Row]] = {
        "set": [],
        "files": [{"value": "on", "place": "/etc/postgresql.conf:7"}],
        "may": [{"files": True}],
    }
    found = list(find("S8").evaluate(replace(plain_seen, second=rows)))
    assert [(one.object, one.fix.kind if one.fix else None) for one in found] == [("/etc/postgresql.conf:7", "B")]
    with pytest.raises(CannotLook):
        list(find("S8").evaluate(replace(plain_seen, second={**rows, "files": [], "may": [{"files": False}]})))
