"""Adds up what workers report: each second once all have told of it, blocks of seconds, and the measured time whole.

Histograms are merged by addition and kept for the second that is open, the block that is open, and the whole; what is
closed is kept as numbers and as encoded text, so that a run of hours stays small. Knows no phase but `begin_measuring`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from queen.bench.orders import Counts, Slice
from queen.measure.histogram import LatencyHistogram

Histograms = dict[str, LatencyHistogram]
WARM_BLOCK_S = 5
_COUNTED = Counts.__struct_fields__


@dataclass(slots=True)
class Second:
    """One second of all workers, counted from the clock's zero of the run."""

    second: int
    counts: Counts = field(default_factory=Counts)
    errors: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    cpu_s: float = 0.0
    cpu_s_max: float = 0.0
    rss_bytes: int = 0
    latencies: dict[str, tuple[float | None, float | None, float | None]] = field(default_factory=dict)
    """p50, p99 and max in milliseconds, by metric."""
    backlog: int = 0
    """Accepted and not acked at the end of this second, of the group that is furthest behind."""


@dataclass(slots=True)
class Block:
    """Some seconds together: what steadiness and windows are judged by."""

    accepted: int
    response_p50_ms: float | None
    encoded: dict[str, str]
    second_p50s_ms: list[float] = field(default_factory=list)
    """Of the response, one for each second that had answers."""


class Collector:
    """Takes slices in any mixture of workers; each worker's come in the order of time."""

    def __init__(
        self,
        workers: int,
        zero_s: int,
        groups: int = 1,
        *,
        late_counts: bool = False,
        without: frozenset[str] = frozenset(),
    ) -> None:
        """`late_counts`: answers after the measured time belong to the question, as those of a backlog's drain do.
        `without`: latencies that mean nothing in this run."""
        self._zero_s, self._late_counts, self._without = zero_s, late_counts, without
        self._last = dict.fromkeys(range(workers), -1)
        self._open: dict[int, tuple[Second, Histograms]] = {}
        self._groups = groups
        self._block: Histograms = {}
        self._block_accepted = self._block_seconds = 0
        self._block_p50s_ms: list[float] = []
        self._block_s = WARM_BLOCK_S
        self._pending = 0
        self._measuring = False
        self.seconds: list[Second] = []
        self.warm: list[Block] = []
        self.blocks: list[Block] = []
        """Of the measured time."""
        self.whole: Histograms = {}
        self.late: Histograms = {}
        """Answers that came after the measured time, where they do not count: for a note, so that nothing is hidden."""
        self.measure_from_s: int | None = None
        self.measure_to_s: int | None = None
        self.above_range = self.negative = 0

    def take(self, part: Slice) -> None:
        """One worker's second."""
        second = part.second - self._zero_s
        made, histograms = self._open.setdefault(second, (Second(second), {}))
        _add_counts(made.counts, part.counts)
        made.errors.update(part.errors)
        made.in_flight += part.in_flight
        made.cpu_s += part.cpu_s
        made.cpu_s_max = max(made.cpu_s_max, part.cpu_s)
        made.rss_bytes += part.rss_bytes
        self.above_range += part.above_range
        self.negative += part.negative
        _merge(
            histograms,
            {name: LatencyHistogram.decode(text) for name, text in part.latencies.items() if name not in self._without},
        )
        self._last[part.worker] = max(self._last.get(part.worker, -1), second)
        self._close_what_all_told()

    def leave(self, worker: int) -> None:
        """This worker tells no more."""
        self._last.pop(worker, None)
        self._close_what_all_told()

    def begin_measuring(self, second: int, block_s: int) -> None:
        """From this second on, which nobody has told of yet, latencies count."""
        self.measure_from_s, self._block_s = second, block_s

    def end_measuring(self, second: int) -> None:
        """The first second that does not count any longer. Call it before that second is over."""
        self.measure_to_s = second

    def finish(self) -> None:
        """Close everything that is open: the run is over."""
        for second in sorted(self._open):
            self._close(second)
        if self._block_seconds:
            self._close_block()

    def measured(self) -> list[Second]:
        """The seconds that count for rates."""
        if self.measure_from_s is None:
            return []
        to_s = self.measure_to_s if self.measure_to_s is not None else 1 << 62
        return [one for one in self.seconds if self.measure_from_s <= one.second < to_s]

    def _close_what_all_told(self) -> None:
        told = min(self._last.values(), default=-1)
        for second in sorted(one for one in self._open if one <= told):
            self._close(second)

    def _close(self, second: int) -> None:
        made, histograms = self._open.pop(second)
        made.latencies = {
            name: (one.percentile_ms(50), one.percentile_ms(99), one.max_ms()) for name, one in histograms.items()
        }
        self._pending += made.counts.accepted - made.counts.acked // self._groups
        made.backlog = max(0, self._pending)
        self.seconds.append(made)
        if self.measure_from_s is not None and second >= self.measure_from_s:
            if not self._measuring:
                self._measuring = True
                self._drop_block()
            if self._is_late(second) and not self._late_counts:
                _merge(self.late, histograms)
                return
            _merge(self.whole, histograms)
        self._grow_block(second, made, histograms)

    def _is_late(self, second: int) -> bool:
        return self.measure_to_s is not None and second >= self.measure_to_s

    def _grow_block(self, second: int, made: Second, histograms: Histograms) -> None:
        """Late answers that count go into the last block, whatever its length."""
        _merge(self._block, histograms)
        self._block_accepted += made.counts.accepted
        self._block_seconds += 1
        p50_ms = made.latencies["response"][0] if "response" in made.latencies else None
        if p50_ms is not None:
            self._block_p50s_ms.append(p50_ms)
        last = self.measure_to_s is not None and second >= self.measure_to_s - 1
        if self._block_seconds >= self._block_s and not last:
            self._close_block()

    def _close_block(self) -> None:
        p50 = self._block["response"].percentile_ms(50) if "response" in self._block else None
        encoded = {name: one.encode() for name, one in self._block.items()}
        block = Block(self._block_accepted, p50, encoded, self._block_p50s_ms)
        (self.blocks if self._measuring else self.warm).append(block)
        self._drop_block()

    def _drop_block(self) -> None:
        self._block, self._block_accepted, self._block_seconds, self._block_p50s_ms = {}, 0, 0, []


def _add_counts(total: Counts, part: Counts) -> None:
    for name in _COUNTED:
        setattr(total, name, getattr(total, name) + getattr(part, name))


def _merge(total: Histograms, part: Histograms) -> None:
    for name, histogram in part.items():
        if name in total:
            total[name].add(histogram)
        else:
            copy = LatencyHistogram()
            copy.add(histogram)
            total[name] = copy
