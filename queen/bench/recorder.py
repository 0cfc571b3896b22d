"""What a worker measured, as plain values until they are folded with numpy: rows for the ledger several times a second,
histograms once a second. On the hot path it appends to lists, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt

from queen.bench import payload
from queen.bench.records import CORRUPT, DELIVERY, FOREIGN, SEND, SETTLE
from queen.measure.histogram import LatencyHistogram

Latencies = npt.NDArray[np.int64]
EVIDENCE_MAX = 20


class Recorder:
    """Of one worker. Times in nanoseconds of `perf_counter_ns`."""

    def __init__(self) -> None:
        self._pushes: list[tuple[int, int, int, int, int]] = []
        self._intended: list[int] = []
        self._acks: list[int] = []
        self._pops: list[int] = []
        self._e2e: list[Latencies] = []
        self._sends: list[tuple[int, int, int, int, int, int]] = []
        self._pop_rows: list[tuple[int, int, int, int, int]] = []
        self._pop_fields: list[bytes] = []
        self._attempts: list[int] = []
        self._flags: list[int] = []
        self._settle_rows: list[tuple[int, int, int, int, int]] = []
        self._settle_fields: list[bytes] = []
        self._outcomes: list[int] = []
        self._folded: list[bytes] = []
        self.evidence: list[str] = []
        self.redelivered = 0

    @property
    def pending(self) -> int:
        """Messages that wait to be folded into rows."""
        return len(self._pop_fields) + len(self._settle_fields)

    def pushed(self, intended: list[int], due: int, taken: int, sent: int, answered: int) -> None:
        """A push was answered, or given up: a latency of each of its messages."""
        self._pushes.append((taken - due, sent - taken, answered - sent, answered, len(intended)))
        self._intended += intended

    def sent(self, key: int, first: int, count: int, outcome: int, sent: int, answered: int) -> None:
        """What became of messages of one push, for the ledger."""
        self._sends.append((key, first, count, outcome, sent, answered))

    def popped(
        self, group: int, asked: int, at: int, lease: int, fields: list[bytes], attempts: list[int], flags: list[int]
    ) -> None:
        """A pop brought messages: their fields as `payload.Reader` gave them."""
        self._pops.append(at - asked)
        self._pop_rows.append((group, asked, at, lease, len(fields)))
        self._pop_fields += fields
        self._attempts += attempts
        self._flags += flags

    def settled(self, group: int, lease: int, sent: int, at: int, fields: list[bytes], outcomes: list[int]) -> None:
        """What an ack did to messages."""
        if fields:
            self._settle_rows.append((group, lease, sent, at, len(fields)))
            self._settle_fields += fields
            self._outcomes += outcomes

    def acked(self, latency_ns: int) -> None:
        """One ack request was confirmed, so long after its messages were there, without the handler."""
        self._acks.append(latency_ns)

    def fold(self) -> None:
        """Turn what was delivered into rows. Cheap when it is called often."""
        if self._pop_fields:
            self._folded.append(self._fold_deliveries().tobytes())

    def take_rows(self) -> tuple[bytes, bytes, bytes]:
        """Sends, deliveries and settles since the last call, packed as `records` says."""
        self.fold()
        sends = np.array(self._sends, dtype=SEND).tobytes()
        deliveries, settles = b"".join(self._folded), self._fold_settles().tobytes()
        self._sends, self._folded = [], []
        return sends, deliveries, settles

    def take_latencies(self) -> Second:
        """All latencies since the last call."""
        self.fold()
        second = Second(self._pushes, self._intended, self._acks, self._pops, self._e2e)
        self._pushes, self._intended, self._acks, self._pops, self._e2e = [], [], [], [], []
        return second

    def take_evidence(self) -> tuple[str, ...]:
        seen, self.evidence = tuple(self.evidence), []
        return seen

    def _fold_deliveries(self) -> npt.NDArray[np.void]:
        pops = np.array(self._pop_rows, np.uint64)
        counts = pops[:, 4].astype(np.int64)
        rows = payload.unpack(self._pop_fields)
        made = np.empty(len(rows), DELIVERY)
        for place, name in enumerate(("group", "asked_ns", "at_ns", "lease")):
            made[name] = np.repeat(pops[:, place], counts)
        made["key"], made["sequence"] = rows["key"], payload.sequences(rows)
        made["first"] = made["sequence"] - rows["offset"]
        made["floor"] = payload.floors(rows)
        made["attempt"] = np.minimum(self._attempts, 65_535)
        made["flags"] = self._flags
        first = (made["attempt"] <= 1) & (made["flags"] & (CORRUPT | FOREIGN) == 0)
        self._e2e.append(made["at_ns"][first] - rows["intended"][first].astype(np.int64))
        self.redelivered += int(np.count_nonzero(made["attempt"] > 1))
        self._pop_rows, self._pop_fields, self._attempts, self._flags = [], [], [], []
        return made

    def _fold_settles(self) -> npt.NDArray[np.void]:
        if not self._settle_fields:
            return np.empty(0, SETTLE)
        acks = np.array(self._settle_rows, np.uint64)
        counts = acks[:, 4].astype(np.int64)
        rows = payload.unpack(self._settle_fields)
        key, sequence = rows["key"].astype(np.int64), payload.sequences(rows)
        outcome = np.array(self._outcomes, np.uint8)
        which = np.repeat(np.arange(len(acks)), counts)
        starts = np.empty(len(rows), bool)
        starts[0] = True
        starts[1:] = (np.diff(which) != 0) | (np.diff(key) != 0) | (np.diff(sequence) != 1)
        starts[1:] |= outcome[1:] != outcome[:-1]
        begin = np.flatnonzero(starts)
        made = np.empty(len(begin), SETTLE)
        for place, name in enumerate(("group", "lease", "sent_ns", "at_ns")):
            made[name] = acks[which[begin], place]
        made["key"], made["first"], made["outcome"] = key[begin], sequence[begin], outcome[begin]
        made["count"] = np.diff(np.append(begin, len(rows)))
        self._settle_rows, self._settle_fields, self._outcomes = [], [], []
        return made


class Second:
    """The latencies of one second. `metrics` folds one at a time, so that a caller can do other things between."""

    def __init__(
        self,
        pushes: list[tuple[int, int, int, int, int]],
        intended: list[int],
        acks: list[int],
        pops: list[int],
        e2e: list[Latencies],
    ) -> None:
        self._pushes, self._intended, self._acks, self._pops, self._e2e = pushes, intended, acks, pops, e2e
        self.negative = 0
        self.above_range = 0

    def metrics(self) -> Iterator[tuple[str, str]]:
        """Name and encoded histogram of each metric that has values."""
        makers: list[tuple[str, Callable[[], Latencies]]] = [("response", self._response)]
        makers += [(name, partial(self._column, place)) for place, name in enumerate(_COLUMNS)]
        makers += [
            ("e2e", lambda: np.concatenate(self._e2e) if self._e2e else np.empty(0, np.int64)),
            ("ack", lambda: np.array(self._acks, np.int64)),
            ("pop", lambda: np.array(self._pops, np.int64)),
        ]
        for name, make in makers:
            latencies = make()
            if latencies.size:
                self.negative += int(np.count_nonzero(latencies < 0))
                histogram = LatencyHistogram()
                histogram.record_many_us(latencies // 1000)
                self.above_range += histogram.above
                yield name, histogram.encode()

    def _response(self) -> Latencies:
        if not self._pushes:
            return np.empty(0, np.int64)
        pushes = np.array(self._pushes, np.int64)
        made: Latencies = np.repeat(pushes[:, 3], pushes[:, 4]) - np.array(self._intended, np.int64)
        return made

    def _column(self, place: int) -> Latencies:
        if not self._pushes:
            return np.empty(0, np.int64)
        pushes = np.array(self._pushes, np.int64)
        made: Latencies = np.repeat(pushes[:, place], pushes[:, 4])
        return made


_COLUMNS = ("generator_lag", "connection_wait", "service")
