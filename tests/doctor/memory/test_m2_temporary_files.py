"""M2 on a real PostgreSQL: a sort that does not fit into work_mem."""

from __future__ import annotations

from queen.doctor.checks.memory import m2_temporary_files as m2
from tests.doctor.seen import facts, seen_with, setting
from tests.doctor.support import apply, execute, look, only, undo
from tests.doctor.wal.support import look_until, meanwhile

SORT = "select count(*) from (select n, repeat('x', 50) from generate_series(1, 5000) n order by 2, 1 offset 0) sorted"


def test_spilling_is_found_and_gone_after_the_fix(database_dsn: str) -> None:
    name = database_dsn.split("///")[1].split("?")[0]
    execute(database_dsn, f"alter database {name} set work_mem = '64kB'")
    with meanwhile(database_dsn, SORT):
        finding = only(look_until(database_dsn, "M2", "warn"))
    assert finding.status == "warn"
    assert finding.evidence["temp_files"] >= 1
    assert finding.evidence["temp_MB"] > 0
    assert finding.evidence["work_mem_MB"] == 0.06
    assert finding.fix is not None
    assert finding.fix.kind == "A"
    apply(database_dsn, finding.fix)
    with meanwhile(database_dsn, SORT):
        assert look(database_dsn, "M2", window_s=1.0).status == "ok"
    undo(database_dsn, finding.fix)
    with meanwhile(database_dsn, SORT):
        assert look_until(database_dsn, "M2", "warn").status == "warn"


def test_files_that_no_work_mem_holds_get_no_fix() -> None:
    rows = (
        [{"datname": "q", "temp_files": 1, "temp_bytes": 0.0}],
        [{"datname": "q", "temp_files": 3, "temp_bytes": 9e8}],
    )
    first, second = ({"temp": row, "role": []} for row in rows)
    known = facts(setting("work_mem", "8192", unit="kB"))
    (finding,) = m2.evaluate(seen_with(m2.CHECK, first, second, facts=known))
    assert finding.evidence["temp_files"] == 2
    assert finding.fix is None
    assert "statement" in finding.remedy


def test_a_fresh_schema_is_well(module_dsn: str) -> None:
    assert look(module_dsn, "M2").status == "ok"
