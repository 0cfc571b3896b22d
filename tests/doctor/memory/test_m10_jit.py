"""M10 on a real PostgreSQL: sessions that begin with jit on."""

from __future__ import annotations

import psycopg
import pytest

from queen.doctor.checks.memory.m10_jit import CHECK
from queen.errors import CannotLook
from tests.doctor.seen import facts, seen_with, setting
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


@pytest.mark.parametrize(
    ("servers", "here", "available", "found"),
    [("on", "on", True, 1), ("off", "on", True, 0), ("on", "on", False, 0), ("off", "off", False, 0)],
)
def test_the_sessions_of_the_servers_count_and_not_our_own(
    servers: str, here: str, available: bool, found: int
) -> None:
    rows = {"jit": [{"available": available, "here": here}], "role": []}
    seen = seen_with(CHECK, rows, facts=facts(setting("jit", servers), setting("jit_above_cost", "100000")))
    assert len(list(CHECK.evaluate(seen))) == found


def test_where_our_own_is_off_nobody_can_tell() -> None:
    rows = {"jit": [{"available": False, "here": "off"}], "role": []}
    with pytest.raises(CannotLook, match="own role"):
        list(CHECK.evaluate(seen_with(CHECK, rows, facts=facts(setting("jit", "on")))))
