"""Apply, verify and roll back on every major version of PostgreSQL, with the plan for that version.

Only what a reload takes: the servers are shared with other tests, and a restart that is due would be a finding there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from queen.store.inspect import Inspector
from queen.tune.flow.drift import check
from queen.tune.flow.journal import Shelf
from queen.tune.inputs import GIB, Inputs
from queen.tune.lines import Plan
from queen.tune.plan import make_plan
from tests.support.fix_versions import VersionServer
from tests.support.versions import MAJORS
from tests.tune.flow.support import SCHEMA, Ground


def _plan(major: int) -> Plan:
    """Another machine than the one the server was made for, so that most values differ."""
    plan = make_plan(Inputs(memory_bytes=3 * GIB, cpus=2, storage="hdd", pg_version=major, target_rate=50.0))
    lines = tuple(line for line in plan.lines if line.needs == "reload")
    return Plan(plan.inputs, lines, plan.tables, plan.roles, plan.notes)


CASES = [(major, "file") for major in MAJORS] + [(14, "alter-system"), (18, "alter-system")]


@pytest.mark.parametrize(("major", "way"), CASES)
def test_apply_verify_and_roll_back(
    postgres_version: Callable[[int], VersionServer], tmp_path: Path, major: int, way: str
) -> None:
    server = postgres_version(major)
    dsn = server.create()
    ground = Ground(server.cluster, dsn, Shelf(tmp_path / "shelf"))
    before, settings = ground.files, ground.value("select string_agg(name || setting, ' ') from pg_settings")
    try:
        done = ground.apply(_plan(server.major), way=way)
        assert done.pending == []
        assert len([change for change in done.journal.changes if change.wanted.kind == "server"]) >= 5
        with Inspector(dsn, SCHEMA) as inspector:
            assert check(inspector, ground.shelf).clean
        role = ground.value("select array_to_string(setconfig, ' ') from pg_db_role_setting where setdatabase = 0")
        assert ("transaction_timeout" in role) is (server.major >= 17)
        [undone] = ground.rollback()
        assert undone.notes == ()
        assert ground.files == before
        assert ground.value("select string_agg(name || setting, ' ') from pg_settings") == settings
    finally:
        server.drop(dsn)
