"""The order of the windows, the ratio with its interval, and what is refused before anything starts."""

from __future__ import annotations

import pytest

from benchmarks.doctor import order, parse


def test_the_doctor_comes_once_in_each_pair_before_or_after_by_chance() -> None:
    comes = order(50, 1)
    pairs = [comes[place : place + 2] for place in range(0, 100, 2)]
    assert all(sorted(pair) == [False, True] for pair in pairs)
    assert 10 < sum(pair[0] for pair in pairs) < 40
    assert comes == order(50, 1)


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
