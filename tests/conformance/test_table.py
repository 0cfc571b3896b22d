"""The table of docs/clients.md is the suite's own, and fresh."""

from __future__ import annotations

from collections import Counter

from tests.conformance.missing import MISSING
from tests.conformance.suite import AREAS, VERSIONS, contents
from tests.conformance.table import PAGE, render, when_green


def test_the_committed_page_is_what_the_suite_leads_to() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == render(when_green()), "run: python -m tests.conformance.table"


def test_every_feature_is_named_once() -> None:
    assert [key for key, count in Counter(feature.key for feature in contents()).items() if count > 1] == []
    assert {feature.area for feature in contents()} == set(AREAS)


def test_every_feature_is_tried_with_a_version() -> None:
    assert [one.key for one in contents() if not any(map(one.offered_by, VERSIONS))] == []


def test_what_is_missing_is_a_feature() -> None:
    assert set(MISSING) - {feature.key for feature in contents()} == set()
