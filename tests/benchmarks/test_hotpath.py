"""The whole command against a Queen in memory: a clean run, every fault it must notice, and its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.hotpath import main
from benchmarks.lib.record import default_path, save
from benchmarks.lib.report import Result, compare, load
from tests.benchmarks.conftest import Serve

QUICK = [
    *("--sizes", "10", "--partitions", "20", "--connections", "8", "--backlog-batches", "8"),
    *("--warmup", "0.2", "--repeat", "1", "--settle", "0"),
]


def test_a_clean_run_is_counted_saved_and_compared(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"
    url = serve("")
    code = main([*QUICK, "--url", url, "--stages", "life", "--seconds", "1.5", "--output", str(file)])
    assert code == 0, capsys.readouterr()
    result = load(file)
    assert result.valid
    verdict = result.verdicts["10"]
    assert verdict.pushed == verdict.popped == verdict.acked > 20
    assert verdict.order_judged
    (cell,) = result.cells
    assert cell.best is not None
    assert cell.best.messages == cell.best.acked > 0
    assert cell.best.server_us is not None
    assert cell.best.server_us > 0
    assert cell.best.messages_per_pop == pytest.approx(10, rel=0.5)
    assert set(cell.best.latency) == {"push", "pop", "ack"}
    assert url not in file.read_text()
    assert "result   valid" in capsys.readouterr().out
    assert main(["--compare", str(file), str(file)]) == 0
    assert "1.00" in capsys.readouterr().out


def test_push_and_drain_leave_an_empty_queue(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    url = serve("")
    code = main([*QUICK, "--url", url, "--stages", "push,drain", "--seconds", "0.3", "--no-save"])
    out = capsys.readouterr().out
    assert code == 5  # so short a window does not count, and that is said
    assert "short:" in out
    assert "ledger is wrong" not in out


@pytest.mark.parametrize(
    ("fault", "code", "word"),
    [
        ("lose", 6, "lost 1"),
        ("repeat", 6, "duplicated 1"),
        ("swap", 6, "reordered 1"),
        ("corrupt", 6, "corrupt"),
        ("refuse", 6, "refused 1"),
        ("busy", 5, "push answered 503"),
    ],
)
def test_a_faulty_server_is_found_out(
    serve: Serve, capsys: pytest.CaptureFixture[str], fault: str, code: int, word: str
) -> None:
    url = serve(fault)
    got = main([*QUICK, "--url", url, "--stages", "life", "--seconds", "1", "--stall", "3", "--no-save"])
    out = capsys.readouterr().out
    assert word in out
    assert "NOT VALID" in out
    assert got == code


def test_no_server_is_exit_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", "http://127.0.0.1:1", "--no-save"]) == 3
    assert "no ready Queen" in capsys.readouterr().err
    assert main(["--url", "ftp://somewhere", "--no-save"]) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["--sizes", "0"],
        ["--sizes", "1,x"],
        ["--sizes", "1001"],
        ["--stages", "push,fly"],
        ["--connections", "1"],
        ["--spread", "5", "--partitions", "3"],
        ["--database-url", "host=x"],
        ["--url", "http://x", "--server-arg", "--high-perf"],
        ["--seconds", "nan"],
        ["--partitions", "-1"],
    ],
)
def test_wrong_usage_is_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(arguments)
    assert leaving.value.code == 2
    assert "error:" in capsys.readouterr().err


def result_of(**changes: object) -> Result:
    values: dict[str, object] = {
        "started_at": "2026-01-02T03:04:05Z",
        "duration_s": 1.0,
        "valid": True,
        "problems": [],
        "parameters": {"seed": 1},
        "facts": {"git": {"sha": "0123456789abcdef"}, "machine": {"cpu": "x", "load_1m_before": 1}},
        "cells": [],
        "totals": [],
        "verdicts": {},
    }
    return Result(**(values | changes))  # type: ignore[arg-type]


def test_results_of_one_day_and_commit_do_not_overwrite_each_other(tmp_path: Path) -> None:
    result = result_of()
    first = default_path(result, tmp_path)
    assert first.name == "hotpath-2026-01-02-01234567.json"
    save(result, first)
    assert default_path(result, tmp_path).name == "hotpath-2026-01-02-01234567-2.json"


def test_a_comparison_says_what_differs() -> None:
    a = result_of()
    b = result_of(valid=False, parameters={"seed": 2}, facts={"machine": {"cpu": "y", "load_1m_before": 5}})
    text = compare(a, b)
    assert "warning: B is not valid" in text
    assert "cpu x → y" in text
    assert "seed 1 → 2" in text
    assert "load" not in text


def test_a_file_that_is_no_result_is_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.json"
    file.write_text(json.dumps({"schema_version": 1}))
    assert main(["--compare", str(file), str(file)]) == 2
    assert "cannot read" in capsys.readouterr().err
