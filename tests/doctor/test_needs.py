"""What is not there is skipped with its reason and the line that enables it, on a real PostgreSQL."""

from __future__ import annotations

import secrets

from queen.doctor import needs
from queen.doctor.check import Check
from queen.doctor.facts import Facts
from queen.doctor.finding import Finding, Fix
from queen.doctor.judge import judge
from queen.doctor.needs import Ground
from queen.doctor.repair.plan import Consent, make_plan
from queen.doctor.statements import how_to_enable
from queen.errors import CannotLook
from tests.doctor.invented import FIRST, finding, report, result
from tests.doctor.seen import facts, seen_with, setting
from tests.doctor.support import execute, look_as


def test_a_role_that_may_not_read_the_tables_is_told_what_to_grant(database_dsn: str) -> None:
    role = f"looker_{secrets.token_hex(4)}"
    execute(database_dsn, f"create role {role}")
    try:
        result = look_as(role, database_dsn, "Q1")
        assert (result.status, result.reason) == ("skipped", f"role {role} may not use the schema queen")
        usage, _, select = (result.enable or "").partition("; ")
        execute(database_dsn, usage)
        result = look_as(role, database_dsn, "Q1")
        assert result.enable == select
        assert (result.status, result.reason) == ("skipped", f"role {role} may not read the tables of Queen")
        execute(database_dsn, result.enable or "")
        assert look_as(role, database_dsn, "Q1").status == "ok"
        execute(database_dsn, "create table queen.messages_2 partition of queen.messages for values in (2)")
        assert look_as(role, database_dsn, "Q1").status == "ok", "children are read through their parent"
    finally:
        execute(database_dsn, f"drop owned by {role}", f"drop role {role}")


ODD = 'Odd "role" it\'s'
QUOTED = '"Odd ""role"" it\'s"'


def odd(**other: object) -> Facts:
    return facts(setting("shared_preload_libraries", "auto_explain, timescaledb"), role=ODD, **other)


def test_lines_that_enable_something_quote_the_role() -> None:
    blind = Ground(odd(pg_monitor=False), None, None)
    for need, line in (
        (needs.monitor, f"GRANT pg_monitor TO {QUOTED};"),
        (needs.tables, f'GRANT SELECT ON ALL TABLES IN SCHEMA "queen" TO {QUOTED};'),
    ):
        missing = need(Ground(odd(pg_monitor=False, schema_readable=False), None, None))
        assert missing is not None
        assert missing.enable == line
    refused = Check("V1", "vacuum", "", "", "", "", lambda seen: _refuse())
    answer = judge(refused, seen_with(refused, {}, facts=blind.facts), {}, {}, {})
    assert (answer.status, answer.enable) == ("skipped", f"GRANT pg_monitor TO {QUOTED};")
    left = make_plan(report(result(FIRST, finding(fix=_SYSTEM))).ranked(), Consent(), odd(may_alter_system=False)).left
    assert left[0].lines[0] == f"GRANT ALTER SYSTEM ON PARAMETER fsync TO {QUOTED};"


_SYSTEM = Fix("B", ("ALTER SYSTEM SET fsync = 'on'", "SELECT pg_reload_conf()"))


def _refuse() -> list[Finding]:
    raise CannotLook("permission denied", kind="privilege")


def test_what_is_loaded_already_stays_when_a_library_is_added() -> None:
    """A line that is pasted must not take another extension out of the server."""
    missing = needs.statements(Ground(odd(), None, None))
    assert missing is not None
    value = "'auto_explain', 'timescaledb', 'pg_stat_statements'"
    assert f"shared_preload_libraries = {value};" in (missing.enable or "")
    assert f"shared_preload_libraries = {value}," in (how_to_enable(odd()) or "")
