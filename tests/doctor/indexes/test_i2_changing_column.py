"""I2 on a real PostgreSQL: an index on a column that changes with every message."""

from __future__ import annotations

from tests.doctor.support import about, apply, execute, look, undo, work

INDEX = "queen.mine_written"


def test_the_index_is_found_with_what_it_costs_and_dropped(database_dsn: str) -> None:
    execute(
        database_dsn,
        "insert into queen.partitions (partition_id, queue_id, epoch, name)"
        " select n, 1, 1, n::text from generate_series(1, 100) n",
        "create index mine_written on queen.partitions (queue_id) where last_write_at > '2020-01-01'",
    )

    def push() -> None:
        work(database_dsn, *["update queen.partitions set last_write_at = clock_timestamp()"] * 10)

    finding = about(look(database_dsn, "I2", during=push), INDEX)
    assert finding.evidence["columns"] == ["last_write_at"]
    assert finding.evidence["updates_in_window"] == 1000
    assert finding.evidence["hot_pct"] == 0.0
    assert finding.at_stake.kind == "modelled"
    assert 10 < (finding.at_stake.high_pct or 0) < 1000
    apply(database_dsn, finding.fix)
    assert look(database_dsn, "I2").status == "ok"
    undo(database_dsn, finding.fix)
    again = about(look(database_dsn, "I2"), INDEX)
    assert again.evidence["columns"] == ["last_write_at"]
    assert again.at_stake.kind == "none", "nothing was written in the window"


def test_what_include_and_expressions_carry_counts_too(module_dsn: str) -> None:
    execute(
        module_dsn,
        "create index mine_carried on queen.cursors (consumer_group) include (acked)",
        "create index mine_computed on queen.cursors ((retries + 1))",
        "create index mine_harmless on queen.cursors (consumer_group)",
    )
    result = look(module_dsn, "I2")
    assert {finding.object for finding in result.findings} == {"queen.mine_carried", "queen.mine_computed"}
    for finding in result.findings:
        apply(module_dsn, finding.fix)
    assert look(module_dsn, "I2").status == "ok", "an index on columns that stay is no harm"
