"""Where the doctor's text goes: width, colour, and what to write where the terminal has no UTF-8.

Colour only repeats what a word says, so that nothing is lost without it.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console

WIDTH_MAX: Final = 100
"""Longer lines are hard to read."""

_PLAIN: Final = str.maketrans(
    {
        "×": "x", "–": "-", "—": "-", "−": "-", "…": "...", "·": "-", "≥": ">=", "≤": "<=", "→": "->", "µ": "u",
        "Σ": "sum", "“": '"', "”": '"', "’": "'",
    }
)  # fmt: skip


class Color(StrEnum):
    """When to colour."""

    auto = "auto"
    always = "always"
    never = "never"


def screen(color: Color = Color.auto, *, file: IO[str] | None = None, width: int | None = None) -> Console:
    """A console for reports. `auto` colours a terminal unless NO_COLOR is set; `always` and `never` are obeyed."""
    from rich.console import Console

    console = Console(
        file=file or sys.stdout,
        color_system={"auto": "auto", "always": "standard", "never": None}[color],
        force_terminal=True if color is Color.always else None,
        no_color={"auto": None, "always": False, "never": True}[color],
        width=width,
        highlight=False,
        markup=False,
        emoji=False,
    )
    if console.width > WIDTH_MAX:
        console.width = WIDTH_MAX
    return console


def plain(text: str, *, unicode: bool) -> str:
    """Text that can be written: no control characters (a queue's name may hold any), and without UTF-8 only ASCII."""
    shown = "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)
    return shown if unicode else shown.translate(_PLAIN).encode("ascii", "replace").decode("ascii")
