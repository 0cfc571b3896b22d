"""Producers and consumers that work on the same few partitions at once, and notes of all they were told.

Each is one session in a thread of its own with its own random numbers. What they note is judged afterwards.
"""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from typing import TypeVar

import psycopg

from tests.sql.client import Row, Session, Signal

GROUPS = ("g", "h")
IDS_MAX = 1500
_NEW_EPOCHS_MAX = 100

T = TypeVar("T")


@dataclass
class Notes:
    """What all members of the crowd were told. Appending to a list is atomic; nothing is read before they end."""

    stored: list[tuple[int, str, int, bool]] = field(default_factory=list)
    """(partition, transaction id, offset, duplicate) of each answer to a push."""
    delivered: list[tuple[int, str, Row]] = field(default_factory=list)
    """(partition, group, row) of each span handed out."""
    moved: list[tuple[int, str, int, int]] = field(default_factory=list)
    """(partition, group, acked before, acked after) of each ack that was taken."""
    buried: list[tuple[int, str, int]] = field(default_factory=list)
    """(partition, group, offset) of each dead letter."""
    wrong: list[str] = field(default_factory=list)
    """What must never happen, noticed on the way."""


class Member(threading.Thread):
    """One session that repeats a step until the time is up."""

    def __init__(self, dsn: str, seed: str, partitions: list[int], notes: Notes, ends_at: float) -> None:
        super().__init__(name=seed)
        self.session = Session(dsn)
        self.random = random.Random(seed)
        self.partitions = partitions
        self.notes = notes
        self.ends_at = ends_at
        self.steps = 0

    def run(self) -> None:
        try:
            while time.monotonic() < self.ends_at:
                self.step()
                self.steps += 1
        except Exception as error:
            self.notes.wrong.append(f"{self.name} after {self.steps} steps: {type(error).__name__}: {error}")
        finally:
            self.session.connection.close()

    def step(self) -> None:
        raise NotImplementedError

    def some(self) -> list[int]:
        """A few partitions, ascending."""
        return sorted(self.random.sample(self.partitions, self.random.randint(1, 3)))


class Producer(Member):
    """Pushes to random partitions, with transaction ids that others use too."""

    def step(self) -> None:
        batch = {number: self._ids() for number in self.some()}
        try:
            bases = self._past_new_epochs(lambda: self.session.push(batch))
        except psycopg.errors.UniqueViolation:
            self._thoroughly(batch)
            return
        blocked = {}
        for (number, ids), base in zip(sorted(batch.items()), bases, strict=True):
            if base < 0:
                blocked[number] = ids
                continue
            self.notes.stored += [(number, one, base + n, False) for n, one in enumerate(ids)]
        if blocked:
            self._thoroughly(blocked)

    def _ids(self) -> list[str]:
        return [f"t{self.random.randrange(IDS_MAX)}" for _ in range(self.random.randint(1, 4))]

    def _past_new_epochs(self, push: Callable[[], T]) -> T:
        """Repeat a push that saw an epoch a moment before its child: `translate` calls it Contention, and the engine
        repeats it too."""
        for _ in range(_NEW_EPOCHS_MAX):
            try:
                return push()
            except psycopg.errors.CheckViolation as error:
                if error.diag.constraint_name is not None:
                    raise
        return push()

    def _thoroughly(self, batch: dict[int, list[str]]) -> None:
        answers = self._past_new_epochs(lambda: self.session.push_deduplicating(batch))
        asked = [(number, one) for number, ids in sorted(batch.items()) for one in ids]
        for (number, one), (offset, duplicate) in zip(asked, answers, strict=True):
            assert offset is not None, "no partition was deleted"
            self.notes.stored.append((number, one, offset, duplicate))


class Consumer(Member):
    """Pops from random partitions and acks, fails, gives back or forgets what it got."""

    def step(self) -> None:
        group = self.random.choice(GROUPS)
        numbers = self.some()
        standings = {number: self.session.examine(number, group) for number in numbers}
        signals: list[Signal] = []
        for epoch, members in groupby(sorted(numbers, key=lambda n: standings[n].epoch), lambda n: standings[n].epoch):
            signals += self._pop(sorted(members), group, epoch)
        for number, standing in standings.items():
            if standing.acked + 1 < standing.head and not any(one.partition == number for one in signals):
                self.session.next_epoch(number, group=group)
        signals.sort(key=lambda one: one.partition)
        plain = [one for one in signals if one.failed is None and one.dead is None]
        self._settle(plain, self.session.ack(*plain))
        rest = [one for one in signals if one not in plain]
        self._settle(rest, self.session.ack_failed(*rest))

    def _pop(self, numbers: list[int], group: str, epoch: int) -> list[Signal]:
        auto = self.random.random() < 0.1
        lease_ms = self.random.choice((0, 2, 20, 60_000))
        rows = self.session.pop(
            *numbers, group=group, epoch=epoch, batch=self.random.randint(1, 8), lease_ms=lease_ms, auto=auto
        )
        signals = []
        for row in rows:
            number = numbers[row.place - 1]
            self.notes.delivered.append((number, group, row))
            last = row.first_offset + len(row.payloads) - 1
            if auto:
                self.notes.moved.append((number, group, row.first_offset - 1, last))
            elif (signal := self._signal(number, group, row.first_offset, last)) is not None:
                signals.append(signal)
        return signals

    def _signal(self, number: int, group: str, first: int, last: int) -> Signal | None:
        some = self.random.randint(first, last)
        lease = self.session.lease
        kind = self.random.random()
        if kind < 0.5:
            return Signal(number, lease, group, completed=last)
        if kind < 0.7:
            return Signal(number, lease, group, completed=some)
        if kind < 0.8:
            return Signal(number, lease, group, completed=self.random.randint(first, last), retried=some)
        if kind < 0.9:
            return Signal(number, lease, group, completed=self.random.randint(first, last), failed=some)
        if kind < 0.92:
            return Signal(number, lease, group, dead=some, error="poison")
        return None

    def _settle(self, signals: list[Signal], rows: list[Row]) -> None:
        for row in rows:
            signal = signals[row.place - 1]
            self.notes.moved.append((signal.partition, signal.group, row.acked_was, row.acked))
            if getattr(row, "dead_offset", None) is not None:
                self.notes.buried.append((signal.partition, signal.group, row.dead_offset))


class Reaper(Member):
    """Ends leases, and opens new epochs when it is time."""

    opens_at: tuple[float, ...] = ()
    """When to open the next epochs, as times of the monotonic clock."""

    def step(self) -> None:
        self.session.expire(self.random.choice(self.partitions), self.random.choice(GROUPS))
        if self.opens_at and time.monotonic() >= self.opens_at[0]:
            self.opens_at = self.opens_at[1:]
            self.session.open_epoch(self.session.one("select max(epoch) from {s}.epochs") + 1)
        time.sleep(0.005)


def by_cursor(moved: list[tuple[int, str, int, int]]) -> dict[tuple[int, str], list[tuple[int, int]]]:
    """The moves of each cursor that went on, in the order of their places."""
    found: dict[tuple[int, str], list[tuple[int, int]]] = defaultdict(list)
    for number, group, before, after in moved:
        if after > before:
            found[number, group].append((before, after))
    return {key: sorted(moves) for key, moves in found.items()}
