"""The order of the windows, what a run costs in processor time and in throughput, and what is refused beforehand."""

from __future__ import annotations

import json

import pytest

from benchmarks.doctor import order, parse
from benchmarks.lib.visits import DEFAULT_RUN_S, QUESTIONS, Visit, cost_of, lost, visit_of
from queen.doctor.probes import server
from queen.measure.compare import Ratio


def test_the_doctor_comes_once_in_each_pair_before_or_after_by_chance() -> None:
    comes = order(50, 1)
    pairs = [comes[place : place + 2] for place in range(0, 100, 2)]
    assert all(sorted(pair) == [False, True] for pair in pairs)
    assert sum(pair[0] for pair in pairs) == 25, "as often before as after"
    assert len({pairs[place][0] == pairs[place + 1][0] for place in range(49)}) == 2, "in no fixed order"
    assert comes == order(50, 1) != order(50, 2)


def test_short_windows_are_many_and_can_be_changed() -> None:
    short = parse(["--short"])
    assert short.repeat >= 30
    assert 2 * short.repeat * (short.seconds + short.warmup) < 15 * 60
    assert short.doctor_window < short.seconds / 2
    assert parse(["--short", "--repeat", "3"]).repeat == 3


def visit(process_s: float, database_s: float | None, took_s: float = 10.0) -> Visit:
    return Visit(code=0, took_s=took_s, process_s=process_s, database_s=database_s)


def test_the_cost_is_the_mean_of_its_three_parts_as_a_share_of_all_processors() -> None:
    cost = cost_of([visit(0.3, 0.1, 9.0), visit(0.5, 0.2, 11.0)], answers_s=0.05, cores=2)
    assert cost is not None
    assert (cost.runs, cost.took_s) == (2, 10.0)
    assert cost.process_s == pytest.approx(0.4)
    assert cost.database_s == pytest.approx(0.15)
    assert cost.total_s == pytest.approx(0.6)
    assert cost.share == pytest.approx(0.03)


def test_a_part_that_is_not_known_leaves_no_total() -> None:
    assert cost_of([], 0.1, 2) is None
    for cost in (cost_of([visit(0.3, None), visit(0.3, 0.1)], 0.1, 2), cost_of([visit(0.3, 0.1)], None, 2)):
        assert cost is not None
        assert (cost.total_s, cost.share) == (None, None)
        assert cost.process_s == pytest.approx(0.3)


def test_a_ratio_comes_to_seconds_of_throughput_and_a_share_of_a_whole_run() -> None:
    found = lost(Ratio(0.98, 0.97, 1.01), window_s=6.0)
    assert (found.seconds, found.low_s, found.high_s) == pytest.approx((0.12, -0.06, 0.18))
    assert (found.share, found.low, found.high) == pytest.approx(tuple(x / DEFAULT_RUN_S for x in (0.12, -0.06, 0.18)))


def test_the_session_is_read_from_the_report() -> None:
    assert visit_of(0, 1.0, 0.3, json.dumps({"database_cpu_s": 0.07}).encode()).database_s == 0.07
    for nothing in (b"", b"[]", b'{"database_cpu_s": null}'):
        assert visit_of(3, 1.0, 0.3, nothing).database_s is None


def test_the_questions_are_those_that_a_run_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def get(_url: str, path: str) -> dict[str, object]:
        asked.append(path)
        return {}

    monkeypatch.setattr(server, "_get", get)
    assert server.answers("http://there")
    for _ in range(2):
        server.look("http://there")
    assert sorted(asked) == sorted(QUESTIONS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--repeat", "1"], "two pairs"),
        (["--seconds", "5", "--doctor-window", "6"], "longer than --doctor-window"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(arguments)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err
