"""`queen bench compare` of stored results: what it prints, its exit codes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
from typer.testing import CliRunner

from queen.bench import store_file
from queen.bench.result import Result
from queen.cli.bench.app import app
from queen.errors import ComparisonRefused, SettingsError
from tests.support import bench_results


def stored(folder: Path, *results: Result) -> list[str]:
    paths = [folder / f"{number}.json" for number in range(len(results))]
    for path, result in zip(paths, results, strict=True):
        store_file.write(result, path)
    return [str(path) for path in paths]


def test_a_comparison_ends_with_its_verdict_and_code(tmp_path: Path) -> None:
    files = stored(tmp_path, bench_results.passed(seed=1), bench_results.passed(seed=1))
    shown = CliRunner().invoke(app, ["compare", *files])
    words = {0: ("BETTER", "SAME"), 1: ("WORSE",), 5: ("INCONCLUSIVE",)}
    last = shown.stdout.splitlines()[-1]
    assert last.removeprefix("result ").split()[0] in words[shown.exit_code]
    assert "response_p99" in last


def test_json_has_every_metric(tmp_path: Path) -> None:
    files = stored(tmp_path, bench_results.passed(seed=1), bench_results.passed(seed=2))
    shown = CliRunner().invoke(app, ["compare", *files, "--decide", "response_p50", "--json"])
    found = json.loads(shown.stdout)
    assert found["decide"] == ["response_p50"]
    assert found["exit_code"] == shown.exit_code
    assert "rate" in {metric["name"] for metric in found["metrics"]}


def test_other_fingerprints_are_refused_unless_across(tmp_path: Path) -> None:
    a, b = bench_results.passed(), msgspec.structs.replace(bench_results.passed(), fingerprint_hash="other")
    files = stored(tmp_path, a, b)
    assert isinstance(CliRunner().invoke(app, ["compare", *files]).exception, ComparisonRefused)
    across = CliRunner().invoke(app, ["compare", *files, "--across"])
    assert "rate " not in across.stdout
    assert "cpu_us" in across.stdout


def test_an_unknown_metric_is_a_typed_error(tmp_path: Path) -> None:
    files = stored(tmp_path, bench_results.passed(), bench_results.passed())
    done = CliRunner().invoke(app, ["compare", *files, "--decide", "respnse_p99"])
    assert isinstance(done.exception, SettingsError)
