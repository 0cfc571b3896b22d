"""How much longer a finite run takes, guessed from its average pace so far. Knows counts and bytes, prints nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from queen.cli.traffic.place import Reading
from queen.cli.traffic.tally import Tally


@dataclass(slots=True)
class Eta:
    """Bounds of a run: whichever is reached first ends it. None: no such bound."""

    tally: Tally
    count: int | None = None
    duration_s: float | None = None
    reading: Reading | None = None
    _read_before: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._read_before = self.reading.bytes_read if self.reading else 0

    def seconds(self) -> float | None:
        """None when nothing says so, or nothing is known yet."""
        elapsed = self.tally.seconds()
        left: list[float | None] = []
        if self.duration_s is not None:
            left.append(self.duration_s - elapsed)
        if self.count is not None:
            left.append(_left(self.count, self.tally.counts["messages"], elapsed))
        if self.reading is not None and self.reading.bytes_total is not None:
            done = self.reading.bytes_read - self._read_before
            left.append(_left(self.reading.bytes_total - self._read_before, done, elapsed))
        known = [one for one in left if one is not None]
        return max(0.0, min(known)) if known else None

    def text(self) -> str:
        """For the end of a progress line: ", 40 s left", or nothing."""
        seconds = self.seconds()
        if seconds is None:
            return ""
        if seconds < 90:
            return f", {seconds:.0f} s left"
        return f", {seconds / 60:.0f} min left" if seconds < 5400 else f", {seconds / 3600:.1f} h left"


def _left(whole: int, done: int, elapsed: float) -> float | None:
    return (whole - done) * elapsed / done if done > 0 else None
