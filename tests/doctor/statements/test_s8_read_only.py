"""S8 on a real PostgreSQL: writes that are turned off for a database or a role."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from queen.doctor.catalogue import find
from queen.doctor.check import Seen
from queen.doctor.needs import NotSeen
from tests.doctor.support import apply, execute, look, only, undo


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


def test_a_standby_is_found(plain_seen: Seen) -> None:
    standby = replace(plain_seen, facts=replace(plain_seen.facts, in_recovery=True))
    assert [finding.evidence["in_recovery"] for finding in find("S8").evaluate(standby)] == [True]


def test_files_that_set_it_are_named_and_unseen_ones_skip_the_check(plain_seen: Seen) -> None:
    rows = {"set": [], "files": [{"value": "on", "place": "/etc/postgresql.conf:7"}], "may": [{"files": True}]}
    found = list(find("S8").evaluate(replace(plain_seen, second=rows)))
    assert [(one.object, one.fix.kind if one.fix else None) for one in found] == [("/etc/postgresql.conf:7", "B")]
    with pytest.raises(NotSeen):
        list(find("S8").evaluate(replace(plain_seen, second={**rows, "files": [], "may": [{"files": False}]})))
