"""Where in its files a producer is, as values. Knows neither messages nor the server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Format = Literal["auto", "ndjson", "lines", "csv"]


@dataclass(frozen=True, slots=True)
class Place:
    """A border between two records: `file` counts from 0, `offset` is in bytes. `line` and `messages` are those of
    this file before the border; `format` and `names` are what its beginning told (the fields of a CSV header)."""

    file: int = 0
    offset: int = 0
    line: int = 0
    messages: int = 0
    format: Format = "auto"
    names: tuple[str, ...] | None = None


Note = Callable[[Place], None]
"""Called between two chunks: every message handed out so far comes before this place, all others after it."""


@dataclass(slots=True)
class Reading:
    """How far the reading of the input is. `bytes_total` is None when it cannot be known, as with a pipe."""

    bytes_total: int | None = None
    bytes_read: int = 0
