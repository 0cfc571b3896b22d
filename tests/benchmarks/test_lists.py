"""The command on a real server, with a system of a few hundred messages: every list is asked."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks.lists import ListsRecord, main

QUICK = [*("--queues", "20", "--partitions", "60", "--messages", "600", "--groups", "2", "--calls", "3")]


@pytest.mark.pg
def test_every_list_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str], postgres_programs: Path) -> None:
    file = tmp_path / "result.json"
    assert main([*QUICK, "--goal-ms", "100000", "--output", str(file)]) == 0, capsys.readouterr()
    result = msgspec.json.decode(file.read_bytes(), type=ListsRecord)
    routes = {route.path: route for route in result.routes}
    assert {"/api/v1/resources/queues", "/api/v1/resources/queues/{queue}", "/api/v1/dlq"} <= set(routes)
    assert not any(path.startswith(("/api/v1/pop", "/health")) for path in routes)
    listed = routes["/api/v1/resources/queues"]
    assert (listed.statuses, listed.kept) == ({"200": 3}, True)
    assert listed.answer_bytes > 20 * 100, "all queues are in it"
    assert min(routes[path].answer_bytes for path in ("/api/v1/dlq", "/api/v1/traces/names")) > 1000, "there are some"
    assert listed.latency is not None
    assert listed.latency.count == 3
    out = capsys.readouterr().out
    assert "goal     kept by every route" in out
    assert "result   valid" in out


@pytest.mark.parametrize(
    "arguments", [["--queues", "5", "--partitions", "2"], ["--calls", "0"], ["--url", "http://127.0.0.1:1"]]
)
def test_wrong_usage_is_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main([*arguments, "--no-save"])
    assert leaving.value.code == 2
    assert "error:" in capsys.readouterr().err
