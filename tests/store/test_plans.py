"""Each hot statement uses its index and touches pages in proportion to what it returns, whatever was known when it was
planned: empty tables, few rows, a million, before and after VACUUM ANALYZE, custom and generic plans."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import psycopg
import pytest

from tests.sql.client import Session
from tests.store.plans import HOT, PARTITIONS, Hot, Run, Watcher, grow, spread

MODES = ("auto", "force_custom_plan", "force_generic_plan")
TABLES = ("messages_1", "partitions", "cursors")
LARGE = ("large, planned when empty", "large, new session", "analyzed, planned when empty", "analyzed, new session")
# What a scan reads beyond its rows, a message or two for each of ten partitions; a walk would discard thousands.
DISCARDED_MAX = 60

Runs = dict[str, dict[str, list[Run]]]
"""By call and stage: the runs of all modes."""


class _Record:
    """Runs every hot call at each stage, each time on partitions that no call has touched."""

    def __init__(self, dsn: str) -> None:
        self.runs: Runs = {hot.name: {} for hot in HOT}
        self._seeds = iter(range(1, 1000))
        self._dsn = dsn
        self._opened: list[Watcher] = []

    def open(self) -> list[Watcher]:
        self._opened += (fresh := [Watcher(self._dsn, mode) for mode in MODES])
        return fresh

    def stage(self, name: str, watchers: list[Watcher], times: int) -> None:
        for watcher, hot, _ in itertools.product(watchers, HOT, range(times)):
            run = watcher.run(hot, next(self._seeds))
            self.runs[hot.name].setdefault(name, []).append(run)

    def fresh_seeds(self) -> None:
        """After the tables were filled anew."""
        self._seeds = iter(range(1, 1000))

    def close(self) -> None:
        for watcher in self._opened:
            watcher.session.connection.close()


@pytest.fixture(scope="module")
def runs(module_dsn: str) -> Iterator[Runs]:
    record = _Record(module_dsn)
    try:
        old = record.open()
    except psycopg.Error as error:
        if "CI" in os.environ:
            pytest.fail(f"CI needs auto_explain, of postgresql-contrib: {error}")
        pytest.skip(f"needs auto_explain, which this PostgreSQL came without: {error}")
    try:
        with Session(module_dsn) as session:
            _record(record, old, session)
        yield record.runs
    finally:
        record.close()


def _record(record: _Record, old: list[Watcher], session: Session) -> None:
    for table in TABLES:
        session.rows(f"alter table {{s}}.{table} set (autovacuum_enabled = off)")
    # A cached plan may change from custom to generic after its fifth run.
    record.stage("empty", old, 7)
    record.fresh_seeds()
    grow(session, sorted({p for seed in range(1, len(MODES) * len(HOT) + 1) for p in spread(10, seed)}))
    record.stage("small", old, 1)
    record.fresh_seeds()
    grow(session, range(1, PARTITIONS + 1))
    record.stage("large, planned when empty", old, 2)
    record.stage("large, new session", record.open(), 2)
    session.rows("vacuum analyze")
    record.stage("analyzed, planned when empty", old, 2)
    record.stage("analyzed, new session", record.open(), 2)


@pytest.mark.parametrize("hot", HOT, ids=lambda hot: hot.name)
def test_no_table_is_read_as_a_whole(runs: Runs, hot: Hot) -> None:
    for stage, stage_runs in runs[hot.name].items():
        for run in stage_runs:
            assert len(run.plans) > 1, f"{stage}: the statements inside were not explained"
            assert run.scans("Seq Scan") == [], stage


@pytest.mark.parametrize("hot", HOT, ids=lambda hot: hot.name)
def test_the_right_index_is_used(runs: Runs, hot: Hot) -> None:
    for stage in ("small", *LARGE):
        for run in runs[hot.name][stage]:
            assert run.indexes() >= hot.indexes, stage
            assert run.discarded() <= DISCARDED_MAX, stage


@pytest.mark.parametrize("hot", HOT, ids=lambda hot: hot.name)
def test_pages_are_in_proportion_to_what_is_returned(runs: Runs, hot: Hot) -> None:
    for stage in LARGE:
        stage_runs = runs[hot.name][stage]
        # The first run of a session also reads the catalog.
        pages = [run.pages for run in stage_runs[1::2]]
        assert max(pages) <= hot.pages_max, f"{stage}: {pages}"
        assert min(pages) > 0, stage
