"""The command on real servers, with a history of a few thousand: it grows, and the small one beside it does not."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks.lib.series import Series
from benchmarks.retained import main

QUICK = [*("--steps", "1000,30000", "--partitions", "20", "--connections", "8", "--pause", "0", "--backlog", "40")]


@pytest.mark.slow
def test_history_grows_and_is_measured_beside_a_small_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "result.json"
    window = ["--repeat", "1", "--warmup", "0.2", "--seconds", "1.5"]
    assert main([*QUICK, *window, "--output", str(file)]) == 0, capsys.readouterr()
    result = msgspec.json.decode(file.read_bytes(), type=Series)
    assert [point.value for point in result.points] == [1000, 30_000]
    assert [len(point.windows) for point in result.points] == [1, 1]
    before, end = result.extra["levels"]
    assert before["step"] == 30_000
    assert before["stored"] >= 30_000
    assert end["stored"] > before["stored"]
    assert end["messages_bytes"] > before["messages_bytes"] > 1_000_000
    assert result.points[1].cost_ratio is not None


@pytest.mark.parametrize(
    "arguments", [["--steps", "5"], ["--steps", "10,5"], ["--url", "http://127.0.0.1:1"], ["--partitions", "1"]]
)
def test_wrong_usage_is_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main([*arguments, "--no-save"])
    assert leaving.value.code == 2
    assert "error:" in capsys.readouterr().err
