"""`show` and `export` of stored results: forms, where they go, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from queen.bench import store_file
from queen.cli.bench_files import files
from queen.errors import ResultFileError
from tests.support import bench_results


@pytest.fixture
def stored(tmp_path: Path) -> str:
    store_file.write(bench_results.wrong(), tmp_path / "result.json")
    return str(tmp_path / "result.json")


def test_show_ends_with_the_verdict_and_its_exit_code(stored: str) -> None:
    shown = CliRunner().invoke(files, ["show", stored])
    assert shown.exit_code == 6
    assert shown.stdout.splitlines()[-1] == "WRONG · lost 1 reordered 1"


def test_show_gives_json_and_a_page(stored: str, tmp_path: Path) -> None:
    shown = CliRunner().invoke(files, ["show", stored, "--format", "json"])
    assert json.loads(shown.stdout)["verdict"]["word"] == "wrong"
    CliRunner().invoke(files, ["show", stored, "--format", "html", "--output", str(tmp_path / "r.html")])
    assert (tmp_path / "r.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_export_gives_csv(stored: str) -> None:
    done = CliRunner().invoke(files, ["export", stored, "--csv", "percentiles"])
    assert done.exit_code == 0
    assert done.stdout.startswith("metric,count,p50,")


def test_a_file_that_is_no_result_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}", encoding="utf-8")
    done = CliRunner().invoke(files, ["show", str(tmp_path / "x.json")])
    assert isinstance(done.exception, ResultFileError)
