"""Sizes, durations and rates: what a person may write, and that the exact printers are inverse to the parsers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queen import units


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1024", 1024),
        ("64MiB", 64 << 20),
        ("64 mib", 64 << 20),
        ("8MB", 8_000_000),
        ("8M", 8_000_000),
        ("1.5KiB", 1536),
        ("2g", 2_000_000_000),
        (" 7B ", 7),
        ("0.1kB", 100),
    ],
)
def test_sizes_that_are_read(text: str, size: int) -> None:
    assert units.parse_bytes(text) == size


@pytest.mark.parametrize(
    "text", ["", "MiB", "-1", "1.5", "5 apples", "1e3", "1,5MB", "0x10", "１MB", "0.0001kB", "1MiB2"]
)
def test_sizes_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"size"):
        units.parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "duration_ms"),
    [
        ("500ms", 500),
        ("30s", 30_000),
        ("1.5s", 1500),
        ("2m", 120_000),
        ("2min", 120_000),
        ("1h30m", 5_400_000),
        ("7d", 604_800_000),
        ("250", 250),
        ("0", 0),
    ],
)
def test_durations_that_are_read(text: str, duration_ms: int) -> None:
    assert units.parse_duration_ms(text) == duration_ms


def test_a_bare_number_counts_the_unit_that_is_asked_for() -> None:
    assert units.parse_duration_ms("90", plain_unit="s") == 90_000
    assert units.parse_duration_ms("1.5", plain_unit="s") == 1500


@pytest.mark.parametrize("text", ["", "s", "-5s", "5 weeks", "1h-30m", "1..5s", "..", "0.1ms", "30s!", "ms30"])
def test_durations_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration"):
        units.parse_duration_ms(text)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1000/s", 1000),
        ("10k", 10_000),
        ("10k/s", 10_000),
        ("600/m", 10),
        ("0.5/s", 0.5),
        ("3600/h", 1),
        ("1M", 1_000_000),
    ],
)
def test_rates_that_are_read(text: str, rate: float) -> None:
    assert units.parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "0", "0/s", "-1", "ten", "10/", "10/year", "/s", "10k/s/s"])
def test_rates_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"rate"):
        units.parse_rate(text)


@given(st.integers(min_value=0, max_value=1 << 60))
def test_a_printed_size_reads_back(size: int) -> None:
    assert units.parse_bytes(units.format_bytes(size)) == size


@given(st.integers(min_value=0, max_value=1 << 50))
def test_a_printed_duration_reads_back(duration_ms: int) -> None:
    assert units.parse_duration_ms(units.format_duration(duration_ms)) == duration_ms


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0B"), (64 << 20, "64MiB"), (8_000_000, "8MB"), (1500, "1500B"), (3 << 30, "3GiB")]
)
def test_sizes_print_in_the_unit_that_fits(size: int, text: str) -> None:
    assert units.format_bytes(size) == text


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [(0, "0s"), (500, "500ms"), (75_000, "75s"), (60_000, "1m"), (3_600_000, "1h"), (86_400_000, "1d")],
)
def test_durations_print_in_the_unit_that_fits(duration_ms: int, text: str) -> None:
    assert units.format_duration(duration_ms) == text


def test_figures_for_reading() -> None:
    assert units.round_bytes(1536) == "1.5 KiB"
    assert units.round_bytes(5) == "5 B"
    assert units.format_rate(10_000) == "10 000/s"
    assert units.format_rate(12.5) == "12.5/s"
