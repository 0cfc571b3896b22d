"""Q5 on a real PostgreSQL: messages that end as dead letters."""

from __future__ import annotations

from tests.doctor.queues.support import fill, look, write_minute
from tests.doctor.support import about, execute
from tests.sql.client import Session, Signal


def bury(queen: Session, partition: int, count: int, error: str) -> None:
    """The group takes messages one by one, and says dlq."""
    for _ in range(count):
        row = queen.pop(partition, batch=1)[0]
        assert queen.lease is not None
        queen.ack_failed(Signal(partition, queen.lease, dead=row.first_offset, error=error))


def test_a_poison_message_is_found_with_its_error_and_gone_when_purged(module_dsn: str, queen: Session) -> None:
    partition = fill(queen, "mail", {"a": 40})["a"]
    bury(queen, partition, 9, "no such user")
    assert look(module_dsn, "Q5").status == "ok", "nine are accidents"
    bury(queen, partition, 1, "no such user")
    bury(queen, partition, 1, "time-out")
    finding = about(look(module_dsn, "Q5"), "mail")
    assert finding.status == "warn"
    assert finding.evidence["dead_letters"] == 11
    assert finding.evidence["errors"] == {"no such user": 10, "time-out": 1}
    assert finding.evidence["share_pct"] is None, "no server wrote down what was acknowledged"
    write_minute(queen, "mail", 1, ack_success=89, ack_failed=11, dead_letters=11)
    finding = about(look(module_dsn, "Q5"), "mail")
    assert (finding.status, finding.evidence["share_pct"]) == ("crit", 11.0)
    write_minute(queen, "mail", 2, ack_success=1_000_000)
    finding = about(look(module_dsn, "Q5"), "mail")
    assert finding.status == "info", "one cause, though few of a million"
    execute(module_dsn, "delete from queen.dead_letters")
    assert look(module_dsn, "Q5").status == "ok"
