"""S6 on a real PostgreSQL: the extension that is not created, a role that sees little."""

from __future__ import annotations

import secrets

from tests.doctor.support import about, apply, execute, look, look_as, undo


def test_the_extension_is_missed_and_created_by_the_fix(database_dsn: str) -> None:
    finding = about(look(database_dsn, "S6"), "pg_stat_statements")
    assert finding.status == "info"
    assert finding.evidence == {"available": True, "loaded": True}
    apply(database_dsn, finding.fix)
    assert look(database_dsn, "S6").status == "ok"
    undo(database_dsn, finding.fix)
    assert look(database_dsn, "S6").status == "info"


def test_a_role_without_pg_monitor_is_named_and_gone_when_granted(database_dsn: str) -> None:
    role = f"looker_{secrets.token_hex(4)}"
    execute(database_dsn, f"create role {role}", "create extension pg_stat_statements")
    try:
        finding = about(look_as(role, database_dsn, "S6"), role)
        assert finding.evidence == {"role": role, "pg_monitor": False}
        execute(database_dsn, "drop extension pg_stat_statements")
        unknown = about(look_as(role, database_dsn, "S6"), "pg_stat_statements")
        assert unknown.evidence == {"available": True, "loaded": None}, "the setting is hidden from such a role"
        execute(database_dsn, "create extension pg_stat_statements")
        apply(database_dsn, finding.fix)
        assert look_as(role, database_dsn, "S6").status == "ok"
    finally:
        execute(database_dsn, f"drop role {role}")
