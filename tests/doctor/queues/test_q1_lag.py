"""Q1 on a real PostgreSQL: messages that nobody takes, and a depth that rises."""

from __future__ import annotations

from tests.doctor.queues.support import age, consume, fill, look, write_minute
from tests.doctor.support import about, execute
from tests.sql.client import Session


def test_an_old_message_is_found_and_gone_when_consumed(module_dsn: str, queen: Session) -> None:
    ids = fill(queen, "late", {"a": 3, "b": 1})
    assert look(module_dsn, "Q1").status == "ok", "young messages may wait"
    age(queen, "late", 90)
    finding = about(look(module_dsn, "Q1"), "late g")
    assert finding.status == "warn"
    assert 90 <= finding.evidence["oldest_s"] < 120
    assert (finding.evidence["lag"], finding.evidence["partitions_ready"]) == (4, 2)
    assert finding.evidence["lag_growth_per_s"] == 0
    age(queen, "late", 130)
    assert about(look(module_dsn, "Q1"), "late g").status == "crit"
    consume(queen, *ids.values())
    assert look(module_dsn, "Q1").status == "ok"


def test_what_a_consumer_has_in_work_does_not_wait(module_dsn: str, queen: Session) -> None:
    ids = fill(queen, "leased", {"a": 3})
    age(queen, "leased", 300)
    queen.pop(ids["a"])
    assert look(module_dsn, "Q1").status == "ok"
    consume_after = queen.cursor(ids["a"]).lease_end
    queen.rows("update {s}.cursors set acked = %s, lease_id = null where partition_id = %s", consume_after, ids["a"])


def test_a_delay_of_the_queue_is_no_lag(module_dsn: str, queen: Session) -> None:
    queen.configure("slow", delayedProcessing=600)
    ids = fill(queen, "slow", {"a": 1})
    age(queen, "slow", 630)
    assert look(module_dsn, "Q1").status == "ok"
    age(queen, "slow", 700)
    assert about(look(module_dsn, "Q1"), "slow g").evidence["delay_s"] == 600
    consume(queen, *ids.values())


def test_paused_pops_are_named_as_the_cause(module_dsn: str, queen: Session) -> None:
    ids = fill(queen, "paused", {"a": 1})
    age(queen, "paused", 90)
    execute(module_dsn, "update queen.switches set is_on = true where name = 'pop_maintenance'")
    finding = about(look(module_dsn, "Q1"), "paused g")
    assert finding.evidence["pops_paused"]
    assert finding.remedy.startswith("Pops are paused")
    execute(module_dsn, "update queen.switches set is_on = false where name = 'pop_maintenance'")
    consume(queen, *ids.values())


def test_a_depth_that_rose_for_ten_minutes_is_found_and_gone_when_one_did_not(module_dsn: str, queen: Session) -> None:
    ids = fill(queen, "deep", {"a": 1500})
    for minute in range(1, 11):
        write_minute(queen, "deep", minute, push_messages=500, pop_messages=200)
    finding = about(look(module_dsn, "Q1"), "depth of deep")
    assert finding.status == "warn"
    assert finding.evidence == {
        "minutes": 10,
        "pushed": 5000,
        "delivered_per_group": 2000.0,
        "lag": 1500,
        "groups_behind": 1,
    }
    write_minute(queen, "deep", 5, pop_messages=300)
    assert look(module_dsn, "Q1").status == "ok"
    consume(queen, *ids.values())


def test_kept_numbers_of_long_ago_tell_nothing(module_dsn: str, queen: Session) -> None:
    queen.rows(
        "insert into {s}.partitions (partition_id, queue_id, epoch, name)"
        " select 1000000 + n, 999, 1, n::text from generate_series(1, 2100) n"
    )
    result = look(module_dsn, "Q1")
    assert (result.status, result.enable) == ("skipped", "queen serve  # it keeps them")
    assert "never counted" in (result.reason or "")
    queen.rows("insert into {s}.queue_stats select 1, now(), 0, 0, 0, 0, 0, 0, 0, 0, null")
    assert look(module_dsn, "Q1").status == "ok"
    queue_id = queen.one("select queue_id from {s}.queues where name = 'late'")
    queen.rows(
        "insert into {s}.group_stats values (%s, 'kept', now() - interval '1 minute', 9, 3, 2, 70, 0, true,"
        " now() - interval '3 minutes')",
        queue_id,
    )
    finding = about(look(module_dsn, "Q1"), "late kept")
    assert (finding.status, finding.evidence["lag"], finding.evidence["lag_growth_per_s"]) == ("crit", 70, None)
    assert 120 <= finding.evidence["oldest_s"] < 121, "its age when it was counted"
    assert finding.evidence["numbers_s_old"] >= 60
    queen.rows("delete from {s}.group_stats")
    queen.rows("update {s}.queue_stats set computed_at = now() - interval '1 hour'")
    assert look(module_dsn, "Q1").status == "skipped"
    queen.rows("delete from {s}.partitions where partition_id > 1000000")
