"""The order of the windows, the ratio with its interval, and what is refused before anything starts."""

from __future__ import annotations

import pytest

from benchmarks.doctor import parse, visited


def test_windows_with_and_without_alternate_so_that_a_drift_meets_both() -> None:
    order = "".join("B" if visited(number) else "A" for number in range(8))
    assert order == "ABBAABBA"


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
