"""`--threshold ID.NAME=WARN,CRIT`. Pure."""

from __future__ import annotations

import pytest

from queen.doctor.threshold import parse
from queen.errors import SettingsError


def test_values_names_and_origin() -> None:
    found = parse(["v4=30s,5m", "V4.xids=10", "V1.limit=,none"])
    limits = {name: (limit.warn, limit.crit) for name, limit in found.items()}
    assert limits == {"V4.limit": (30, 300), "V4.xids": (10, 1_000_000), "V1.limit": (1.0, None)}
    assert {limit.origin for limit in found.values()} == {"--threshold"}
    assert found["V4.limit"].unit == "s"


def test_a_later_one_changes_an_earlier_one() -> None:
    assert (parse(["V4=30", "V4=,90"])["V4.limit"].warn, parse(["V4=30", "V4=,90"])["V4.limit"].crit) == (30, 90)


@pytest.mark.parametrize(
    "word", ["V4", "V4.limit", "=3", "V4=fast", "V4.nothing=1", "V4=1,2,3", "Z9=1", "V1=5s", "V4=nan", "V4=inf"]
)
def test_what_cannot_be_read_is_refused(word: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse([word])
    assert caught.value.hint


@pytest.mark.parametrize("words", [["V4=10,5"], ["V4=700"], ["V2=50,90"], ["V4=,10", "V4=30"]])
def test_critical_does_not_come_before_warning(words: list[str]) -> None:
    with pytest.raises(SettingsError, match="would come before") as caught:
        parse(words)
    assert caught.value.hint


def test_the_side_is_that_of_the_threshold_and_only_the_last_word_counts() -> None:
    found = parse(["V2=80,40", "V4=700", "V4=,900", "C1=0,0"])
    assert {name: (limit.warn, limit.crit) for name, limit in found.items()} == {
        "V2.limit": (80, 40),
        "V4.limit": (700, 900),
        "C1.limit": (0, 0),
    }
