"""minPopWaitTime: holds the look of a waiting pop while it would bring some messages, but fewer than it asked for.

It holds no lease and takes nothing away from others; it only waits before the look. How much is there is an estimate:
one read of the cursors, and from then on what this server hears of new messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from queen.engine.catalog import Partition
from queen.engine.ready import ReadySet
from queen.store.base import Standing, Store

if TYPE_CHECKING:
    from queen.engine.pop import PopRequest

_STEP_S = 0.02

Place = tuple[ReadySet, int]


class Fill:
    """See the module."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._loop = asyncio.get_running_loop()

    async def wait(
        self, request: PopRequest, wait_until: float, is_over: Callable[[], bool], on_wait: Callable[[], None]
    ) -> None:
        """Return when a look would fill the request, when the queue's time is up, or when there is nothing to wait for.

        Never later than `wait_until` (loop time). `on_wait` is told when the wait begins. Raises what the store raises.
        """
        fill_ms = max((ready.queue.fill_ms for ready in request.sets if ready.ready), default=0)
        until = min(wait_until, self._loop.time() + fill_ms / 1000)
        acked: dict[Place, int] = {}
        begun = False
        while not is_over() and request.has_hints() and (left := until - self._loop.time()) > 0:
            candidates = request.peek()
            await self._learn(candidates, acked)
            found = sum(partition.head - 1 - acked[ready, partition.id] for ready, partition in candidates)
            if found >= request.batch:
                return
            if not begun:
                begun = True
                on_wait()
            await asyncio.sleep(min(_STEP_S, left))

    async def _learn(self, candidates: list[tuple[ReadySet, Partition]], acked: dict[Place, int]) -> None:
        """Read the cursors that are not known yet."""
        unknown = [(ready, partition) for ready, partition in candidates if (ready, partition.id) not in acked]
        if not unknown:
            return
        standings = await self._store.examine(
            [partition.id for _, partition in unknown], [ready.group_bytes for ready, _ in unknown]
        )
        for (ready, partition), standing in zip(unknown, standings, strict=True):
            partition.head = max(partition.head, standing.head or 0)
            acked[ready, partition.id] = _done(partition, standing)


def _done(partition: Partition, standing: Standing) -> int:
    """The last offset that the group needs no more; all of them where somebody else has the partition."""
    if standing.held_ms is not None:
        return partition.head - 1
    return standing.acked if standing.acked is not None else -1
