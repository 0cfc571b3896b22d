"""S1 on a real PostgreSQL: a push that something slows down, compared with what it took before."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from queen.doctor import baseline
from queen.doctor.catalogue import find
from queen.doctor.check import Seen
from queen.doctor.checks.statements.s1_baseline import Usual, usual
from queen.doctor.finding import Finding, Result, Threshold
from queen.doctor.probes.server import ServerSample
from queen.store.inspect import Row
from tests.doctor.invented import report
from tests.doctor.support import about, apply, execute, look, meanwhile
from tests.sql.client import Session

SOME = {"calls": Threshold(3, None, "calls")}
SLOW = (
    "create function queen.dawdle() returns trigger language plpgsql as"
    " $$begin perform pg_sleep(0.02); perform count(*) from queen.queues, generate_series(1, 50); return null; end$$",
    "create trigger dawdle after insert on queen.messages_1 for each row execute function queen.dawdle()",
)


@contextmanager
def pushing(dsn: str) -> Iterator[None]:
    """Pushes one message after another."""
    with Session(dsn) as session:
        partition = session.partition()
        with meanwhile(lambda: session.push({partition: [uuid.uuid4().hex]})):
            yield


def write_down_a_day(dsn: str) -> None:
    """What pushes cost until now becomes what they cost in each hour of yesterday."""
    execute(
        dsn,
        "insert into queen.statement_hours (bucket, name, calls, total_ms, blocks)"
        " select date_trunc('hour', now()) - n * interval '1 hour', t.name, 1000, 1000 * t.total_ms / t.calls,"
        "        1000 * t.blocks / t.calls"
        "   from queen.statement_totals() t, generate_series(3, 24) n where t.name = 'push'",
    )


def written_and_read(result: Result, folder: Path) -> Mapping[str, tuple[Any, ...]]:
    """What a baseline file brings back of the result."""
    baseline.save(report(result), folder / "baseline.json")
    return baseline.load(folder / "baseline.json").memos


def test_a_push_that_is_slowed_down_is_found_and_gone_when_mended(database_dsn: str, tmp_path: Path) -> None:
    assert look(database_dsn, "S1").enable == "CREATE EXTENSION pg_stat_statements;"
    execute(database_dsn, "create extension pg_stat_statements")
    with pushing(database_dsn):
        result = look(database_dsn, "S1", thresholds=SOME)
    assert "no baseline" in (result.reason or "")
    kept = written_and_read(result, tmp_path)
    write_down_a_day(database_dsn)
    execute(database_dsn, *SLOW)
    with pushing(database_dsn):
        finding = about(look(database_dsn, "S1", thresholds=SOME, memos=kept), "push")
        assert finding.evidence["baseline_from"] == "the server's history"
        execute(database_dsn, "truncate queen.statement_hours")
        remembered = about(look(database_dsn, "S1", thresholds=SOME, memos=kept), "push")
    assert remembered.evidence["baseline_from"] == "the baseline file"
    assert remembered.evidence["baseline_hours"] is None
    assert remembered.evidence["mean_ms"] > 20 > remembered.evidence["baseline_ms"]
    assert finding.status in ("warn", "crit")
    assert finding.evidence["mean_ms"] > 20
    assert finding.evidence["mean_ms"] > 2 * finding.evidence["baseline_ms"]
    assert finding.evidence["baseline_hours"] == 22
    assert finding.at_stake.method == "statement share"
    execute(database_dsn, "drop trigger dawdle on queen.messages_1")
    with pushing(database_dsn):
        assert look(database_dsn, "S1", window_s=1.5, thresholds=SOME, memos=kept).status == "ok"


def calls(seen: Seen, mean_ms: float, blocks: float, pushed: int | None = None, hours: int = 5) -> Seen:
    """A thousand calls, where one took a millisecond and ten blocks for ten messages before; 0 hours: nobody knows."""

    def sample(count: int) -> ServerSample:
        return ServerSample("", 0.0, {}, {"counters": {"push_messages": count}})

    base: Row = {"name": "push", "hours": hours, "calls": 5000.0, "mean_ms": 1.0, "best_ms": 0.9, "blocks": 10.0}
    state: list[Row] = [{"dealloc": 0, "stats_reset": None}]
    other = {"baselines": [{**base, "messages": 50_000.0}] if hours else [], "state": state}
    zero = {"name": "push", "calls": 0.0, "total_ms": 0.0, "blocks": 0.0}
    now = {"name": "push", "calls": 1000.0, "total_ms": 1000 * mean_ms, "blocks": 1000 * blocks}
    return replace(
        seen,
        limits=find("S1").thresholds,
        first={**other, "totals": [zero]},
        second={**other, "totals": [now]},
        server_before=None if pushed is None else sample(0),
        server=None if pushed is None else sample(pushed),
    )


def judged(seen: Seen, mean_ms: float, blocks: float, pushed: int | None = None) -> list[Finding]:
    """What S1 says of them."""
    return list(find("S1").evaluate(calls(seen, mean_ms, blocks, pushed)))


def test_a_baseline_keeps_the_hours_of_the_history_or_else_the_window(plain_seen: Seen) -> None:
    assert list(usual(calls(plain_seen, 4.0, 50.0))) == [Usual("push", 5000.0, 1.0, 0.9, 10.0, 5, 50_000.0)]
    window = list(usual(calls(plain_seen, 4.0, 50.0, pushed=10_000, hours=0)))
    assert window == [Usual("push", 1000.0, 4.0, 4.0, 50.0, None, 10_000.0)]
    few = calls(plain_seen, 4.0, 50.0, hours=0)
    assert list(usual(replace(few, limits={"calls": Threshold(1001, None)}))) == []


def test_a_call_that_carries_more_than_that_of_the_file_may_take_longer(plain_seen: Seen) -> None:
    memos = {"S1": (Usual("push", 1000.0, 1.0, 1.0, 10.0, None, 10_000.0),)}
    more = replace(calls(plain_seen, 4.0, 50.0, pushed=30_000, hours=0), memos=memos)
    assert list(find("S1").evaluate(more)) == []
    same = replace(calls(plain_seen, 4.0, 50.0, pushed=10_000, hours=0), memos=memos)
    assert [one.evidence["baseline_from"] for one in find("S1").evaluate(same)] == ["the baseline file"]


def test_what_reads_more_is_vacuumed_and_what_waits_is_not(plain_seen: Seen, module_dsn: str) -> None:
    finding = judged(plain_seen, 4.0, 50.0)[0]
    assert (finding.status, finding.at_stake.high_pct) == ("warn", 247.8)
    assert "dead rows" in finding.remedy
    apply(module_dsn, finding.fix)
    waits = judged(plain_seen, 6.0, 10.0)[0]
    assert (waits.status, waits.fix) == ("crit", None)
    assert judged(plain_seen, 1.5, 10.0) == []


def test_a_call_that_carries_more_may_take_longer(plain_seen: Seen) -> None:
    assert judged(plain_seen, 4.0, 50.0, pushed=30_000) == []
    assert judged(plain_seen, 7.0, 50.0, pushed=30_000)[0].evidence["batches_larger_by"] == 3.0
    assert judged(plain_seen, 4.0, 50.0, pushed=1_000)[0].evidence["batches_larger_by"] == 1.0
