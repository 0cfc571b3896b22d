"""Result files and their views: whole or not at all, clear words for what is none, schema, summary, page, CSV."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from queen.bench import export, report, schema, store_file, summary
from queen.bench.compare import compare
from queen.bench.result import Campaign, Result
from queen.errors import ResultFileError, ResultNotWritten
from tests.support import bench_results, bench_runs

ROOT = Path(__file__).resolve().parents[2]
RUNS = ("passed", "failed", "invalid", "wrong", "partial", "chaos")
KINDS = ("search", "sweep", "ab")


@pytest.fixture(scope="module")
def examples() -> dict[str, Result | Campaign]:
    runs: dict[str, Result | Campaign] = {name: getattr(bench_results, name)() for name in RUNS}
    return runs | {kind: bench_results.campaign(kind) for kind in KINDS}


def test_the_published_schema_is_fresh() -> None:
    """Made anew by: python -m queen.bench.schema > config/bench-result.schema.json"""
    assert (ROOT / "config" / "bench-result.schema.json").read_text(encoding="utf-8") == schema.text()


@pytest.mark.parametrize("name", RUNS + KINDS)
def test_every_result_fits_the_schema_and_comes_back_as_it_was(
    examples: dict[str, Result | Campaign], name: str, tmp_path: Path
) -> None:
    store_file.write(examples[name], tmp_path / "new" / "result.json")
    stored = json.loads((tmp_path / "new" / "result.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema.schema()).validate(stored)
    assert store_file.read(tmp_path / "new" / "result.json") == examples[name]


def test_the_schema_refuses_what_is_no_result(examples: dict[str, Result | Campaign]) -> None:
    broken = json.loads(msgspec.json.encode(examples["passed"]))
    broken["ledger"]["lost"] = "none"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema.schema()).validate(broken)


def _changed(result: Result | Campaign, **fields: Any) -> str:
    return json.dumps(json.loads(msgspec.json.encode(result)) | fields)


@pytest.mark.parametrize(
    ("fields", "words", "hint"),
    [
        ({"schema_version": 0}, "result schema 0, this Queen reads 1", "read it with Queen 0.1.0"),
        ({"schema_version": 9}, "result schema 9, this Queen reads 1", "upgrade Queen"),
        ({"kind": "song"}, "not a result of queen bench", "result.json"),
        ({"ledger": 3}, "damaged result", "result.json"),
    ],
)
def test_files_of_other_kinds_and_versions_are_refused(
    examples: dict[str, Result | Campaign], tmp_path: Path, fields: dict[str, Any], words: str, hint: str
) -> None:
    file = tmp_path / "result.json"
    file.write_text(_changed(examples["partial"], **fields), encoding="utf-8")
    with pytest.raises(ResultFileError, match=words) as caught:
        store_file.read(file)
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize("content", [b"", b"[1]", b"hello", b'{"kind":"run","schema_ver', b"\xff\xfe{}"])
def test_what_is_no_result_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ResultFileError):
        store_file.read(tmp_path / "x.json")


def test_missing_large_and_folder_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ResultFileError, match="no such file"):
        store_file.read(tmp_path / "gone.json")
    with pytest.raises(ResultFileError, match="is a folder"):
        store_file.read(tmp_path)
    monkeypatch.setattr(store_file, "FILE_BYTES_MAX", 100)
    (tmp_path / "large.json").write_bytes(b" " * 101)
    with pytest.raises(ResultFileError, match="larger than"):
        store_file.read(tmp_path / "large.json")


def test_a_full_disk_leaves_the_old_file_and_nothing_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "result.json"
    file.write_text("old", encoding="utf-8")

    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ResultNotWritten, match="no space left") as caught:
        store_file.write(bench_results.partial(), file)
    assert "free some space" in (caught.value.hint or "")
    assert file.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("name", RUNS + KINDS)
def test_the_summary_fits_one_screen_and_ends_with_the_verdict(
    examples: dict[str, Result | Campaign], name: str
) -> None:
    lines = summary.text(examples[name]).splitlines()
    assert len(lines) <= summary.LINES_MAX
    assert max(map(len, lines[:-1])) <= summary.COLUMNS_MAX
    assert lines[-1] == examples[name].verdict.line
    assert any("no headline" in line for line in lines) == (name in ("invalid", "wrong", "partial"))


def test_the_summary_says_what_was_missed_and_what_needs_more_samples(examples: dict[str, Result | Campaign]) -> None:
    assert "MISSED   p99(e2e)<50ms" in summary.text(examples["failed"])
    assert "n/a (needs 1,000)" in summary.text(examples["partial"])


@pytest.mark.parametrize(("kind", "confirmed"), [("search", True), ("ab", False)])
def test_only_a_search_confirms(kind: str, confirmed: bool) -> None:
    runs = bench_results.campaign("search").runs
    lines = summary.text(msgspec.structs.replace(bench_results.campaign(kind), runs=runs)).splitlines()
    assert any(line.startswith("confirmed ") for line in lines) == confirmed


def test_margins_are_in_the_summary_and_on_the_page(examples: dict[str, Result | Campaign]) -> None:
    line = next(line for line in summary.text(examples["failed"]).splitlines() if "p99(e2e)<50ms  " in line)
    assert line.split()[-3:] == ["ms", "-47", "%"]
    assert '<td class="amount">-47 %</td>' in report.render(examples["failed"])


def test_the_page_shows_a_real_comparison_whole() -> None:
    few = {"response": bench_runs.percentiles(20, 50_000)}
    a, b = ([bench_runs.run(cost=one, latency=few) for one in costs] for costs in ((1, 1.01, 1.02, 1, 1), [1.2] * 5))
    found = compare(a, b, decide="wal_bytes", min_effect=0.05)
    campaign = msgspec.structs.replace(bench_results.campaign("ab"), comparison=found.builtins())
    page = report.render(campaign)
    assert "wal_bytes (decides)" in page
    assert 'class="mark interval worse"' in page
    assert "less than 5 % apart" in page
    assert '<span class="word worse">worse</span>' in page
    assert "n/a (needs 100,000)" in page
    shown = re.findall(
        r"</span></td><td>(\w+)(?: \(decides\))?</td>", page.partition("<h2>Comparison")[2].partition("<section>")[0]
    )
    assert set(shown) >= {one.name for one in found.metrics}


def test_the_page_escapes_texts_and_needs_nothing_from_elsewhere(examples: dict[str, Result | Campaign]) -> None:
    page = report.render(examples["wrong"])
    assert "&lt;12.4 s&gt;" in page
    assert "<12.4 s>" not in page
    assert "WRONG" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "<script" not in page


@pytest.mark.parametrize(("name", "tiles"), [("passed", True), ("failed", True), ("invalid", False), ("wrong", False)])
def test_a_run_that_is_invalid_or_wrong_has_no_headline(
    examples: dict[str, Result | Campaign], name: str, tiles: bool
) -> None:
    assert ('class="tiles"' in report.render(examples[name])) == tiles


def test_csv_has_a_row_a_second_and_empty_cells_for_gaps(examples: dict[str, Result | Campaign]) -> None:
    chaos = examples["chaos"]
    assert isinstance(chaos, Result)
    rows = list(csv.DictReader(io.StringIO(export.series_csv(chaos))))
    assert [row["second"] for row in rows] == [str(second) for second in chaos.series.second]
    assert rows[22]["response_p99_ms"] == ""
    assert float(rows[21]["offered"]) == 10_000
    assert float(rows[3]["wait:IO:WALSync"]) == chaos.series.waits["IO:WALSync"][3]
    metrics = {row["metric"]: row for row in csv.DictReader(io.StringIO(export.percentiles_csv(chaos)))}
    assert metrics["response"]["count"] == "300000"
    assert metrics["insert"]["p99_99"] == ""
