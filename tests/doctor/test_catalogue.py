"""Every check holds to the same form: an id of its own, words for a reader, thresholds that it uses, a test file."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import pytest

from queen.doctor import describe
from queen.doctor.catalogue import catalogue, choose, find
from queen.doctor.check import GROUPS, Check
from queen.errors import SettingsError

CHECKS_MIN = 60
"""How many checks there are at least."""

HERE = Path(__file__).resolve().parent
each = pytest.mark.parametrize("check", catalogue(), ids=lambda check: check.id)


def test_there_are_so_many_checks_and_no_id_twice() -> None:
    ids = [check.id for check in catalogue()]
    assert len(ids) >= CHECKS_MIN
    assert len(set(ids)) == len(ids)


@each
def test_it_says_what_a_reader_needs(check: Check) -> None:
    assert re.fullmatch(r"[A-Z]\d+", check.id)
    assert check.group in GROUPS
    for text in (check.title, check.why, check.false_positive):
        assert text.strip() == text
        assert "\n" not in text
    assert len(check.title) <= 60, "fits a line of the report"
    assert check.why.endswith(".")
    assert len(check.explain.split()) >= 25, "a long text, not a repeated title"
    assert callable(check.evaluate)
    assert inspect.getdoc(check.evaluate)


@each
def test_it_lies_in_its_group_under_its_id_with_a_test_beside(check: Check) -> None:
    _, _, _, group, name = check.evaluate.__module__.split(".")
    assert group == check.group
    assert name.startswith(f"{check.id.lower()}_")
    tested = {word for path in (HERE / check.group).glob("test_*.py") for word in path.stem.split("_")}
    assert check.id.lower() in tested, "a test of its illness"


@each
def test_it_uses_its_thresholds(check: Check) -> None:
    source = inspect.getsource(sys.modules[check.evaluate.__module__])
    for name in check.thresholds:
        assert source.count(f'"{name}"') >= 2, f"threshold {name} is declared and not used"


@each
def test_what_it_needs_is_told(check: Check) -> None:
    assert all(text.endswith(".") for text in describe.needs(check))


@each
def test_its_statements_only_read(check: Check) -> None:
    for query in check.queries.values():
        for text in (query.text, *query.since.values()):
            assert re.match(r"\s*(--[^\n]*\n\s*)*(SELECT|WITH|SHOW|VALUES)\b", text, re.IGNORECASE), text
            bare = re.sub(r"--[^\n]*", "", text)
            assert ";" not in bare.strip().rstrip(";"), "one statement a query"


def test_checks_are_chosen_by_id_letter_and_group() -> None:
    assert [check.id for check in choose(["v4"])] == ["V4"]
    assert {check.id[0] for check in choose(["V"])} == {"V"}
    assert choose(["vacuum"], ["V1"])[0].id != "V1"
    assert find("v1").id == "V1"
    for wrong in (lambda: choose(["Z"]), lambda: choose(skip=["V99"]), lambda: find("V")):
        with pytest.raises(SettingsError):
            wrong()


def test_classes_of_repair_are_read_from_the_source() -> None:
    assert describe.fix_classes(find("V1")) == "A"
    assert describe.fix_classes(find("V4")) == "D"
