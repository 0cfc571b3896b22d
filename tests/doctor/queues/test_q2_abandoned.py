"""Q2 on a real PostgreSQL: groups that are gone, with and without a retention that they hold back."""

from __future__ import annotations

from tests.doctor.queues.support import age, consume, fill, look
from tests.doctor.support import about, apply
from tests.sql.client import Session

HOURS = 3600.0


def test_a_group_that_is_gone_holds_retention_back_until_it_is_deleted(module_dsn: str, queen: Session) -> None:
    queen.configure("kept", retentionEnabled=True, completedRetentionSeconds=60)
    ids = fill(queen, "kept", {"a": 2}, group="alive")
    queen.open_cursors(ids.values(), "gone")
    age(queen, "kept", 30 * HOURS)
    queen.rows("analyze {s}.messages_1")
    consume(queen, *ids.values(), group="alive")
    finding = about(look(module_dsn, "Q2"), "kept gone")
    assert finding.status == "warn"
    assert (finding.evidence["lag"], finding.evidence["pins_retention"]) == (2, True)
    assert finding.evidence["kept_bytes"] > 0
    age(queen, "kept", 200 * HOURS)
    assert about(look(module_dsn, "Q2"), "kept gone").status == "crit"
    apply(module_dsn, finding.fix)
    assert look(module_dsn, "Q2").status == "ok"
    assert queen.one("select count(*) from {s}.cursors where consumer_group = 'alive'") == 1


def test_without_that_retention_it_is_told_and_no_warning(module_dsn: str, queen: Session) -> None:
    ids = fill(queen, "plain", {"a": 1})
    age(queen, "plain", 30 * HOURS)
    assert about(look(module_dsn, "Q2"), "plain g").status == "info"
    queen.pop(ids["a"])
    assert look(module_dsn, "Q2").status == "ok", "somebody polls"
    consume(queen, *ids.values())


def test_a_registered_group_that_was_never_there_is_found(module_dsn: str, queen: Session) -> None:
    queen.configure("waiting", retentionEnabled=True, completedRetentionSeconds=60)
    ids = fill(queen, "waiting", {"a": 1})
    queue_id = queen.one("select queue_id from {s}.queues where name = 'waiting'")
    queen.call("subscribe", ("integer", "text", "text", "timestamptz"), queue_id, "ghost", "all", None)
    assert look(module_dsn, "Q2").status == "ok", "it may come yet"
    queen.rows("update {s}.subscriptions set created_at = now() - interval '2 days'")
    finding = about(look(module_dsn, "Q2"), "waiting ghost")
    assert finding.status == "warn"
    apply(module_dsn, finding.fix)
    assert look(module_dsn, "Q2").status == "ok"
    consume(queen, *ids.values())
