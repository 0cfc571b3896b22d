"""L4 on a real PostgreSQL: everybody wants one row; and on invented samples, what each version calls its waits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import cast

import pytest

from queen.doctor.check import Seen
from queen.doctor.checks.locks.l4_dominant_wait import CHECK, FAMILIES, evaluate
from queen.doctor.facts import Facts
from queen.doctor.finding import Finding
from queen.doctor.needs import Ground
from queen.doctor.probes.waits import Waits
from queen.errors import CannotLook
from tests.doctor.support import execute, look, only, session, wait_for


def run_once(dsn: str, statement: str) -> None:
    with session(dsn, autocommit=True) as connection:
        connection.execute(statement)


def test_a_row_that_all_want_is_found_and_gone_when_it_is_free(database_dsn: str) -> None:
    update = "update queen.queues set task = 'x' where queue_id = 7"
    execute(database_dsn, "insert into queen.queues (queue_id, name, dedup_window_s) values (7, 'a', 0)")
    with session(database_dsn) as holder, ThreadPoolExecutor(3) as threads:
        holder.execute(update)
        jobs = [threads.submit(run_once, database_dsn, update) for _ in range(3)]
        wait_for(database_dsn, "select count(*) = 3 from pg_stat_activity where wait_event_type = 'Lock'")
        finding = only(look(database_dsn, "L4", window_s=0.7))
        assert (finding.status, finding.object) == ("crit", "same row")
        assert finding.evidence["share"] > 0.9
        assert 2.5 < finding.evidence["sessions"] < 3.5
        assert (finding.at_stake.kind, finding.at_stake.method) == ("bound", "wait share")
        holder.commit()
        for job in jobs:
            job.result(timeout=60)
    assert look(database_dsn, "L4", window_s=0.3).status == "ok"


def judge(samples: int, **by_wait: int) -> list[Finding]:
    counts = {name.replace("__", ":"): number for name, number in by_wait.items()}
    waits = Waits(samples, sum(counts.values()), counts)
    return list(evaluate(Seen(cast(Facts, None), CHECK.thresholds, {}, {}, 10.0, waits)))


def test_commits_of_a_server_with_room_to_spare_are_no_finding() -> None:
    assert judge(100, IO__WALSync=90, LWLock__WALWrite=60, CPU=10) == []
    found = judge(100, IO__WALSync=95, LWLock__WALWrite=300, CPU=60)
    assert [(one.object, one.status) for one in found] == [("commit", "crit")]
    assert found[0].evidence["share"] == round(395 / 455, 3)
    assert 70 < (found[0].at_stake.high_pct or 0) < 80, "half of the wait at most"


@pytest.mark.parametrize("names", [("IO__WALSync", "LWLock__WALWrite"), ("IO__WalSync", "LWLock__WALWrite")])
def test_waits_are_known_under_the_names_of_every_version(names: tuple[str, str]) -> None:
    assert [one.object for one in judge(100, **dict.fromkeys(names, 200))] == ["commit"]


def test_small_shares_few_observations_sleep_and_work_are_no_finding() -> None:
    assert judge(100, CPU=1000, Lock__tuple=140) == []
    assert judge(5, Lock__tuple=9) == []
    assert judge(100, CPU=500, Timeout__PgSleep=900) == []
    assert judge(100) == []


def test_a_wait_that_is_not_in_the_table_is_named_as_it_is() -> None:
    found = judge(100, LWLock__Something=200, CPU=100)
    assert [(one.object, one.status) for one in found] == [("LWLock:Something", "crit")]


def test_every_kind_has_a_meaning_and_a_first_move_and_no_wait_is_of_two_kinds() -> None:
    names = [name for family in FAMILIES for name in family.waits]
    assert len(names) == len(set(names))
    assert all(name == name.lower() for name in names)
    assert all(family.meaning and family.first_move for family in FAMILIES)


def test_sessions_of_others_are_seen_by_monitors_and_by_the_role_of_the_servers() -> None:
    def missing(role: str, monitor: bool) -> bool:
        facts = SimpleNamespace(role=role, schema_owner="queen", pg_monitor=monitor)
        ground = Ground(cast(Facts, facts), server=None, pooler=None)
        return any(need(ground) is not None for need in CHECK.needs)

    assert missing("reader", False)
    assert not missing("reader", True)
    assert not missing("queen", False)


def test_without_samples_nothing_is_said() -> None:
    with pytest.raises(CannotLook):
        list(evaluate(Seen(cast(Facts, None), CHECK.thresholds, {}, {}, 10.0, Waits())))
