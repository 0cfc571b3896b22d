"""The first anomalies of each class, with what is known of each: when it was sent and delivered, attempt and floor.

Keeps the newest sends, to find the moment at which a message was sent; of older ones, the span of time of their page.
Bounded whatever happens. Knows no judgement.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from msgspec import Struct

from queen.bench.bits import Ints
from queen.bench.records import ACCEPTED, DUPLICATE, REFUSED, UNKNOWN
from queen.bench.result import Anomaly

ANOMALIES_MAX: Final = 20
"""Shown of each class."""
_SUSPECTS_MAX: Final = 400  # of a class whose members may turn out to be innocent
_SENDS_MAX: Final = 65_536
_WORDS: Final = {
    ACCEPTED: "accepted",
    DUPLICATE: "accepted (as a duplicate)",
    UNKNOWN: "not answered",
    REFUSED: "refused",
}


class Found(Struct):
    """One anomaly as it was noted. `sent` is added when its send is known."""

    kind: str
    group: int
    key: int
    sequence: int
    at_ns: int | None = None
    attempt: int | None = None
    floor: int | None = None
    note: str = ""
    sent: str | None = None


class Evidence:
    """Anomalies in the order in which they were noted, and the sends to explain them by."""

    def __init__(self, groups: tuple[str, ...], zero_ns: int, partition: Callable[[int], str]) -> None:
        self._groups = groups
        self._zero_ns = zero_ns
        self._partition = partition
        self._found: dict[str, list[Found]] = {}
        self._texts: list[str] = []
        self._sends: deque[Any] = deque()
        self._kept = 0
        self._spans = np.zeros((64, 2), np.int64)  # by row of pages: first and last send

    @property
    def memory_bytes(self) -> int:
        return self._spans.nbytes + sum(int(rows.nbytes) for rows in self._sends)

    def note(self, found: Found) -> None:
        """Keep it if there is room."""
        kept = self._found.setdefault(found.kind, [])
        if len(kept) < (_SUSPECTS_MAX if found.kind == "reordered" else ANOMALIES_MAX):
            kept.append(found)

    def full(self, kind: str) -> bool:
        """Is there no room for another one of this class?"""
        return len(self._found.get(kind, ())) >= ANOMALIES_MAX

    def say(self, texts: tuple[str, ...]) -> None:
        """What a worker saw of a message that it could not read."""
        self._texts += texts[: ANOMALIES_MAX - len(self._texts)]

    def sent(self, sends: Any, rows: Ints) -> None:
        """Remember SEND rows; `rows` are those of the pages in which they begin."""
        while rows.size and rows.max() >= len(self._spans):
            self._spans = np.concatenate((self._spans, np.zeros_like(self._spans)))
        fresh = self._spans[rows, 0] == 0
        self._spans[rows[fresh], 0] = np.iinfo(np.int64).max
        np.minimum.at(self._spans[:, 0], rows, sends["sent_ns"])
        np.maximum.at(self._spans[:, 1], rows, sends["sent_ns"])
        self._sends.append(sends[-_SENDS_MAX:])
        self._kept += len(self._sends[-1])
        while self._kept - len(self._sends[0]) >= _SENDS_MAX:
            self._kept -= len(self._sends.popleft())
        self._explain()

    def _explain(self) -> None:
        """Look up the sends of anomalies while they are at hand."""
        for kept in self._found.values():
            for found in kept[:ANOMALIES_MAX]:
                if found.sent is None:
                    found.sent = self._look(found.key, found.sequence)

    def _look(self, key: int, sequence: int) -> str | None:
        for sends in reversed(self._sends):
            hit = (sends["key"] == key) & (sends["first"] <= sequence) & (sequence < sends["first"] + sends["count"])
            for send in sends[hit][:1]:
                word = _WORDS.get(int(send["outcome"]), "?")
                return f"sent at {self._s(int(send['sent_ns']))}, {word} at {self._s(int(send['answered_ns']))}"
        return None

    def anomalies(self, guilty: Callable[[Found], bool], row_of: Callable[[int, int], int | None]) -> list[Anomaly]:
        """The first of each class that are `guilty`, in words. `row_of`: the row of a message's page."""
        self._explain()
        made: list[Anomaly] = []
        for kept in self._found.values():
            made += [self._words(found, row_of) for found in kept if guilty(found)][:ANOMALIES_MAX]
        seen = [Anomaly(kind="seen", group="", partition="", sequence=-1, seen=text) for text in self._texts]
        return made + seen

    def _words(self, found: Found, row_of: Callable[[int, int], int | None]) -> Anomaly:
        parts = [found.sent or self._look(found.key, found.sequence) or self._span(found, row_of)]
        if found.at_ns is not None:
            attempt = "" if found.attempt is None else f", attempt {found.attempt}"
            parts.append(f"delivered at {self._s(found.at_ns)}{attempt}")
        if found.floor is not None and found.floor >= 0:
            parts.append(f"floor {found.floor}")
        if found.note:
            parts.append(found.note)
        return Anomaly(
            kind=found.kind,
            group=self._groups[found.group],
            partition=self._partition(found.key) if found.key >= 0 else "",
            sequence=found.sequence,
            seen="; ".join(parts),
        )

    def _span(self, found: Found, row_of: Callable[[int, int], int | None]) -> str:
        row = row_of(found.key, found.sequence) if found.kind not in ("ghost",) else None
        if row is None or row >= len(self._spans) or not self._spans[row, 1]:
            return "no send of it is known"
        first, last = (self._s(int(at)) for at in self._spans[row])
        return f"sent between {first} and {last}"

    def _s(self, at_ns: int) -> str:
        return f"{(at_ns - self._zero_ns) / 1e9:.6f} s"
