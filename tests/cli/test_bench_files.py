"""`show`, `merge` and `export` of stored results: forms, where they go, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from queen.bench import store_file
from queen.bench.result import Result
from queen.cli import console
from queen.cli.bench_files import files
from queen.errors import ResultFileError, ResultsDiffer, SettingsError
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


def put(folder: Path, name: str, result: Result) -> str:
    store_file.write(result, folder / name)
    return str(folder / name)


def test_show_takes_several_and_ends_with_the_worst(stored: str, tmp_path: Path) -> None:
    good = put(tmp_path, "good.json", bench_results.passed())
    shown = CliRunner().invoke(files, ["show", good, stored])
    assert shown.exit_code == 6
    lines = shown.stdout.splitlines()
    assert lines[0] == good
    assert lines.index(bench_results.passed().verdict.line) < lines.index(stored)
    listed = json.loads(CliRunner().invoke(files, ["show", good, stored, "--format", "json"]).stdout)
    assert [one["verdict"]["word"] for one in listed] == ["pass", "wrong"]
    page = CliRunner().invoke(files, ["show", good, stored, "--format", "html"])
    assert isinstance(page.exception, SettingsError)


def test_show_judges_again_by_other_objectives(tmp_path: Path) -> None:
    good = put(tmp_path, "good.json", bench_results.passed())
    done = CliRunner().invoke(files, ["show", good, "--slo", "p99(e2e)<20ms", "--slo", "backlog<1k"])
    assert done.exit_code == 1
    assert done.stdout.splitlines()[-1].startswith("FAIL 10,000 msg/s")
    assert "MISSED   p99(e2e)<20ms" in done.stdout
    assert "held     backlog<1k" in done.stdout
    assert "errors<0.1%" not in done.stdout
    assert "note       judged again by p99(e2e)<20ms, backlog<1k" in done.stdout
    typo = CliRunner().invoke(files, ["show", good, "--slo", "p99(e2ee)<2ms"])
    assert isinstance(typo.exception, SettingsError)


def test_show_judges_no_campaign_again(tmp_path: Path) -> None:
    store_file.write(bench_results.campaign("search"), tmp_path / "search.json")
    done = CliRunner().invoke(files, ["show", str(tmp_path / "search.json"), "--slo", "lost==0"])
    assert isinstance(done.exception, ResultFileError)
    assert "is a search" in done.exception.message


def test_merge_writes_one_result_of_several(tmp_path: Path) -> None:
    times = [f"2026-11-24T12:0{minute}:00Z" for minute in (0, 2)]
    names = [put(tmp_path, f"{n}.json", bench_results.passed(n, started_at=at)) for n, at in enumerate(times, 1)]
    both = tmp_path / "both.json"
    done = CliRunner().invoke(files, ["merge", *names, "--output", str(both)])
    assert done.exit_code == 0
    assert done.stdout == ""
    assert "PASS 10,000 msg/s for 60 s" in done.stderr
    assert store_file.read_run(both).latency["response"].count == 600_000
    assert json.loads(CliRunner().invoke(files, ["merge", *names]).stdout)["kind"] == "run"
    refused = CliRunner().invoke(files, ["merge", *names, "--as", "generators"])
    assert isinstance(refused.exception, ResultsDiffer)
    assert console.exit_code(refused.exception) == 4


def test_merge_takes_unfit_runs_only_when_told(stored: str, tmp_path: Path) -> None:
    good = put(tmp_path, "good.json", bench_results.passed(started_at="2026-11-24T13:00:00Z"))
    assert isinstance(CliRunner().invoke(files, ["merge", good, stored]).exception, ResultsDiffer)
    assert CliRunner().invoke(files, ["merge", good, stored, "--take-unfit"]).exit_code == 6
