"""Baseline, dip, recovery and decay of made-up series."""

from __future__ import annotations

import pytest

from queen.bench.chaos import Fault
from queen.bench.faults import Struck
from queen.bench.recovery import Track, assess, decay, reports


def track(*parts: tuple[int, float], p99: float = 10.0) -> Track:
    """(seconds, rate) one after the other."""
    rates = [rate for seconds, rate in parts for _ in range(seconds)]
    return Track(rates, [p99] * len(rates))


def test_a_dip_and_its_recovery() -> None:
    found = assess("kill-server", 20, 23, track((20, 1000), (3, 0), (2, 400), (1, 2000), (20, 1000)))
    assert found.baseline_per_s == 1000
    assert found.dip_per_s == 0
    assert found.recovery_s == 1, "the mean of 24 to 27 holds 95 % again, that of 23 to 26 does not"
    assert found.later_equals_earlier is True
    assert found.notes == []


def test_no_dip_is_recovered_at_once() -> None:
    found = assess("kill-server", 20.5, 20.5, track((46, 1000)))
    assert (found.recovery_s, found.dip_per_s) == (0, 1000)


def test_one_good_moment_is_no_recovery() -> None:
    found = assess("restart-pg", 10, 12, track((10, 1000), (2, 0), (3, 1000), (5, 100), (20, 1000)))
    assert found.recovery_s == pytest.approx(8, abs=1)


def test_never_recovered() -> None:
    found = assess("restart-pg", 10, 12, track((10, 1000), (20, 900)))
    assert found.recovery_s is None
    assert found.later_per_s is None
    assert found.later_equals_earlier is None


def test_seconds_without_values_count_as_nothing_delivered() -> None:
    rates: list[float | None] = [1000.0] * 10 + [None] * 3 + [1000.0] * 12
    found = assess("kill-server", 10, 10, Track(rates, [None] * 25))
    assert (found.dip_per_s, found.recovery_s, found.baseline_p99_ms) == (0, 3, None)


def test_too_little_before_it_gives_no_baseline() -> None:
    found = assess("kill-server", 12, 12, track((30, 1000)), before_s=8)
    assert found.baseline_per_s is None
    assert found.recovery_s is None
    assert "no baseline" in found.notes[0]


def test_the_next_fault_ends_what_counts() -> None:
    found = assess("kill-server", 10, 10, track((20, 1000), (20, 0)), until_s=20)
    assert (found.recovery_s, found.later_per_s) == (0, 1000)


@pytest.mark.parametrize(("rate", "p99", "equal"), [(1050, 10.5, True), (880, 10, None), (1000, 12, False)])
def test_whether_the_later_phase_equals_the_earlier(rate: float, p99: float, equal: bool | None) -> None:
    rates = [1000.0] * 10 + [rate] * 20
    values = [10.0] * 10 + [p99] * 20
    found = assess("kill-server", 10, 10, Track(rates, values))
    assert found.later_equals_earlier is equal


def test_a_backlog_still_drained_is_not_as_before() -> None:
    assert assess("restart-pg", 10, 12, track((10, 1000), (2, 0), (20, 1500))).later_equals_earlier is False


def test_decay_while_a_fault_lasts() -> None:
    falling = Track([1000.0 - 5 * n for n in range(60)], [10.0 + n for n in range(60)])
    rate, p99 = decay(falling, 0, 60)
    assert "1000 → 705 msg/s" in rate
    assert "10.0 → 69.0 ms" in p99
    assert assess("pin-xmin", 10, 60, falling).notes[-2:] == decay(falling, 10, 60)
    assert not any("decayed" in note for note in assess("kill-server", 10, 60, falling).notes)


def test_one_bad_second_is_no_decay() -> None:
    rates = [1000.0] * 59 + [10.0]
    assert decay(Track(rates, [10.0] * 59 + [900.0]), 0, 60) == []
    assert "too short" in decay(Track(rates, rates), 0, 9)[0]


def test_a_stall_whose_late_ack_was_taken_is_said() -> None:
    assert "no late ack was refused" in assess("stall-consumer", 10, 20, track((40, 1000))).notes[0]
    refused = assess("stall-consumer", 10, 20, track((40, 1000)), affected={"ack_refused": 1})
    assert refused.notes == []
    assert refused.affected == {"ack_refused": 1}


def test_several_faults_each_have_their_own_time() -> None:
    def affected(begin_s: float, end_s: float) -> dict[str, int]:
        return {"unknown": int(begin_s), "refused": int(end_s)}

    struck = [
        Struck(Fault("drain-server", 40, 0), 40, 42, {"other_servers": 1, "exit_code": 1, "drained_s": 2}),
        Struck(Fault("kill-server", 20, 3), 20, 23, {"other_servers": 0}),
    ]
    first, second = reports(struck, track((20, 1000), (3, 0), (40, 1000)), affected, clock_s=100)
    assert (first.name, first.at_s, first.end_s, first.recovery_s) == ("kill-server", 120, 123, 0)
    assert first.affected == {"unknown": 20, "refused": 40}
    assert first.notes == ["it was the only server, so clients could not connect until it was back"]
    assert (second.name, second.at_s, second.baseline_per_s) == ("drain-server", 140, 1000)
    assert second.notes == [
        "clients saw 103 errors, though another server was there",
        "the server did not end in order: exit code 1",
        "drained_s 2",
    ]


def test_a_fault_that_could_not_be_done_says_so() -> None:
    struck = [Struck(Fault("pin-xmin", 20, 5), 20, 20, {}, "the database is away")]
    [report] = reports(struck, track((40, 1000)), lambda begin_s, end_s: {})
    assert report.notes[0] == "it could not be done: the database is away"
