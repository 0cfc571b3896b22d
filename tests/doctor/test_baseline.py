"""What was found before and is accepted. Files only."""

from __future__ import annotations

from pathlib import Path

import pytest

from queen.doctor import baseline
from queen.doctor.checks.statements.s1_baseline import Usual
from queen.errors import DoctorFileError
from tests.doctor.invented import FIRST, SECOND, finding, report, result


def test_only_what_is_new_or_worse_is_left(tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    baseline.save(report(result(FIRST, finding("warn", object_="a"), finding("warn", object_="b"))), file)
    now = report(
        result(FIRST, finding("warn", object_="a"), finding("crit", object_="b"), finding("warn", object_="c")),
        result(SECOND),
    )
    left = baseline.only_new(now, baseline.load(file))
    assert [one.finding.object for one in left.ranked()] == ["b", "c"]
    assert (left.known, left.verdict, left.results[0].status) == (1, "crit", "crit")


def test_a_check_whose_findings_are_all_known_is_known_and_not_ok(tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    seen = report(result(FIRST, finding("crit")))
    baseline.save(seen, file)
    left = baseline.only_new(seen, baseline.load(file))
    assert (left.results[0].status, left.results[0].known, left.verdict, left.worst()) == ("known", 1, "healthy", 0)


_MEMOS = '{"kind": "queen-doctor-baseline", "schema_version": 1, "findings": [], "memos": %s}'


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", '{"kind": "other", "schema_version": 1, "findings": []}', "\xff"),
        *(_MEMOS % memos for memos in ("[]", '{"Z9": []}', '{"V1": []}', '{"S1": [{"name": "push"}]}')),
        _MEMOS % '{"S1": [{"name": "push", "calls": 9, "mean_ms": 0, "best_ms": 1, "blocks": 1}]}',
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "baseline.json"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(DoctorFileError):
        baseline.load(file)


def test_a_file_that_cannot_be_read_or_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(DoctorFileError, match="cannot be read"):
        baseline.load(tmp_path / "none")
    with pytest.raises(DoctorFileError, match="cannot be written"):
        baseline.save(report(result(FIRST)), tmp_path / "no" / "folder")


def test_what_checks_keep_comes_back_and_files_without_it_are_good(tmp_path: Path) -> None:
    usual = Usual("push", 1000.0, 1.5, 1.2, 30.0, 12, None)
    file = tmp_path / "baseline.json"
    baseline.save(report(result(FIRST), result("S1", status="skipped", reason="no", memo=(usual,))), file)
    assert baseline.load(file).memos == {"S1": (usual,)}
    file.write_text(_MEMOS % "{}", encoding="utf-8")
    assert baseline.load(file).memos == {}
    file.write_text((_MEMOS % "{}").replace(', "memos": {}', ""), encoding="utf-8")
    assert baseline.load(file).memos == {}
