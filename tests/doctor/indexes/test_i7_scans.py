"""I7 on a real PostgreSQL: a table that is read from end to end again and again."""

from __future__ import annotations

from tests.doctor.support import apply, execute, look, only, work

FINDER = "select partition_id from queen.partitions where queue_id = 7 and name = '7'"


def test_scans_are_found_and_gone_when_the_index_is_back(database_dsn: str) -> None:
    execute(
        database_dsn,
        "alter table queen.partitions set (autovacuum_enabled = off)",
        "insert into queen.partitions (partition_id, queue_id, epoch, name)"
        " select n, n, 1, n::text from generate_series(1, 20000) n",
        "drop index queen.idx_partitions_name",
        "drop index queen.idx_partitions_queue",
    )
    finding = only(look(database_dsn, "I7", during=lambda: work(database_dsn, FINDER, FINDER, FINDER)))
    assert finding.object == "queen.partitions"
    assert finding.evidence["scans"] == 3
    assert finding.evidence["passes"] == 3.0
    assert finding.evidence["rows_read"] == 60_000
    for missing in look(database_dsn, "I5").findings:
        apply(database_dsn, missing.fix)
    apply(database_dsn, finding.fix)
    assert look(database_dsn, "I7", during=lambda: work(database_dsn, FINDER, FINDER, FINDER)).status == "ok"


def test_one_scan_or_a_small_table_is_no_finding(database_dsn: str) -> None:
    execute(
        database_dsn,
        "insert into queen.leases select gen_random_uuid(), '{}', now() from generate_series(1, 12000)",
        "insert into queen.subscriptions select n, 'g', 'all', now() from generate_series(1, 100) n",
    )

    def read() -> None:
        work(
            database_dsn,
            "select count(*) from queen.leases where created_at > 'epoch'",
            *["select count(*) from queen.subscriptions where mode = 'new'"] * 5,
        )

    assert look(database_dsn, "I7", during=read).status == "ok"
