"""Numbers of several processes in one piece of shared memory, so that any of them can answer for all.

The memory is a file without a name: it is inherited, and gone with the last process that holds it. It has one slot for
each process and a first one for their supervisor. A process writes its own slot only and reads all; nobody locks.

A slot has two halves. A write goes to the half that is not shown and then shows it, so a process that is killed in the
middle of a write leaves its last numbers readable. A checksum catches a half that changes while it is read.

A process that takes over the slot of one that ended is its next *life*. The supervisor adds what an ended life had
counted to its own slot, in one write together with the number of the life; readers leave out lives that are named
there. So no total is ever lost, or counted twice.
"""

from __future__ import annotations

import json
import mmap
import os
import tempfile
import time
import zlib
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from queen.measure.buckets import Buckets, of_cells

_HALF_BYTES: Final = 32 << 10
_HEAD_BYTES: Final = 8
_SLOT_BYTES: Final = 64 + 2 * _HALF_BYTES
_READS_MAX: Final = 16
_RESTARTS_MAX: Final = 50
_HIGHEST: Final = frozenset({"loop_lag_ms"})
"""Gauges of which the highest counts; of the others the sum."""


@dataclass(slots=True)
class Numbers:
    """What one process, or several together, counted (`totals`, `buckets`) and have just now (`gauges`)."""

    totals: dict[str, int] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)
    buckets: dict[str, Buckets] = field(default_factory=dict)

    def add(self, other: Numbers) -> None:
        """Count what the other one counted, too."""
        self.add_totals(other)
        for name, value in other.gauges.items():
            known = self.gauges.get(name, 0)
            self.gauges[name] = max(known, value) if name in _HIGHEST else known + value

    def add_totals(self, other: Numbers) -> None:
        """The same for one that ended: it has nothing any more, but its totals remain."""
        for name, value in other.totals.items():
            self.totals[name] = self.totals.get(name, 0) + value
        for name, buckets in other.buckets.items():
            known = self.buckets.get(name)
            self.buckets[name] = buckets if known is None else known.plus(buckets)


class Restart(NamedTuple):
    """A worker that ended and was replaced: when (seconds since 1970), which, and how it ended."""

    at: float
    worker: int
    how: str


class Board:
    """The shared memory. Slot 0 is the supervisor's, slots 1 to `workers` are the workers'."""

    def __init__(self, fileno: int, workers: int) -> None:
        """Use the memory of an inherited file descriptor, which stays the caller's."""
        self.workers = workers
        self._memory = mmap.mmap(fileno, _SLOT_BYTES * (workers + 1))

    @staticmethod
    def create(workers: int) -> int:
        """The file descriptor of new, empty memory; the caller closes it."""
        if hasattr(os, "memfd_create"):
            fileno = os.memfd_create("queen-numbers", os.MFD_CLOEXEC)
        else:
            with tempfile.TemporaryFile() as file:
                fileno = os.dup(file.fileno())
        os.ftruncate(fileno, _SLOT_BYTES * (workers + 1))
        return fileno

    def write(
        self,
        slot: int,
        life: int,
        numbers: Numbers,
        ended: Mapping[int, int] | None = None,
        restarts: Iterable[Restart] = (),
    ) -> None:
        """Show the numbers of a process in its slot. Raises ValueError when they are longer than the slot.

        `ended`, of the supervisor, names for a slot the last life whose totals are contained in `numbers`; `restarts`
        are its latest.
        """
        body = json.dumps(
            {
                "life": life,
                "totals": numbers.totals,
                "gauges": numbers.gauges,
                "buckets": {name: [*one.counts, one.sum] for name, one in numbers.buckets.items()},
                "ended": {str(number): last for number, last in (ended or {}).items()},
                "restarts": list(restarts),
            }
        ).encode()
        if len(body) > _HALF_BYTES - _HEAD_BYTES:
            raise ValueError(f"{len(body)} bytes of numbers do not fit into a slot")
        base, memory = slot * _SLOT_BYTES, self._memory
        half = 1 - (memory[base] & 1)
        start = base + 64 + half * _HALF_BYTES
        memory[start + _HEAD_BYTES : start + _HEAD_BYTES + len(body)] = body
        head = len(body).to_bytes(4, "little") + zlib.crc32(body).to_bytes(4, "little")
        memory[start : start + _HEAD_BYTES] = head
        memory[base] = half

    def read(self, slot: int) -> tuple[Numbers, int, dict[int, int]] | None:
        """(numbers, life, ended) of a slot; None when nobody wrote it, or it changes faster than it can be read."""
        row = self._row(slot)
        return _decode(row) if row is not None else None

    def restarts(self) -> list[Restart]:
        """The latest workers that ended and were replaced, oldest first."""
        row = self._row(0)
        return [Restart(*one) for one in row["restarts"]] if row is not None else []

    def total(self) -> Numbers:
        """All processes together, and what those that ended had counted."""
        found = Numbers()
        supervisor = self.read(0)
        ended: dict[int, int] = {}
        if supervisor is not None:
            found.add(supervisor[0])
            ended = supervisor[2]
        for slot in range(1, self.workers + 1):
            row = self.read(slot)
            if row is not None and row[1] > ended.get(slot, 0):
                found.add(row[0])
        return found

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()

    def _row(self, slot: int) -> dict[str, Any] | None:
        for _ in range(_READS_MAX):
            body = self._body(slot)
            if body is not None:
                return dict(json.loads(body)) if body else None
        return None

    def _body(self, slot: int) -> bytes | None:
        """The bytes that are shown; None when they changed meanwhile."""
        base, memory = slot * _SLOT_BYTES, self._memory
        start = base + 64 + (memory[base] & 1) * _HALF_BYTES
        head = memory[start : start + _HEAD_BYTES]
        length = min(int.from_bytes(head[:4], "little"), _HALF_BYTES - _HEAD_BYTES)
        body = memory[start + _HEAD_BYTES : start + _HEAD_BYTES + length]
        return body if zlib.crc32(body) == int.from_bytes(head[4:], "little") else None


@dataclass(slots=True)
class Seat:
    """The place of one process on a board."""

    board: Board
    slot: int
    life: int

    def publish(self, numbers: Numbers) -> None:
        """Show these numbers to the others."""
        self.board.write(self.slot, self.life, numbers)


class Ledger:
    """The supervisor's slot: what ended lives had counted, and how often a process was replaced."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._numbers = Numbers({"worker_restarts": 0}, {"workers": board.workers})
        self._ended: dict[int, int] = {}
        self._restarts: deque[Restart] = deque(maxlen=_RESTARTS_MAX)
        self._write()

    def end(self, slot: int, life: int, *, replaced: bool, how: str = "") -> None:
        """A life is over: carry on what it had counted."""
        if replaced:
            self._restarts.append(Restart(time.time(), slot, how))
        row = self._board.read(slot)
        if row is not None and row[1] == life:
            self._numbers.add_totals(row[0])
        self._numbers.totals["worker_restarts"] += replaced
        self._ended[slot] = life
        self._write()

    @property
    def restarts(self) -> int:
        return self._numbers.totals["worker_restarts"]

    def _write(self) -> None:
        self._board.write(0, 0, self._numbers, self._ended, self._restarts)


def _decode(row: dict[str, Any]) -> tuple[Numbers, int, dict[int, int]]:
    buckets = {name: of_cells(cells) for name, cells in row["buckets"].items()}
    ended = {int(slot): life for slot, life in row["ended"].items()}
    return Numbers(row["totals"], row["gauges"], buckets), row["life"], ended
