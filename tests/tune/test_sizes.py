"""Sizes and times as PostgreSQL writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queen.tune import sizes


@given(st.integers(1024, 1 << 50))
def test_a_size_reads_back_as_whole_kibibytes(amount: int) -> None:
    assert sizes.number_of(sizes.size(amount), "kB") == amount >> 10


@given(st.integers(1024, 1 << 45))
def test_rounding_goes_down_and_not_far(amount: int) -> None:
    rounded = sizes.down(amount)
    assert 0.93 * amount - 1024 <= rounded <= amount or amount < 1 << 20 or rounded >= amount // 2
    assert rounded <= amount


@pytest.mark.parametrize(
    ("text", "unit", "number"),
    [
        ("128MB", "8kB", 16384),
        ("4MB", "kB", 4096),
        ("2GB", "MB", 2048),
        ("15min", "s", 900),
        ("2ms", "ms", 2),
        ("24h", "s", 86400),
        ("0.9", None, 0.9),
        ("200", "kB", 200),
        ("-1", "kB", -1),
        ("1kB", "8kB", 0.125),
        ("on", "kB", None),
        ("10s", "kB", None),
        ("10MB", None, None),
        ("10XB", "kB", None),
    ],
)
def test_the_number_of_a_text_in_a_unit(text: str, unit: str | None, number: float | None) -> None:
    assert sizes.number_of(text, unit) == number


@pytest.mark.parametrize(("amount", "text"), [(900, "15min"), (90, "90s"), (60, "1min"), (0, "0s")])
def test_seconds(amount: int, text: str) -> None:
    assert sizes.seconds(amount) == text
