"""A small queue in memory with a clock of its own, that writes the records which workers would send.

It delivers in order and at least once, with leases, as the server does; faults are asked for one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

from queen.bench.orders import Records
from queen.bench.records import ACCEPTED, ACKED, DELIVERY, FAILED, REFUSED, RETRY, SEND, SETTLE, UNKNOWN

LEASE_NS = 50_000


@dataclass
class Push:
    key: int
    first: int
    count: int
    floor: int
    sent_ns: int
    worker: int


@dataclass
class Cursor:
    place: int = 0
    lease: int = 0
    seen: bool = True
    lease_end: int = 0
    worker: int = 0
    span: tuple[int, int] = (0, 0)
    asked_ns: int = 0
    attempts: dict[int, int] = field(default_factory=dict)


class Story:
    """`log[key]` are the stored messages as (sequence, first, floor). Rows are kept by worker, with their moment."""

    def __init__(self, random: Random, *, groups: int = 2, keys: int = 3, workers: int = 3) -> None:
        self.random = random
        self.groups, self.keys, self.workers = groups, keys, workers
        self.now = 1000
        self.log: list[list[tuple[int, int, int]]] = [[] for _ in range(keys)]
        self.next = [0] * keys
        self.settled: list[set[int]] = [set() for _ in range(keys)]
        self.flying: list[Push] = []
        self.lost_track: list[Push] = []
        self.cursors = {(group, key): Cursor() for group in range(groups) for key in range(keys)}
        self.leases = 0
        self.rows: list[tuple[int, int, str, tuple[Any, ...]]] = []

    def tick(self) -> int:
        self.now += self.random.randint(1, 400)
        return self.now

    def write(self, key: int | None = None, count: int | None = None) -> Push:
        """A push leaves its producer."""
        key = self.random.randrange(self.keys) if key is None else key
        count = count or self.random.randint(1, 4)
        floor = next(n for n in range(self.next[key] + 1) if n not in self.settled[key]) - 1
        push = Push(key, self.next[key], count, floor, self.tick(), self.random.randrange(self.workers))
        self.next[key] += count
        self.flying.append(push)
        return push

    def store(self, push: Push) -> None:
        """The server commits it."""
        self.log[push.key] += [(push.first + n, push.first, push.floor) for n in range(push.count)]

    def answer(self, push: Push, outcome: int) -> None:
        """The producer has its answer, or gives up."""
        self.flying.remove(push)
        self.settled[push.key].update(range(push.first, push.first + push.count))
        if outcome == ACCEPTED:
            self.store(push)
        elif outcome == UNKNOWN:
            self.lost_track.append(push)
        row = (push.key, push.first, push.count, outcome, push.sent_ns, self.tick())
        self.rows.append((push.worker, self.now, "sends", row))

    def pop(self, group: int, key: int, most: int = 3, *, seen: bool = True) -> list[int]:
        """Lease and deliver what comes next; `seen` False: the answer is lost on the way. Returns the sequences."""
        cursor = self.cursors[group, key]
        asked, at = self.now, self.tick()
        if cursor.lease and at < cursor.lease_end:
            return []
        span = (cursor.place, min(cursor.place + most, len(self.log[key])))
        if span[0] == span[1]:
            return []
        self.leases += 1
        cursor.lease, cursor.span, cursor.asked_ns, cursor.seen = self.leases, span, asked, seen
        cursor.lease_end, cursor.worker = at + LEASE_NS, self.random.randrange(self.workers)
        return [self.deliver(group, key, place, seen=seen) for place in range(*span)]

    def take(self, group: int, key: int, most: int) -> None:
        """Lease what comes next, for a consumer that gets rows of the test's choice."""
        self.pop(group, key, most, seen=False)
        self.cursors[group, key].seen = True
        self.cursors[group, key].attempts.clear()

    def deliver(self, group: int, key: int, place: int, *, seen: bool = True, **changes: Any) -> int:
        """One row for a stored message under the present lease; `changes` are other values for its columns."""
        cursor = self.cursors[group, key]
        sequence, first, floor = self.log[key][place]
        attempt = cursor.attempts[sequence] = cursor.attempts.get(sequence, 0) + 1
        columns = {
            "group": group,
            "key": key,
            "sequence": sequence,
            "first": first,
            "floor": floor,
            "attempt": attempt,
            "asked_ns": cursor.asked_ns,
            "at_ns": self.now,
            "lease": cursor.lease,
            "flags": 0,
            **changes,
        }
        if seen:
            self.rows.append((cursor.worker, columns["at_ns"], "deliveries", tuple(columns.values())))
        return sequence

    def settle(self, group: int, key: int, outcome: int = ACKED) -> None:
        """Ack the whole lease, or give it back. A consumer that never saw it can do neither."""
        cursor = self.cursors[group, key]
        if not cursor.lease or not cursor.seen:
            return
        sent = self.tick()
        at = sent + self.random.randint(1, 3000)  # the answer may come long after the server has acted
        if sent >= cursor.lease_end:
            cursor.lease = 0
            return
        for place in range(*cursor.span):
            row = (group, key, self.log[key][place][0], 1, cursor.lease, outcome, sent, at)
            self.rows.append((cursor.worker, at, "settles", row))
        if outcome == ACKED:
            cursor.place = cursor.span[1]
        cursor.lease = 0

    def happen(self) -> None:
        """One step that any honest history may take."""
        group, key = self.random.randrange(self.groups), self.random.randrange(self.keys)
        match self.random.randrange(9):
            case 0 | 1:
                self.write()
            case 2 | 3 if self.flying:
                outcome = self.random.choice((ACCEPTED, ACCEPTED, ACCEPTED, UNKNOWN, REFUSED))
                self.answer(self.random.choice(self.flying), outcome)
            case 4 if self.lost_track:
                self.store(self.lost_track.pop())
            case 5 | 6:
                self.pop(group, key, self.random.randint(1, 6), seen=self.random.random() > 0.1)
            case 7:
                self.settle(group, key, self.random.choice((ACKED, ACKED, ACKED, RETRY, FAILED)))
            case 8 if self.random.random() < 0.1:
                self.now += LEASE_NS

    def finish(self) -> None:
        """Answer, deliver and ack all that is left."""
        for push in list(self.flying):
            self.answer(push, ACCEPTED)
        for group, key in self.cursors:
            self.drain(group, key)

    def drain(self, group: int, key: int) -> None:
        """Deliver and ack all that is left of one key."""
        self.settle(group, key)
        while self.cursors[group, key].place < len(self.log[key]):
            if not self.pop(group, key):
                self.now += LEASE_NS
            self.settle(group, key)

    def records(self, random: Random) -> Iterator[Records]:
        """The records of all workers, cut at moments of their own and sent in a mixed order."""
        queues = [list(self._chunks(worker, random)) for worker in range(self.workers)]
        while any(queues):
            queue = random.choice([queue for queue in queues if queue])
            yield queue.pop(0)

    def _chunks(self, worker: int, random: Random) -> Iterator[Records]:
        end = self.now + 5000
        cuts = sorted(random.sample(range(1000, end), random.choice((0, 1, 3, 20))))
        low = 0
        for until in [*cuts, end]:
            due = [row for row in self.rows if row[0] == worker and low < row[1] <= until]
            packed = (
                np.array([row[3] for row in due if row[2] == name], layout).tobytes()
                for name, layout in (("sends", SEND), ("deliveries", DELIVERY), ("settles", SETTLE))
            )
            sends, deliveries, settles = packed
            yield Records(worker=worker, until_ns=until, sends=sends, deliveries=deliveries, settles=settles)
            low = until
