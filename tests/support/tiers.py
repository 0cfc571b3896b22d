"""Run cheap tests before dear ones, tier by tier, and say at the end what each tier took.

The tiers: no database; PostgreSQL (marker `pg`); the rest (`components`, `browser`). Order within a tier stays as it
was, so that fixtures of a file are still set up once.
"""

from __future__ import annotations

from collections import Counter

import pytest

NAMES = ("no database", "PostgreSQL", "other servers and browsers")

_tier = pytest.StashKey[int]()
_counts: Counter[int] = Counter()
_seconds: Counter[int] = Counter()
_tiers: dict[str, int] = {}
_last: list[int] = []


def tier_of(item: pytest.Item) -> int:
    """The tier of a test, as an index of NAMES."""
    if item.get_closest_marker("components") or item.get_closest_marker("browser"):
        return 2
    return 1 if item.get_closest_marker("pg") else 0


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        _tiers[item.nodeid] = tier_of(item)
    items.sort(key=tier_of)


def pytest_runtest_logstart(nodeid: str) -> None:
    """A headline where a tier begins."""
    tier = _tiers.get(nodeid)
    if tier is None or tier in _last:
        return
    _last.append(tier)
    print(f"\n-- tests: {NAMES[tier]}", flush=True)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    tier = _tiers.get(report.nodeid, 0)
    _counts[tier] += report.when == "call"
    _seconds[tier] += round(report.duration * 1000)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for tier, name in enumerate(NAMES):
        if _counts[tier]:
            terminalreporter.write_line(f"-- {name}: {_counts[tier]} tests, {_seconds[tier] / 1000:.1f} s")
