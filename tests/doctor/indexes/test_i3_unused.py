"""I3 on a real PostgreSQL: an index that nobody reads."""

from __future__ import annotations

from queen.doctor.finding import Threshold
from tests.doctor.support import apply as repair
from tests.doctor.support import execute, look, only, undo, work

AT_ONCE = {"limit": Threshold(0.0, None, "days"), "size": Threshold(0.1, None, "MiB")}


def test_an_unused_index_is_found_and_dropped_and_one_that_is_read_is_not(database_dsn: str) -> None:
    execute(
        database_dsn,
        "create index mine_unread on queen.trace_links (transaction_id)",
        "create index mine_small on queen.traces (created_at)",
    )

    def trace() -> None:
        work(
            database_dsn,
            "insert into queen.trace_links (name, trace_id, partition_id, transaction_id)"
            " select 'a', gen_random_uuid(), 1, md5(n::text) from generate_series(1, 5000) n",
        )

    finding = only(look(database_dsn, "I3", thresholds=AT_ONCE, during=trace))
    assert finding.object == "queen.mine_unread"
    assert finding.evidence["scans"] == 0
    assert finding.evidence["bytes"] > 100_000
    assert finding.evidence["new_entries_in_window"] == 5000
    assert 5 < (finding.at_stake.high_pct or 0) < 60, "one index of three"

    repair(database_dsn, finding.fix)
    assert look(database_dsn, "I3", thresholds=AT_ONCE).status == "ok"
    undo(database_dsn, finding.fix)
    assert only(look(database_dsn, "I3", thresholds=AT_ONCE)).object == "queen.mine_unread"
    work(
        database_dsn,
        "set local enable_seqscan = off",
        "set local enable_bitmapscan = off",
        "select trace_id from queen.trace_links where transaction_id = md5('7')",
    )
    lately = AT_ONCE | {"limit": Threshold(2 / 86_400, None, "days")}
    results = (look(database_dsn, "I3", thresholds=lately) for _ in range(20))
    assert next(result for result in results if result.status != "skipped").status == "ok"


def test_counters_that_are_too_young_are_no_proof(module_dsn: str) -> None:
    result = look(module_dsn, "I3")
    assert result.status == "skipped"
    assert "7 are needed" in (result.reason or "")


def test_queens_own_indexes_are_never_called_unused(module_dsn: str) -> None:
    everything = {"limit": Threshold(0.0, None), "size": Threshold(0.0, None)}
    assert look(module_dsn, "I3", thresholds=everything).status == "ok"
    execute(module_dsn, "select queen.create_child('messages_1_new', 1)")
    assert look(module_dsn, "I3", thresholds=everything).status == "ok", "a child that is being rewritten"
