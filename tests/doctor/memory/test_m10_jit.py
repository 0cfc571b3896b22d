"""M10 on a real PostgreSQL: sessions that begin with jit on."""

from __future__ import annotations

import psycopg
import pytest

from tests.doctor.support import apply, execute, look, only, undo


def test_jit_is_found_and_gone_after_the_fix(database_dsn: str) -> None:
    assert look(database_dsn, "M10").status == "ok"
    name = database_dsn.split("///")[1].split("?")[0]
    execute(database_dsn, f"alter database {name} set jit = on")
    with psycopg.connect(database_dsn) as connection:
        if connection.execute("select pg_jit_available()").fetchone() == (False,):
            pytest.skip("this PostgreSQL was built without LLVM")
    finding = only(look(database_dsn, "M10"))
    assert finding.evidence["source"] == "database"
    apply(database_dsn, finding.fix)
    assert look(database_dsn, "M10").status == "ok"
    undo(database_dsn, finding.fix)
    assert look(database_dsn, "M10").status == "warn"
