"""The command against a Queen in memory: every number of partitions is visited, and wrong messages are found."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks.lib.series import Series
from benchmarks.partitions import main
from tests.benchmarks.conftest import Serve

QUICK = [*("--connections", "8", "--consumers", "2", "--backlog", "200"), *("--warmup", "0.2", "--seconds", "1.2")]


def test_every_count_has_a_window_in_every_round(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"
    arguments = ["--url", serve(""), "--counts", "2,20", "--repeat", "2", "--output", str(file)]
    assert main([*QUICK, *arguments]) == 0, capsys.readouterr()
    result = msgspec.json.decode(file.read_bytes(), type=Series)
    assert result.valid
    assert result.benchmark == "partitions"
    assert [point.value for point in result.points] == [2, 20]
    assert [[window.repeat for window in point.windows] for point in result.points] == [[0, 1], [0, 1]]
    assert all(verdict.pushed == verdict.acked > 20 and not verdict.wrong for verdict in result.verdicts)
    assert [verdict.order_judged for verdict in result.verdicts] == [False, False, True, True]
    assert result.points[1].rate_ratio is not None
    assert "result   valid" in capsys.readouterr().out


def test_wrong_messages_end_it(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    code = main([*QUICK, "--url", serve("repeat"), "--counts", "20", "--repeat", "3", "--no-save"])
    out = capsys.readouterr().out
    assert code == 6
    assert "duplicated 1" in out
    assert "NOT VALID" in out


@pytest.mark.parametrize(
    "arguments",
    [["--counts", "0"], ["--counts", ""], ["--consumers", "64"], ["--spread", "5"], ["--database-url", "host=x"]],
)
def test_wrong_usage_is_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main([*arguments, "--no-save"])
    assert leaving.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_no_server_is_exit_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", "http://127.0.0.1:1", "--no-save"]) == 3
    assert "partitions: no ready Queen" in capsys.readouterr().err
