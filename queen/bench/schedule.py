"""When messages are due and which key each push takes: fixed by rate, arrivals and seed before the clock starts.

All workers draw the same whole schedule and each takes every n-th message of it, so that theirs are disjoint and
together the whole. Times come in chunks, so that a run of hours needs no more memory than a short one.
Pure: knows no clock, no connection and no payload.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from queen.bench.workload import Arrivals, Workload
from queen.errors import SettingsError

Times = npt.NDArray[np.int64]
Batch = tuple[int, list[int]]
"""When a push is due, and the intended time of each of its messages, in nanoseconds."""

CHUNK = 8192
"""Messages of the whole schedule that are drawn at a time."""
_DRAWS = 4096
_ZIPF = re.compile(r"zipf\((\d+(?:\.\d+)?)\)")


def times(
    rate: float,
    arrivals: Arrivals,
    *,
    seed: tuple[int, ...],
    start_ns: int,
    worker: int = 0,
    workers: int = 1,
    end_ns: int | None = None,
    messages: int | None = None,
) -> Iterator[Times]:
    """The intended times of one worker, rising, in chunks that are not empty. `rate` is that of all workers together.

    Message i belongs to worker i mod workers. Ends before `end_ns` and after `messages` of all workers; never without.
    """
    gap_ns = 1e9 / rate
    random = np.random.default_rng(seed)
    done, elapsed = 0, 0.0
    while messages is None or done < messages:
        count = CHUNK if messages is None else min(CHUNK, messages - done)
        if arrivals == "uniform":
            since = np.arange(done, done + count) * gap_ns
        else:
            since = elapsed + np.cumsum(random.standard_exponential(count)) * gap_ns
            elapsed = float(since[-1])
        chunk = start_ns + np.rint(since).astype(np.int64)
        mine = chunk[(worker - done) % workers :: workers]
        if end_ns is not None and chunk[-1] >= end_ns:
            mine = mine[mine < end_ns]
            if mine.size:
                yield mine
            return
        done += count
        if mine.size:
            yield mine


def batches(chunks: Iterable[Times], size: int, linger_ns: int) -> Iterator[Batch]:
    """Pushes of `size` messages. A push is due with its last message, or `linger_ns` (0: never) after its first.

    The last push may be smaller: it is due with its last message, or after the linger.
    """
    waiting: list[int] = []
    for chunk in chunks:
        waiting += chunk.tolist()
        place = 0
        while True:
            found = _next(waiting, place, size, linger_ns)
            if found is None:
                break
            due, stop = found
            yield due, waiting[place:stop]
            place = stop
        del waiting[:place]
    while waiting:
        limit = waiting[0] + linger_ns if linger_ns else waiting[-1]
        stop = bisect_right(waiting, limit)
        yield limit, waiting[:stop]
        del waiting[:stop]


def _next(waiting: list[int], place: int, size: int, linger_ns: int) -> tuple[int, int] | None:
    """When the push that begins at `place` is due and where it ends; None while that is not known yet."""
    full = place + size
    if not linger_ns:
        return (waiting[full - 1], full) if full <= len(waiting) else None
    if place >= len(waiting):
        return None
    limit = waiting[place] + linger_ns
    stop = bisect_right(waiting, limit, place, min(full, len(waiting)))
    if stop == full:
        return waiting[stop - 1], stop
    return (limit, stop) if stop < len(waiting) else None


class Due:
    """Counts the messages of a schedule whose time has come, however far behind the sender is."""

    def __init__(self, chunks: Iterator[Times]) -> None:
        self._chunks = chunks
        self._chunk: Times = np.empty(0, np.int64)
        self._place = 0

    def until(self, ns: int) -> int:
        """How many are due before `ns` that no earlier call has counted."""
        count = 0
        while True:
            place = int(np.searchsorted(self._chunk, ns))
            count += max(0, place - self._place)
            self._place = max(place, self._place)
            if place < self._chunk.size:
                return count
            following = next(self._chunks, None)
            if following is None:
                return count
            self._chunk, self._place = following, 0


def zipf_exponent(keys: str) -> float | None:
    """None for `uniform`. Raises SettingsError for anything but `uniform` and `zipf(S)` with S above 0."""
    if keys == "uniform":
        return None
    match = _ZIPF.fullmatch(keys)
    if match is None or float(match[1]) <= 0:
        raise SettingsError(
            f"keys {keys!r} is not a distribution", hint="uniform, or zipf(S) with S above 0: zipf(1.1)"
        )
    return float(match[1])


def is_shared(workload: Workload, workers: int) -> bool:
    """Do all workers push to all partitions? So it is with fewer partitions than workers, and for a skewed choice,
    whose shares would not come out right otherwise. Then a key of the ledger is a pair of worker and partition."""
    return workers > 1 and (workload.partitions < workers or zipf_exponent(workload.keys) is not None)


def key_count(workload: Workload, workers: int) -> int:
    """Keys of the ledger: each has sequences of its own, and one worker that hands them out. The partition of key k is
    k mod partitions."""
    return workload.partitions * (workers if is_shared(workload, workers) else 1)


class Keys:
    """The keys of one worker, and a seeded draw of one of them for each push."""

    def __init__(self, workload: Workload, *, seed: int, worker: int, workers: int) -> None:
        partitions = workload.partitions
        if is_shared(workload, workers):
            self.owned = list(range(worker * partitions, (worker + 1) * partitions))
        else:
            self.owned = list(range(worker, partitions, workers))
        exponent = zipf_exponent(workload.keys)
        self.is_uniform = exponent is None
        self._shares = None if exponent is None else _zipf_shares(len(self.owned), exponent)
        self._random = np.random.default_rng((seed, worker, 1))
        self._drawn: list[int] = []

    def draw(self) -> int:
        """A place in `owned`."""
        if not self._drawn:
            self._drawn = self._draws().tolist()
        return self._drawn.pop()

    def _draws(self) -> Times:
        if self._shares is None:
            return self._random.integers(0, len(self.owned), _DRAWS)
        return np.searchsorted(self._shares, self._random.random(_DRAWS)).astype(np.int64)


def _zipf_shares(count: int, exponent: float) -> npt.NDArray[np.float64]:
    """The shares of the first 1, 2, … keys together; the last one is 1."""
    sums = np.cumsum(1.0 / np.arange(1, count + 1) ** exponent)
    shares: npt.NDArray[np.float64] = sums / sums[-1]
    return shares
