"""Consumer groups that an administrator moved or deleted, here or at another server: what was known of them is wrong.

A group that was deleted begins anew: its sets are closed, and its next pop is a first contact. One that was sought goes
on: its polls stay parked, its set is emptied and swept, and a poll is woken for every partition with work. The leases
that the seek ended are forgotten; acks of them go to the database, which refuses them.

A pop that was on its way meanwhile does not know whether its lease is older than the seek: see `ReadySet.starts`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine

from queen import errors
from queen.engine.catalog import Catalog, Queue
from queen.engine.leases import Leases
from queen.engine.ready import ReadySet
from queen.engine.sweep import Sweeper

log = logging.getLogger(__name__)

_TRIES_MAX, _RETRY_S = 30, 1.0


class Moves:
    """Follows seeks and deletions in memory."""

    def __init__(self, catalog: Catalog, leases: Leases, sweeper: Sweeper) -> None:
        self._catalog = catalog
        self._leases = leases
        self._sweeper = sweeper
        self._tasks: set[asyncio.Task[None]] = set()

    def forget(self, group: str, queue_id: int = 0) -> None:
        """A group was deleted, on one queue or on all for 0."""
        for queue in self._queues(queue_id):
            ready = queue.groups.pop(group, None)
            if ready is not None:
                ready.close()

    def sought(self, queue_id: int, group: str, partition_id: int = 0) -> None:
        """The cursor of a group on a partition, on all of them for 0, was set to another place."""
        for queue in self._queues(queue_id):
            ready = queue.groups.get(group)
            if ready is None:
                continue  # Its next pop looks at everything.
            self._leases.forget(ready, partition_id)
            if partition_id:
                partition = self._catalog.by_id(partition_id)
                if partition is not None:
                    ready.start_anew(partition)
                else:
                    self._follow(self._get_to_know(ready, partition_id))
            else:
                ready.start_anew()
                self._follow(self._sweep(ready))

    def close(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()

    def _queues(self, queue_id: int) -> list[Queue]:
        if not queue_id:
            return list(self._catalog.queues())
        queue = self._catalog.queue_by_id(queue_id)
        return [queue] if queue is not None else []

    async def _sweep(self, ready: ReadySet) -> None:
        """A sweep that began before the seek says nothing; one that breaks off is repeated, for those that wait."""
        for _ in range(_TRIES_MAX):
            await self._sweeper.whole(ready)
            if ready.swept or ready.closed:
                return
            await asyncio.sleep(_RETRY_S)

    async def _get_to_know(self, ready: ReadySet, partition_id: int) -> None:
        for _ in range(_TRIES_MAX):
            try:
                await self._catalog.find_partitions([partition_id])
                break
            except errors.StoreUnavailable:
                await asyncio.sleep(_RETRY_S)
        partition = self._catalog.by_id(partition_id)
        if partition is not None:
            ready.start_anew(partition)

    def _follow(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name="follow a seek")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("cannot follow a seek", exc_info=task.exception())
