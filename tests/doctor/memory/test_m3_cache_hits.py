"""M3 on a real PostgreSQL: a backlog that is deeper than the buffers, read again and again."""

from __future__ import annotations

from queen.doctor.checks.memory import m3_cache_hits as m3
from tests.doctor.seen import facts, seen_with
from tests.doctor.support import about, look
from tests.doctor.wal.support import look_until, meanwhile
from tests.support.own_cluster import OwnCluster

NEWEST = "select count(payload) from (select payload from queen.messages order by id desc limit 2000) newest"


def test_a_deep_backlog_is_found_and_gone_when_only_the_newest_is_read(own_cluster: OwnCluster) -> None:
    own_cluster.execute(
        "drop schema if exists queen cascade",
        "create schema queen",
        "create table queen.messages (id int primary key, payload text)",
        "insert into queen.messages select n, repeat('x', 1000) from generate_series(1, 30000) n",
        "vacuum analyze queen.messages",
    )
    with meanwhile(own_cluster.dsn, *["select count(payload) from queen.messages"] * 10):
        finding = about(look_until(own_cluster.dsn, "M3", "crit"), "queen.messages")
    assert finding.status == "crit"
    assert finding.evidence["hit_ratio"] < 0.95
    assert finding.evidence["read_most"]["queen.messages"] >= 500
    assert finding.evidence["shared_buffers_MB"] == 16
    with meanwhile(own_cluster.dsn, *[NEWEST] * 20):
        assert look_until(own_cluster.dsn, "M3", "ok").status == "ok"
    own_cluster.execute("drop schema queen cascade")


def test_growing_is_no_reading(module_dsn: str) -> None:
    grow = "insert into queen.counters (name, next_id) select gen_random_uuid(), 1 from generate_series(1, 5000)"
    with meanwhile(module_dsn, grow):
        result = look_until(module_dsn, "M3", "ok", "warn", "crit")
    assert result.status == "ok", result


def test_before_16_growth_is_taken_off_and_later_it_is_not() -> None:
    before = [{"relid": 1, "name": "queen.messages", "hits": 0, "reads": 0, "pages": 0}]
    after = [{"relid": 1, "name": "queen.messages", "hits": 9_000, "reads": 1_000, "pages": 950}]
    old = seen_with(m3.CHECK, {"blocks": before}, {"blocks": after}, facts=facts(version=150018))
    new = seen_with(m3.CHECK, {"blocks": before}, {"blocks": after}, facts=facts(version=160010))
    assert list(m3.evaluate(old)) == []
    assert [finding.status for finding in m3.evaluate(new)] == ["crit"]


def test_a_quiet_window_is_no_ok(module_dsn: str) -> None:
    assert look(module_dsn, "M3").status == "skipped"
