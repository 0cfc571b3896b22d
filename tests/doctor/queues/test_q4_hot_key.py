"""Q4 on a real PostgreSQL: one key with most of the backlog."""

from __future__ import annotations

from tests.doctor.queues.support import age, consume, fill, look
from tests.doctor.support import about
from tests.sql.client import Session


def test_a_hot_key_is_named_and_gone_when_worked_off(module_dsn: str, queen: Session) -> None:
    ids = fill(queen, "orders", {"tenant-1": 1200, "tenant-2": 100, "tenant-3": 100, "tenant-4": 0})
    finding = about(look(module_dsn, "Q4"), "orders tenant-1")
    assert finding.status == "warn"
    assert finding.evidence["share_pct"] == 85.7
    assert (finding.evidence["partition_lag"], finding.evidence["lag"]) == (1200, 1400)
    assert (finding.evidence["partitions"], finding.evidence["partitions_with_lag"]) == (4, 3)
    age(queen, "orders", 90)
    assert about(look(module_dsn, "Q4"), "orders tenant-1").status == "crit"
    consume(queen, ids["tenant-1"])
    assert look(module_dsn, "Q4").status == "ok"
    consume(queen, *ids.values())


def test_an_even_backlog_and_a_queue_without_keys_are_no_finding(module_dsn: str, queen: Session) -> None:
    fill(queen, "even", {f"{n}": 500 for n in range(4)})
    fill(queen, "single", {"Default": 2000})
    assert look(module_dsn, "Q4").status == "ok"
