"""The partitions that the requests of one flush want to lease, and the arrays of the call for them."""

from __future__ import annotations

import itertools
import uuid
from typing import TYPE_CHECKING

from queen.engine.catalog import Partition
from queen.engine.ready import ReadySet
from queen.store.base import PopBatch

if TYPE_CHECKING:
    from queen.engine.pop import PopRequest


class Candidate:
    """One partition that one request wants to lease."""

    __slots__ = ("leased", "partition", "ready", "request", "starts")

    def __init__(self, request: PopRequest, ready: ReadySet, partition: Partition) -> None:
        self.leased = False
        self.starts = ready.starts
        self.request = request
        self.ready = ready
        self.partition = partition

    @property
    def outdated(self) -> bool:
        """Was its group sought since it was taken?"""
        return self.starts != self.ready.starts

    @property
    def epoch(self) -> int:
        """Where its next message lies, as far as is known here."""
        return self.ready.epochs.get(self.partition.id, self.partition.epoch)


def lease_ms_of(candidate: Candidate) -> int:
    """How long its lease is."""
    own = candidate.request.lease_ms
    return own if own is not None else candidate.partition.queue.lease_ms


def of_one_epoch(candidates: list[Candidate]) -> list[Candidate]:
    """Those in the epoch of the first; a lease belongs to one call, so the others wait for a look of their own."""
    kept = [candidate for candidate in candidates if candidate.epoch == candidates[0].epoch]
    if len(kept) < len(candidates):
        for candidate in candidates:
            if candidate not in kept:
                candidate.ready.free(candidate.partition, more=True)
    return kept


def by_epoch(candidates: list[Candidate]) -> dict[int, list[Candidate]]:
    """Them by the epoch in which their next message lies."""
    groups: dict[int, list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(candidate.epoch, []).append(candidate)
    return groups


def batch_of(candidates: list[Candidate], bytes_max: int) -> PopBatch:
    """The arrays of one call; `bytes_max` is for all together."""
    lease_ids: list[bytes | None] = []
    numbers: list[int] = []
    number = 0
    for before, candidate in itertools.pairwise([None, *candidates]):
        assert candidate is not None
        if before is None or before.request is not candidate.request:
            number += 1
            own = None if candidate.request.auto_ack else uuid.UUID(candidate.request.lease_id).bytes
        numbers.append(number)
        lease_ids.append(own)
    queues = [candidate.partition.queue for candidate in candidates]
    delayed = any([queue.delay_ms for queue in queues])
    windowed = any([queue.window_ms for queue in queues])
    return PopBatch(
        [candidate.partition.id for candidate in candidates],
        [candidate.ready.group_bytes for candidate in candidates],
        numbers,
        [candidate.request.batch for candidate in candidates],
        lease_ids,
        [lease_ms_of(candidate) for candidate in candidates],
        number < len(candidates),
        max(1, bytes_max // len(candidates)),
        [queue.delay_ms or None for queue in queues] if delayed else None,
        [queue.window_ms or None for queue in queues] if windowed else None,
    )
