"""Plans on real servers of every major version: each parses there, is within the server's bounds, and can be set."""

from __future__ import annotations

import dataclasses
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from queen.embedded.find import CLEAN_ENVIRONMENT
from queen.errors import TuneRefused
from queen.tune import conf, forms
from queen.tune.inputs import GIB, Inputs
from queen.tune.known import KNOWN, known_to, needs
from queen.tune.plan import Plan, make_plan
from queen.tune.served import check_plan, is_so
from queen.tune.server import ServerSight, look
from tests.sql.waiting import until
from tests.support.fix_versions import VersionServer
from tests.tune.plans import WEAK, machines


@pytest.fixture(scope="module")
def sight(postgres_versions: VersionServer) -> ServerSight:
    return look(postgres_versions.url(), "queen")


def parses(bin_dir: Path, text: str) -> str:
    """What PostgreSQL says of a configuration without starting: nothing when it takes it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "postgresql.conf").write_text(text, encoding="utf-8")
        done = subprocess.run(
            [str(bin_dir / "postgres"), "-C", "max_connections", "-D", folder],
            capture_output=True,
            text=True,
            timeout=20,
            env=CLEAN_ENVIRONMENT,
            check=False,
        )
    return "" if done.returncode == 0 else done.stderr


def plan_for(inputs: Inputs, sight: ServerSight) -> Plan | None:
    """A plan with what this server offers; None where it is refused."""
    here = dataclasses.replace(
        inputs,
        pg_version=sight.major,
        enumvals=sight.enumvals,
        preloaded=sight.preloaded,
        libraries=("pg_stat_statements",) if sight.has_module else (),
    )
    try:
        return make_plan(here)
    except TuneRefused:
        return None


def test_plans_parse_and_are_within_the_bounds(postgres_versions: VersionServer, sight: ServerSight) -> None:
    assert postgres_versions.bin_dir is not None
    bin_dir = postgres_versions.bin_dir
    seen = []

    @given(machines())
    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def check(inputs: Inputs) -> None:
        plan = plan_for(inputs, sight)
        if plan is None:
            return
        assert check_plan(plan, sight.settings).lines == plan.lines
        assert parses(bin_dir, conf.conf(plan, ["a title"])) == ""
        seen.append(plan)

    check()
    assert len(seen) >= 5


def test_a_configuration_that_does_not_parse_is_seen(postgres_versions: VersionServer) -> None:
    assert postgres_versions.bin_dir is not None
    assert "shared_buffers" in parses(postgres_versions.bin_dir, "shared_buffers = much\n")
    assert "no_such" in parses(postgres_versions.bin_dir, "no_such = 1\n")


def test_what_is_known_of_each_setting_is_true(sight: ServerSight) -> None:
    """Unit, whether the version has it, and what makes it take effect."""
    for name, known in KNOWN.items():
        there = sight.settings.get(name)
        assert (there is not None) is known_to(name, sight.major), name
        if there is not None:
            assert there.unit == known.unit, name
            assert (there.context == "postmaster") is (needs(name, sight.major) == "restart"), name


def test_nothing_weak_is_known_and_the_server_is_safe(sight: ServerSight) -> None:
    assert WEAK & KNOWN.keys() == set()
    assert sight.settings["fsync"].value == "on"


def test_a_server_takes_what_needs_a_reload(postgres_versions: VersionServer, sight: ServerSight) -> None:
    """Set for real, seen, and taken back."""
    plan = plan_for(Inputs(memory_bytes=8 * GIB, cpus=4, fpi_share=0.5), sight)
    assert plan is not None
    lines = [line for line in plan.lines if line.needs == "reload"]
    only = dataclasses.replace(plan, lines=tuple(lines))
    with psycopg.connect(postgres_versions.url(), autocommit=True) as connection:
        try:
            for statement in forms.alter_system(only, "queen", None).splitlines():
                if statement.startswith("ALTER SYSTEM"):
                    connection.execute(statement.encode())
            errors = connection.execute("select name, error from pg_file_settings where error is not null").fetchall()
            assert errors == []
            connection.execute("select pg_reload_conf()")
            now = _settled(postgres_versions, lines[0].name, lines[0].value)
            assert [line.name for line in lines if not is_so(line.name, line.value, now.settings)] == []
        finally:
            connection.execute("alter system reset all")
            connection.execute("select pg_reload_conf()")


def _settled(server: VersionServer, name: str, value: str) -> ServerSight:
    """The server after it has read its files: new sessions have what was written."""
    until(lambda: is_so(name, value, look(server.url(), "queen").settings), "the server has read its files")
    return look(server.url(), "queen")
