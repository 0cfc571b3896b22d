"""Parse and print sizes, durations and rates. Standard library only; knows nothing of settings or commands.

Every parser takes text such as a person writes ("64MiB", "30s", "10k/s") and raises ValueError with a plain sentence
when it cannot. The exact printers are inverse to the parsers: `parse_bytes(format_bytes(n)) == n`.
"""

from __future__ import annotations

import re
from typing import Final

_NUMBER_AND_UNIT: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*([A-Za-z]*)")

_BYTES: Final = {
    "": 1,
    "b": 1,
    "k": 10**3,
    "kb": 10**3,
    "m": 10**6,
    "mb": 10**6,
    "g": 10**9,
    "gb": 10**9,
    "t": 10**12,
    "tb": 10**12,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
    "tib": 1 << 40,
}
_BYTES_EXACT: Final = (
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 10**12),
    ("GB", 10**9),
    ("MB", 10**6),
    ("kB", 10**3),
)
_MILLISECONDS: Final = {"ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_MILLISECONDS_EXACT: Final = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000))
_RATE_SECONDS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600}
_RATE_FACTORS: Final = {"": 1, "k": 10**3, "m": 10**6}


def parse_bytes(text: str) -> int:
    """A size in bytes: "64MiB" (binary), "8MB" or "8M" (decimal), "1024"."""
    match = _NUMBER_AND_UNIT.fullmatch(text.strip())
    factor = _BYTES.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise ValueError('not a size: write bytes such as 65536, or a unit such as "64MiB" or "8MB"')
    return _whole(match[1], factor, "a size must come to a whole number of bytes")


def format_bytes(size: int) -> str:
    """The shortest exact text of a size: "64MiB", "8MB", "1500B"."""
    if size == 0:
        return "0B"
    return _exact(size, _BYTES_EXACT) or f"{size}B"


def round_bytes(size: float) -> str:
    """A size for reading, not for parsing back: "1.2 MiB"."""
    for name, factor in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if abs(size) >= factor:
            return f"{size / factor:.1f} {name}"
    return f"{size:.0f} B"


def parse_duration_ms(text: str, *, plain_unit: str = "ms") -> int:
    """A duration in milliseconds: "500ms", "30s", "1.5s", "2m", "1h30m", "7d"; a bare number counts `plain_unit`."""
    stripped = text.strip()
    if re.fullmatch(r"[0-9.]+", stripped):
        stripped += plain_unit
    parts = list(_NUMBER_AND_UNIT.finditer(stripped))
    known = all(part[2].lower() in _MILLISECONDS for part in parts)
    if not parts or not known or "".join(part[0] for part in parts) != stripped:
        raise ValueError('not a duration: write a number with a unit, such as "500ms", "30s", "5m" or "1h30m"')
    wrong = "a duration must come to a whole number of milliseconds"
    return sum(_whole(part[1], _MILLISECONDS[part[2].lower()], wrong) for part in parts)


def format_duration(duration_ms: int) -> str:
    """The shortest exact text of a duration: "30s", "500ms", "1h"."""
    if duration_ms == 0:
        return "0s"
    return _exact(duration_ms, _MILLISECONDS_EXACT) or f"{duration_ms}ms"


def parse_rate(text: str) -> float:
    """A rate per second: "1000/s", "10k", "10k/s", "600/m". Above zero."""
    amount, slash, per = text.strip().lower().partition("/")
    match = _NUMBER_AND_UNIT.fullmatch(amount.strip())
    seconds = _RATE_SECONDS.get(per.strip()) if slash else 1
    factor = _RATE_FACTORS.get(match[2]) if match else None
    if match is None or factor is None or seconds is None or float(match[1]) == 0:
        raise ValueError('not a rate: write a number above zero a second, such as "1000/s", "10k" or "600/m"')
    return float(match[1]) * factor / seconds


def format_rate(rate: float) -> str:
    """A rate for reading: "10 000/s", "12.5/s"."""
    shown = f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}".removesuffix(".0")
    return shown.replace(",", " ") + "/s"


def _whole(number: str, factor: int, wrong: str) -> int:
    """number × factor, exactly: decimal text goes through integers, so that no float rounds a large value."""
    before, _, after = number.partition(".")
    scaled = int((before or "0") + after) * factor
    unit: int = 10 ** len(after)
    value, rest = divmod(scaled, unit)
    if rest:
        raise ValueError(wrong)
    return value


def _exact(value: int, units: tuple[tuple[str, int], ...]) -> str | None:
    """`value` in the first unit that divides it, or None."""
    for name, factor in units:
        if value % factor == 0:
            return f"{value // factor}{name}"
    return None
