"""A pace is kept, a stall is seen by every push that was due in it, and a rate that was not held is said to be so."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks import burst, sustained
from benchmarks.lib.plan import Pace
from benchmarks.lib.steady import PacedRecord, judge
from tests.benchmarks.conftest import Serve
from tests.benchmarks.test_series import window

QUICK = [*("--rate", "500", "--partitions", "30", "--connections", "8", "--consumers", "4", "--warmup", "0.2")]


def read(file: Path) -> PacedRecord:
    return msgspec.json.decode(file.read_bytes(), type=PacedRecord)


def test_a_steady_rate_is_offered_and_consumed(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"
    code = sustained.main([*QUICK, "--url", serve(""), "--seconds", "2", "--output", str(file)])
    assert code == 0, capsys.readouterr()
    result = read(file)
    (one,) = result.windows
    assert one.pace.due == pytest.approx(100, abs=2)  # 500 messages a second in pushes of 10, for 2 s
    assert {"intended", "lag", "end_to_end", "push", "pop", "ack"} == set(one.window.latency)
    assert one.window.latency["end_to_end"].count > 50
    assert result.verdicts[0].order_judged
    assert "offered 500 msg/s in pushes of 10; consumers meanwhile" in capsys.readouterr().out


def test_a_stall_is_in_the_latency_of_every_push_that_was_due_in_it(serve: Serve, tmp_path: Path) -> None:
    """One second of standstill holds up a third of the 1,500 pushes of three seconds. Only the four connections that
    push had sent one before it, so the times from sending alone would show it in four of them."""
    file = tmp_path / "result.json"
    url = serve("stall")  # at message 500, about one second in
    assert sustained.main([*QUICK, "--url", url, "--size", "1", "--seconds", "3", "--output", str(file)]) in (0, 5)
    (one,) = read(file).windows
    assert one.window.latency["intended"].p99_ms >= 900
    assert one.window.latency["intended"].count > 1000
    assert one.pace.behind_s >= 0.8
    assert one.pace.late >= 300


def test_a_burst_is_consumed_when_it_is_over(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    assert burst.main([*QUICK, "--url", serve(""), "--seconds", "1.2", "--size", "5", "--output", str(file)]) == 0
    result = read(file)
    (one,) = result.windows
    assert one.window.acked == 0
    assert one.window.pushed > 0
    assert result.verdicts[0].acked == result.verdicts[0].pushed > one.window.pushed
    assert result.consume == "later"


@pytest.mark.parametrize("fault", ["lose", "repeat", "swap"])
def test_wrong_messages_are_exit_6(serve: Serve, capsys: pytest.CaptureFixture[str], fault: str) -> None:
    quick = [*QUICK, "--url", serve(fault), "--seconds", "1.5", "--stall", "2", "--no-save"]
    assert sustained.main(quick) == 6, capsys.readouterr()
    assert "NOT VALID" in capsys.readouterr().out


def test_a_rate_is_held_when_the_pushes_due_were_answered_and_consumed() -> None:
    """`window` acked nothing, so it holds a rate only where consumers run later."""
    good, bad = Pace(1000, 995, 0, 0.0, 0.0), Pace(1000, 980, 0, 0.0, 0.0)
    assert judge(window(0, 1000, 20), good, 10, later=True).held
    assert not judge(window(0, 1000, 20), bad, 10, later=True).held
    assert not judge(window(0, 1000, 20), good, 10, later=False).held
    assert judge(window(0, 1000, 20), good, 10, later=True).server_share == pytest.approx(0.02)
