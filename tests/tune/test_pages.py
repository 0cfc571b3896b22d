"""The examples and the page about the tuner say what the code says. `python -m tests.tune.pages` writes them anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from queen.tune.baseline import baseline
from queen.tune.known import KNOWN
from queen.tune.lines import Line
from tests.tune import pages


@pytest.mark.spec("R20")
@pytest.mark.parametrize("path", pages.files(), ids=lambda path: path.name)
def test_the_file_is_what_the_code_makes_byte_for_byte(path: Path) -> None:
    assert path.read_bytes() == pages.files()[path].encode(), "run: python -m tests.tune.pages"


@pytest.mark.spec("R20")
def test_every_line_of_the_baseline_gives_its_reason() -> None:
    assert all(isinstance(line, Line) and len(line.reason.split()) > 2 for line in baseline().lines)


def test_the_page_names_every_setting_that_a_plan_can_hold() -> None:
    text = pages.PAGE.read_text(encoding="utf-8")
    assert [name for name in KNOWN if f"| `{name}`" not in text] == []
