"""V2 on a real PostgreSQL: an index on a column that changes, and pages without room."""

from __future__ import annotations

import psycopg
import pytest

from queen.doctor.finding import Result
from tests.doctor.support import about, apply, execute, look, undo

ROWS = 2000
FILL = (
    "insert into queen.cursors (partition_id, acked, epoch, consumer_group)"
    f" select n, 0, 1, 'g' from generate_series(1, {ROWS}) n"
)


def _while_acking(dsn: str) -> Result:
    def ack() -> None:
        execute(dsn, "update queen.cursors set acked = acked + 1, lease_until = now()")

    return look(dsn, "V2", during=ack)


@pytest.fixture
def cursors_dsn(database_dsn: str) -> str:
    execute(database_dsn, "alter table queen.cursors set (autovacuum_enabled = off)", FILL)
    return database_dsn


def test_an_index_on_a_changing_column_is_found_dropped_and_made_again(cursors_dsn: str) -> None:
    assert _while_acking(cursors_dsn).status == "ok", "as the schema has it"
    execute(cursors_dsn, "create index ready on queen.cursors (partition_id) where lease_until is null", "vacuum")
    finding = about(_while_acking(cursors_dsn), "queen.cursors")
    assert finding.status == "crit"
    assert (finding.evidence["updates"], finding.evidence["hot"]) == (ROWS, 0)
    assert finding.evidence["indexes_on_changing_columns"] == {"queen.ready": ["lease_until"]}
    assert (finding.at_stake.kind, finding.at_stake.method) == ("modelled", "WAL ceiling")
    assert 20 < (finding.at_stake.high_pct or 0) < 1000
    apply(cursors_dsn, finding.fix)
    execute(cursors_dsn, "vacuum queen.cursors")
    assert _while_acking(cursors_dsn).status == "ok"
    undo(cursors_dsn, finding.fix)
    with psycopg.connect(cursors_dsn) as connection:
        row = connection.execute("select pg_get_indexdef('queen.ready'::regclass)").fetchone()
    assert row is not None
    assert "WHERE (lease_until IS NULL)" in row[0]


def test_pages_without_room_are_found_and_have_some_after_the_fix(database_dsn: str) -> None:
    execute(database_dsn, "alter table queen.cursors set (autovacuum_enabled = off, fillfactor = 100)", FILL)
    finding = about(_while_acking(database_dsn), "queen.cursors")
    assert finding.evidence["fillfactor"] == 100
    assert finding.evidence["hot"] < ROWS / 10
    apply(database_dsn, finding.fix)
    execute(database_dsn, "vacuum full queen.cursors")
    assert _while_acking(database_dsn).status == "ok"
    undo(database_dsn, finding.fix)
    execute(database_dsn, "vacuum full queen.cursors")
    assert about(_while_acking(database_dsn), "queen.cursors").evidence["fillfactor"] == 100


def test_a_window_without_updates_says_nothing(module_dsn: str) -> None:
    result = look(module_dsn, "V2")
    assert result.status == "skipped"
    assert result.reason == "at most 0 updates of a table within the window; 200 are needed"
