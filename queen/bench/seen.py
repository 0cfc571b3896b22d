"""What was seen of the other side in one run, as plain values: what the record is put together from.

Knows neither how it was observed nor what it means.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from queen.bench.result import PostgresSide, ServerSide
from queen.measure.histogram import LatencyHistogram


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Sides and `insert` are of the measured time; series of the whole run, one value a second from the zero of its
    clock. None: not known."""

    server: ServerSide | None = None
    postgres: PostgresSide | None = None
    values: dict[str, list[float | None]] = field(default_factory=dict)
    waits: dict[str, list[int]] = field(default_factory=dict)
    insert: LatencyHistogram | None = None
    insert_slices: list[LatencyHistogram | None] = field(default_factory=list)
    pool_size: float | None = None
    server_workers: int = 1
    cores: int = 1
    notes: list[str] = field(default_factory=list)

    def mean(self, name: str, from_s: int, to_s: int) -> float | None:
        """The average of a series between two seconds."""
        known = [value for value in self.values.get(name, [])[from_s:to_s] if value is not None]
        return sum(known) / len(known) if known else None


@dataclass(kw_only=True)
class Surroundings:
    """Where the run took place. `disturbed`: what was not quiet before measuring; `changed`: what became another while
    it went on."""

    fingerprint: dict[str, Any] = field(default_factory=dict)
    disturbed: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
