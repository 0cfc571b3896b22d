"""The catalogue in docs/doctor.md is that of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from queen.doctor.catalogue import catalogue
from queen.doctor.page import BEGIN, END, renewed

PAGE = Path(__file__).resolve().parents[2] / "docs" / "doctor.md"


def test_the_page_is_fresh() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == renewed(page), "python -m queen.doctor.page docs/doctor.md"


def test_every_check_has_a_row() -> None:
    rows = renewed(BEGIN + END)
    assert all(f"| {check.title} |" in rows for check in catalogue())


def test_a_page_without_a_place_for_it_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        renewed("# nothing")
