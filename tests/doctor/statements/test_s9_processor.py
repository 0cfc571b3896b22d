"""S9 on a real PostgreSQL: sessions that compute and sort, with and without pg_stat_statements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from queen.doctor.catalogue import find
from queen.doctor.check import Seen
from queen.doctor.checks.statements.s9_processor import _advice
from queen.doctor.finding import Threshold
from queen.doctor.probes.waits import Waits
from tests.doctor.support import about, apply, execute, look, meanwhile, undo

pytestmark = pytest.mark.spec("R24")

BUSY = {"limit": Threshold(15, 1000, "% of the processors")}
SORT = "select count(*) from (select n from generate_series(1, 20000) n order by md5(n::text)) sorted"


@contextmanager
def computing(dsn: str) -> Iterator[None]:
    """Two sessions that sort all the time."""
    with ExitStack() as stack:
        for _ in range(2):
            connection = stack.enter_context(psycopg.connect(dsn, autocommit=True, prepare_threshold=None))
            stack.enter_context(meanwhile(partial(connection.execute, SORT)))
        yield


def test_the_statement_and_its_work_mem_are_named_and_gone_after_the_fix(database_dsn: str) -> None:
    database = conninfo_to_dict(database_dsn)["dbname"]
    execute(
        database_dsn,
        "create extension pg_stat_statements",
        f"alter database \"{database}\" set work_mem = '64kB'",
    )
    with computing(database_dsn):
        result = look(database_dsn, "S9", thresholds=BUSY, window_s=0.6)
    busy, memory = about(result, "processor"), about(result, "work_mem")
    assert busy.status == "warn"
    assert busy.evidence["postgres_cpu_pct"] > 15
    for name in ("by_total_time", "by_mean_time"):
        assert any("generate_series" in one["query"] for one in busy.evidence[name]), name
    assert busy.evidence["by_total_time"][0]["share_pct"] > 50
    assert busy.at_stake.kind == "bound"
    assert busy.evidence["partitioning"] == "no messages are stored"
    assert memory.evidence["work_mem_bytes"] == 64 << 10
    assert memory.evidence["temp_bytes"] > 100_000
    assert memory.evidence["statements"][0]["temp_bytes"] > 100_000
    assert memory.fix is not None
    assert memory.fix.kind == "A"
    apply(database_dsn, memory.fix)
    with computing(database_dsn):
        again = look(database_dsn, "S9", thresholds=BUSY, window_s=0.6)
    assert [finding.object for finding in again.findings] == ["processor"]
    undo(database_dsn, memory.fix)
    assert look(database_dsn, "S9", thresholds=BUSY).status == "ok", "nobody computes any more"


def test_without_the_extension_it_says_so_and_how_to_enable_it(database_dsn: str) -> None:
    with computing(database_dsn):
        finding = about(look(database_dsn, "S9", thresholds=BUSY), "processor")
    assert finding.evidence["by_total_time"] == []
    assert finding.remedy == ("pg_stat_statements is not created in this database: CREATE EXTENSION pg_stat_statements")


def test_far_away_it_is_told_from_sessions_that_wait_for_nothing(plain_seen: Seen) -> None:
    def judged(by_wait: dict[str, int]) -> list[str]:
        waits = Waits(10, sum(by_wait.values()), by_wait)
        rows = {"counted": [], "children": [], "temp": [{"temp_files": 0, "temp_bytes": 0}]}
        seen = replace(plain_seen, waits=waits, limits=find("S9").thresholds, first=rows, second=rows)
        return [f"{one.status} {one.evidence['sessions_on_cpu']}" for one in find("S9").evaluate(seen)]

    assert judged({"CPU": 120, "Lock:transactionid": 200}) == ["warn 12.0"]
    assert judged({"CPU": 60, "Lock:transactionid": 400}) == []


@pytest.mark.parametrize(
    ("heap_mb", "index_mb", "children", "size_mb"),
    [(1000, 50, 3, None), (4000, 1280, 3, 400), (4000, 1280, 60, None), (64, 200, 3, None)],
)
def test_further_partitioning_is_advised_when_indexes_outgrow_memory(
    plain_seen: Seen, heap_mb: int, index_mb: int, children: int, size_mb: int | None
) -> None:
    row = {"children": children, "newest": 7, "heap_bytes": heap_mb * 2**20, "index_bytes": index_mb * 2**20}
    assert plain_seen.facts.settings.bytes("shared_buffers") == 512 * 2**20
    size = _advice(replace(plain_seen, second={"children": [row]}))[1]
    assert size == (None if size_mb is None else size_mb * 2**20)
