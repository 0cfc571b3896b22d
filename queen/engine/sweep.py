"""Sweeps: find by paging what the hints cannot know: at the first contact of a group, and now and then afterwards.

A sweep reads a queue's partitions by the page, off the way of the requests. The first one also gives the group its
cursors. Whole ones follow when announcements of other servers may have been missed; else a page now and then is all,
in case one was lost.
"""

from __future__ import annotations

import asyncio
import logging

from queen import errors
from queen.engine.catalog import Catalog
from queen.engine.leases import Leases
from queen.engine.ready import ReadySet
from queen.store.base import ReadyRow, Store

log = logging.getLogger(__name__)

PAGE = 1000


class Sweeper:
    """Runs at most one sweep per ready set at a time."""

    def __init__(self, store: Store, catalog: Catalog, leases: Leases) -> None:
        self._store = store
        self._catalog = catalog
        self._leases = leases

    async def first_look(self, ready: ReadySet) -> None:
        """Wait until the first sweep of this set has found something, or is through. Raises what the store raises."""
        while not ready.swept and not ready.ready and not ready.closed:
            if ready.sweeping is None:
                self.start(ready)
            page = ready.page
            await asyncio.wait({page})
            page.result()

    def start(self, ready: ReadySet) -> None:
        """Begin a sweep unless one is on its way."""
        if ready.sweeping is None and not ready.closed:
            ready.sweeping = asyncio.get_running_loop().create_task(self._sweep(ready))

    async def whole(self, ready: ReadySet) -> None:
        """A sweep that begins after this call; returns at its end, or when it failed."""
        await self._ended(ready)
        ready.swept = False
        self.start(ready)
        await self._ended(ready)

    @staticmethod
    async def _ended(ready: ReadySet) -> None:
        while ready.sweeping is not None:
            await asyncio.wait({ready.sweeping})

    async def step(self, ready: ReadySet) -> None:
        """One page, where the last step ended. Raises what the store raises."""
        if ready.sweeping is not None or ready.closed:
            return
        ready.begin_read()
        try:
            ready.sweep_after = max(0, await self._page(ready, ready.sweep_after))
        finally:
            ready.end_read()

    async def _sweep(self, ready: ReadySet) -> None:
        try:
            after = 0
            while after >= 0 and not ready.closed:
                ready.begin_read()
                try:
                    after = await self._page(ready, after)
                finally:
                    ready.end_read()
                ready.turn_page()
            ready.swept = True
        except errors.QueenError as error:
            # An outage has a line of its own; one for each group would bury it.
            level = logging.DEBUG if isinstance(error, errors.StoreUnavailable) else logging.WARNING
            log.log(level, "sweep failed queue=%s group=%s error=%s", ready.queue.name, ready.group, error)
            ready.fail_page(error)
        except Exception:
            log.exception("sweep failed queue=%s group=%s", ready.queue.name, ready.group)
            ready.fail_page(errors.QueenError("internal error; the log of the server has the details"))
        finally:
            ready.sweeping = None
            ready.turn_page()

    async def _page(self, ready: ReadySet, after: int) -> int:
        """One page; returns the id to go on after, or -1 at the end."""
        rows = await self._store.ready_partitions(ready.queue.id, ready.group, after, PAGE)
        unopened = [row.partition_id for row in rows if row.acked is None and row.head > 0]
        if unopened:
            await self._store.open_cursors(unopened, [ready.group_bytes] * len(unopened))
            rows = await self._store.ready_partitions(ready.queue.id, ready.group, after, PAGE)
        for row in rows:
            self._take(ready, row)
        return rows[-1].partition_id if len(rows) == PAGE else -1

    def _take(self, ready: ReadySet, row: ReadyRow) -> None:
        partition = self._catalog.add(ready.queue, row.partition_id, row.name, row.epoch)
        partition.head = max(partition.head, row.head)
        if row.acked is not None and row.acked + 1 >= row.head:
            return
        if row.held_ms is None:
            if partition.id in ready.delayed:
                return  # Free in the database, but too young for its queue.
            if row.head > 0 and ready.is_held(partition.id) and partition.id not in ready.changed:
                # Held here but free in the database: another server settled a lease of ours.
                ready.free(partition, more=True)
            elif row.head > 0:
                ready.offer(partition)
        elif not ready.is_held(partition.id):
            self._leases.hold_elsewhere(ready, partition, row.held_ms)
