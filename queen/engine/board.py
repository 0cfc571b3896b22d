"""Numbers of several processes in one piece of shared memory, so that any of them can answer for all.

The memory is a file without a name: it is inherited, and gone with the last process that holds it. It has one slot for
each process and a first one for their supervisor. A process writes its own slot only and reads all; nobody locks.

A slot has two halves. A write goes to the half that is not shown and then shows it, so a process that is killed in the
middle of a write leaves its last numbers readable. A checksum catches a half that changes while it is read.

A process that takes over the slot of one that ended is its next *life*. The supervisor adds what an ended life had
counted to its own slot, in one write together with the number of the life; readers leave out lives that are named
there. So no total is ever lost, or counted twice.

Beside its numbers a process has room for its story, what went wrong lately. That is written when it has changed only,
and a life that ended leaves it to the supervisor in the same way.
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

from queen.engine.story import Story, of_plain, shortened
from queen.measure.buckets import Buckets, of_cells

_HEAD_BYTES: Final = 8
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


class _Area(NamedTuple):
    """A part of a slot with two halves of `half_bytes`; the byte at `offset` says which of them is shown."""

    offset: int
    half_bytes: int

    @property
    def end(self) -> int:
        return self.offset + 64 + 2 * self.half_bytes

    def fits(self, body: bytes) -> bool:
        return len(body) <= self.half_bytes - _HEAD_BYTES

    def write(self, memory: mmap.mmap, slot: int, body: bytes) -> None:
        base = slot * _SLOT_BYTES + self.offset
        half = 1 - (memory[base] & 1)
        start = base + 64 + half * self.half_bytes
        memory[start + _HEAD_BYTES : start + _HEAD_BYTES + len(body)] = body
        head = len(body).to_bytes(4, "little") + zlib.crc32(body).to_bytes(4, "little")
        memory[start : start + _HEAD_BYTES] = head
        memory[base] = half

    def row(self, memory: mmap.mmap, slot: int) -> dict[str, Any] | None:
        """What was written last; None when nobody wrote it, or it changes faster than it can be read."""
        for _ in range(_READS_MAX):
            body = self._body(memory, slot)
            if body is not None:
                return dict(json.loads(body)) if body else None
        return None

    def _body(self, memory: mmap.mmap, slot: int) -> bytes | None:
        """The bytes that are shown; None when they changed meanwhile."""
        base = slot * _SLOT_BYTES + self.offset
        start = base + 64 + (memory[base] & 1) * self.half_bytes
        head = memory[start : start + _HEAD_BYTES]
        length = min(int.from_bytes(head[:4], "little"), self.half_bytes - _HEAD_BYTES)
        body = memory[start + _HEAD_BYTES : start + _HEAD_BYTES + length]
        return body if zlib.crc32(body) == int.from_bytes(head[4:], "little") else None


_NUMBERS: Final = _Area(0, 32 << 10)
_STORY: Final = _Area(_NUMBERS.end, 128 << 10)
_SLOT_BYTES: Final = _STORY.end


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
        if not _NUMBERS.fits(body):
            raise ValueError(f"{len(body)} bytes of numbers do not fit into a slot")
        _NUMBERS.write(self._memory, slot, body)

    def tell(self, slot: int, life: int, story: Story, ended: Mapping[int, int] | None = None) -> None:
        """Show the story of a process in its slot; of one that has no room the later events. `ended`: as in `write`."""
        while True:
            lives = {str(number): last for number, last in (ended or {}).items()}
            text = json.dumps({"life": life, "story": story.plain(), "ended": lives}, ensure_ascii=False)
            body = text.encode("utf-8", "replace")
            if _STORY.fits(body):
                _STORY.write(self._memory, slot, body)
                return
            if not any(story.events.values()):
                return
            story = shortened(story)

    def story(self, slot: int) -> tuple[Story, int, dict[int, int]] | None:
        """(story, life, ended) of a slot; None when nobody told one."""
        row = _STORY.row(self._memory, slot)
        if row is None:
            return None
        return of_plain(row["story"]), row["life"], {int(place): life for place, life in row["ended"].items()}

    def stories(self) -> Story:
        """What went wrong in all processes, and in those that ended."""
        found = Story()
        supervisor = self.story(0)
        ended: dict[int, int] = {}
        if supervisor is not None:
            found.add(supervisor[0])
            ended = supervisor[2]
        for slot in range(1, self.workers + 1):
            row = self.story(slot)
            if row is not None and row[1] > ended.get(slot, 0):
                found.add(row[0])
        return found

    def read(self, slot: int) -> tuple[Numbers, int, dict[int, int]] | None:
        """(numbers, life, ended) of a slot; None when nobody wrote it, or it changes faster than it can be read."""
        row = _NUMBERS.row(self._memory, slot)
        return _decode(row) if row is not None else None

    def restarts(self) -> list[Restart]:
        """The latest workers that ended and were replaced, oldest first."""
        row = _NUMBERS.row(self._memory, 0)
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


@dataclass(slots=True)
class Seat:
    """The place of one process on a board."""

    board: Board
    slot: int
    life: int

    def publish(self, numbers: Numbers) -> None:
        """Show these numbers to the others."""
        self.board.write(self.slot, self.life, numbers)

    def tell(self, story: Story) -> None:
        """Show the others what went wrong lately."""
        self.board.tell(self.slot, self.life, story)


class Ledger:
    """The supervisor's slot: what ended lives had counted, and how often a process was replaced."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._numbers = Numbers({"worker_restarts": 0}, {"workers": board.workers})
        self._ended: dict[int, int] = {}
        self._story = Story()
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
        told = self._board.story(slot)
        if told is not None and told[1] == life:
            self._story.add(told[0])
        self._board.tell(0, 0, self._story, self._ended)
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
