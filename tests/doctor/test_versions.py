"""Every statement of every check on each PostgreSQL from 14 on: it runs, or says from which version on it does."""

from __future__ import annotations

from queen.doctor.catalogue import catalogue
from queen.doctor.facts import gather
from queen.doctor.needs import Ground
from queen.doctor.run import Ask, run
from queen.errors import CannotLook
from queen.store.inspect import Inspector
from tests.doctor.support import execute
from tests.support.fix_versions import VersionServer


def test_every_statement_of_the_catalogue_runs(postgres_versions: VersionServer) -> None:
    url = postgres_versions.create()
    bad = []
    try:
        execute(url, "create extension pg_stat_statements")
        with Inspector(url) as inspector:
            ground = Ground(gather(inspector), server=None, pooler=None, deep=True)
            for check in catalogue():
                absent = {need.__name__ for need in check.needs if need(ground) is not None}
                if absent - {"server", "old_statistics", "pooler", "local"}:
                    continue
                for name, query in check.queries.items():
                    if inspector.version < query.min_version:
                        continue
                    try:
                        inspector.rows(query.text_for(inspector.version))
                    except CannotLook as error:
                        bad.append(f"{check.id}.{name}: {error.message}")
    finally:
        postgres_versions.drop(url)
    assert bad == []


def test_a_run_finds_no_error_of_ours_and_skips_with_a_reason(postgres_versions: VersionServer) -> None:
    url = postgres_versions.create()
    try:
        report = run(Ask(url, catalogue(), window_s=0.2))
    finally:
        postgres_versions.drop(url)
    assert [result for result in report.results if result.status == "error"] == []
    assert [result for result in report.results if result.status == "skipped" and not result.reason] == []
    assert report.verdict != "unknown"
