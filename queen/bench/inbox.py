"""Rows of all workers, waiting until every worker has told its story up to some moment. Knows no judgement."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from queen.bench.orders import Records
from queen.bench.records import DELIVERY, SEND, SETTLE

_KINDS: Final = ((SEND, "answered_ns"), (DELIVERY, "at_ns"), (SETTLE, "at_ns"))


class Inbox:
    """Buffers records; gives them out in the order of time, workers in turn where times are equal."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._until: dict[int, int] = {}
        self._left: set[int] = set()
        self._waiting: tuple[dict[int, list[Any]], ...] = ({}, {}, {})
        self.rows = 0

    @property
    def memory_bytes(self) -> int:
        return sum(rows.nbytes for kind in self._waiting for chunks in kind.values() for rows in chunks)

    def put(self, records: Records) -> None:
        """Take one worker's rows, in the order in which it sent them."""
        worker = records.worker
        self._until[worker] = max(self._until.get(worker, records.until_ns), records.until_ns)
        packed = (records.sends, records.deliveries, records.settles)
        for (layout, _), waiting, data in zip(_KINDS, self._waiting, packed, strict=True):
            if data:
                rows = np.frombuffer(data, layout)
                waiting.setdefault(worker, []).append(rows)
                self.rows += len(rows)

    def leave(self, worker: int) -> None:
        """Nothing more comes from this worker: do not wait for it."""
        self._left.add(worker)

    def until_ns(self) -> int | None:
        """Up to where all workers have told everything; None while one was not heard yet."""
        if len(self._until.keys() | self._left) < self._workers:
            return None
        waited = [until for worker, until in self._until.items() if worker not in self._left]
        return min(waited, default=np.iinfo(np.int64).max)

    def take(self, until_ns: int | None) -> tuple[Any, Any, Any]:
        """Sends, deliveries and settles up to that moment (None: all), each in the order of time."""
        taken: list[Any] = []
        for (layout, moment), waiting in zip(_KINDS, self._waiting, strict=True):
            parts: list[Any] = [np.zeros(0, layout)]
            for worker in sorted(waiting):
                rows = np.concatenate([np.zeros(0, layout), *waiting[worker]])
                due = np.full(len(rows), True) if until_ns is None else rows[moment] <= until_ns
                parts.append(rows[due])
                waiting[worker] = [] if due.all() else [rows[~due]]
            together = np.concatenate(parts)
            taken.append(together[np.argsort(together[moment], kind="stable")])
            self.rows -= len(together)
        return taken[0], taken[1], taken[2]
