"""V3 on a real PostgreSQL: storage options taken away, too lax, or off."""

from __future__ import annotations

import pytest

from queen.doctor.tables import VACUUM_AT, is_off
from queen.tune.tables import table_lines
from tests.doctor.support import about, apply, execute, look, session, undo
from tests.support.own_cluster import OwnCluster


def test_options_that_were_taken_away_come_back_and_can_be_undone(database_dsn: str) -> None:
    execute(
        database_dsn,
        "alter table queen.cursors reset (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold)",
    )
    finding = about(look(database_dsn, "V3"), "queen.cursors")
    assert finding.status == "warn"
    assert finding.evidence["missing"] == ["autovacuum_vacuum_scale_factor", "autovacuum_vacuum_threshold"]
    assert finding.evidence["trigger_rows"] == 50
    before = _options(database_dsn)
    apply(database_dsn, finding.fix)
    assert look(database_dsn, "V3").status == "ok"
    undo(database_dsn, finding.fix)
    assert _options(database_dsn) == before
    assert look(database_dsn, "V3").status == "warn"


def test_values_that_are_too_lax_are_set_anew(database_dsn: str) -> None:
    execute(database_dsn, "alter table queen.cursors set (autovacuum_vacuum_threshold = 2000000)")
    finding = about(look(database_dsn, "V3"), "queen.cursors")
    assert (finding.evidence["missing"], finding.evidence["trigger_rows"]) == ([], 2_000_000)
    apply(database_dsn, finding.fix)
    assert look(database_dsn, "V3").status == "ok"
    undo(database_dsn, finding.fix)
    assert "autovacuum_vacuum_threshold=2000000" in _options(database_dsn)


def test_a_table_that_pauses_is_found(database_dsn: str) -> None:
    execute(database_dsn, "alter table queen.leases reset (autovacuum_vacuum_cost_delay)")
    finding = about(look(database_dsn, "V3"), "queen.leases")
    assert finding.evidence["missing"] == ["autovacuum_vacuum_cost_delay"]
    apply(database_dsn, finding.fix)
    assert look(database_dsn, "V3").status == "ok"


@pytest.mark.parametrize(
    ("word", "off"), [("off", True), ("OF", True), ("f", True), ("0", True), ("no", True), ("on", False), ("1", False)]
)
def test_every_spelling_of_a_switch_is_read(word: str, off: bool) -> None:
    assert is_off(word) == off


def test_a_table_without_autovacuum_is_critical(database_dsn: str) -> None:
    execute(database_dsn, "alter table queen.partitions set (autovacuum_enabled = false)")
    finding = about(look(database_dsn, "V3"), "queen.partitions")
    assert finding.status == "crit"
    apply(database_dsn, finding.fix)
    assert look(database_dsn, "V3").status == "ok"


def test_a_server_without_autovacuum_is_critical(own_cluster: OwnCluster, own_dsn: str) -> None:
    own_cluster.execute("alter system set autovacuum = off")
    own_cluster.reload("autovacuum", "off")
    finding = about(look(own_dsn, "V3"), "autovacuum")
    assert (finding.status, finding.fix and finding.fix.kind) == ("crit", "B")
    apply(own_dsn, finding.fix)
    own_cluster.reload("autovacuum", "on")
    assert look(own_dsn, "V3").status == "ok"
    undo(own_dsn, finding.fix)
    own_cluster.reload("autovacuum", "off")
    own_cluster.execute("alter system reset autovacuum")
    own_cluster.reload("autovacuum", "on")


def test_a_fresh_schema_is_well_and_has_all_that_tune_pg_would_set(module_dsn: str) -> None:
    assert look(module_dsn, "V3").status == "ok"
    planned = {f"{line.table}.{line.parameter}={line.value}" for line in table_lines() if line.table in VACUUM_AT}
    with session(module_dsn) as one:
        rows = one.execute(
            "select relname || '.' || unnest(reloptions) from pg_class"
            " where relnamespace = 'queen'::regnamespace and relname = any (%s)",
            [list(VACUUM_AT)],
        ).fetchall()
    assert {row[0] for row in rows} == planned


def _options(dsn: str) -> list[str]:
    with session(dsn) as one:
        row = one.execute("select reloptions from pg_class where oid = 'queen.cursors'::regclass").fetchone()
    assert row is not None
    return sorted(row[0])
