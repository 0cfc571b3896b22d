"""V12 on a real PostgreSQL: tables whose end vacuum may cut off."""

from __future__ import annotations

from tests.doctor.support import about, apply, execute, look, session, undo


def test_a_table_that_may_be_truncated_is_found_and_put_right(database_dsn: str) -> None:
    execute(
        database_dsn,
        "alter table queen.partitions reset (vacuum_truncate)",
        "alter table queen.leases set (vacuum_truncate = true)",
        "insert into queen.partitions (partition_id, queue_id, epoch, name)"
        " select n, 1, 1, n::text from generate_series(1, 5000) n",
        "delete from queen.partitions",
    )
    result = look(database_dsn, "V12")
    assert len(result.findings) == 2
    finding = about(result, "queen.partitions")
    assert finding.evidence["heap_bytes"] == _size(database_dsn) > 0
    apply(database_dsn, finding.fix)
    apply(database_dsn, about(result, "queen.leases").fix)
    assert look(database_dsn, "V12").status == "ok"
    execute(database_dsn, "vacuum queen.partitions")
    assert _size(database_dsn) == finding.evidence["heap_bytes"], "it does not shrink any more"
    undo(database_dsn, finding.fix)
    execute(database_dsn, "vacuum queen.partitions")
    assert _size(database_dsn) == 0, "without the option it would have"
    undo(database_dsn, about(result, "queen.leases").fix)
    assert look(database_dsn, "V12").findings[0].evidence["vacuum_truncate"] == "true"


def test_a_fresh_schema_is_well(module_dsn: str) -> None:
    assert look(module_dsn, "V12").status == "ok"


def _size(dsn: str) -> int:
    with session(dsn) as one:
        row = one.execute("select pg_relation_size('queen.partitions')").fetchone()
    assert row is not None
    return int(row[0])
