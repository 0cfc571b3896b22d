"""Sizes and times as PostgreSQL writes them, and rounded ones, which a person can remember. Pure."""

from __future__ import annotations

import re
from typing import Final

from queen.tune.inputs import GIB, MIB

_SIZES: Final = {"B": 1, "kB": 1 << 10, "MB": MIB, "GB": GIB, "TB": 1 << 40}
_TIMES: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0, "min": 60_000.0, "h": 3_600_000.0, "d": 86_400_000.0}
_NUMBER: Final = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")
_UNIT: Final = re.compile(r"([0-9]*)([A-Za-z]+)")


def size(amount: float) -> str:
    """The shortest exact text of whole kibibytes: 2GB, 1536MB, 64kB. Below 1 kB it is 1kB."""
    kib = max(1, int(amount) >> 10)
    for name, factor in (("GB", 1 << 20), ("MB", 1 << 10)):
        if kib % factor == 0:
            return f"{kib // factor}{name}"
    return f"{kib}kB"


def down(amount: float) -> int:
    """Rounded down to what is easy to read: an eighth of a gibibyte, 8 MiB, or one, as the size allows."""
    step = GIB // 8 if amount >= 2 * GIB else 8 * MIB if amount >= 128 * MIB else MIB if amount >= MIB else 1024
    return int(amount) // step * step


def seconds(amount: float) -> str:
    """15min, 90s."""
    whole = int(amount)
    return f"{whole // 60}min" if whole and whole % 60 == 0 else f"{whole}s"


def rounded(amount: float) -> str:
    """A size for reading: 7.6 GiB, 800 MiB, 950 kB."""
    for name, factor in (("TiB", 1 << 40), ("GiB", GIB), ("MiB", MIB)):
        if amount >= factor:
            return f"{amount / factor:.1f} {name}".replace(".0 ", " ")
    return f"{amount / 1024:.0f} KiB"


def number_of(text: str, unit: str | None) -> float | None:
    """The number that PostgreSQL makes of a text for a setting with this base unit (8kB, ms, None for plain numbers).

    None when it is no number, or of another kind of unit: a size for a time.
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        return None
    value, written = float(match[1]), match[2]
    if not written:
        return value
    if unit is None:
        return None
    base = _UNIT.fullmatch(unit)
    for table in (_SIZES, _TIMES):
        if base is not None and written in table and base[2] in table:
            return value * table[written] / (table[base[2]] * int(base[1] or 1))
    return None
