"""What is not there is skipped with its reason and the line that enables it, on a real PostgreSQL."""

from __future__ import annotations

import secrets

from tests.doctor.support import execute, look_as


def test_a_role_that_may_not_read_the_tables_is_told_what_to_grant(database_dsn: str) -> None:
    role = f"looker_{secrets.token_hex(4)}"
    execute(database_dsn, f"create role {role}", f"grant usage on schema queen to {role}")
    try:
        result = look_as(role, database_dsn, "Q1")
        assert (result.status, result.reason) == ("skipped", f"role {role} may not read the tables of Queen")
        execute(database_dsn, result.enable or "")
        assert look_as(role, database_dsn, "Q1").status == "ok"
    finally:
        execute(database_dsn, f"drop owned by {role}", f"drop role {role}")
