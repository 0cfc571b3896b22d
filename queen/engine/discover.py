"""Pops by namespace and task, and queues that appear while they wait.

Such a pop looks at the queues that match when it comes. A queue that is created or changed later, here or by another
server, and matches, is added to the pops that wait by then.

Which of them it takes from: a look goes through the queues with work by their `priority`, the highest first, those of
one priority by turns. But of each `FAIR_EVERY` looks of one group under one filter the last goes by turns alone, the
queue first that was taken from longest ago. So with n queues that always have work, each is taken from once in
n × FAIR_EVERY looks at least, whatever the priorities. Each server counts its own looks.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from queen.engine.catalog import Partition, Queue
from queen.engine.pop import PARTITIONS_PER_CALL_MAX, PopRequest
from queen.engine.ready import ReadySet
from queen.store.base import QueueRow

FAIR_EVERY = 8
_served = itertools.count(1)
_TURNS_KEPT = 10_000


class Turns:
    """Counts the looks of pops with one group and one filter."""

    __slots__ = ("looks",)

    def __init__(self) -> None:
        self.looks = 0


class DiscoveryRequest(PopRequest):
    """A pop that names no queue. `open_set` gives the set of a queue, as the pop asks for it."""

    __slots__ = ("namespace", "open_set", "task", "turns")

    named = False

    def __init__(
        self,
        *arguments: Any,
        namespace: str | None,
        task: str | None,
        open_set: Callable[[Queue], Awaitable[ReadySet]],
        turns: Turns,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self.turns = turns
        self.namespace = namespace
        self.task = task
        self.open_set = open_set

    def in_turn(self) -> list[ReadySet]:
        """See the module."""
        found = [ready for ready in self.sets if ready.ready]
        if len(found) > 1:
            self.turns.looks += 1
            if self.turns.looks % FAIR_EVERY:
                found.sort(key=lambda ready: (-ready.queue.priority, ready.turn))
            else:
                found.sort(key=lambda ready: ready.turn)
        return found

    def take(self, partitions_max: int = PARTITIONS_PER_CALL_MAX) -> list[tuple[ReadySet, Partition]]:
        taken = super().take(partitions_max)
        for ready in dict.fromkeys(ready for ready, _ in taken):
            ready.turn = next(_served)
        return taken

    def fits(self, namespace: str, task: str) -> bool:
        """Does it want messages of a queue with this namespace and task?"""
        return self.namespace in (None, namespace) and self.task in (None, task)

    def matches(self, queue: Queue) -> bool:
        """Does it want messages of this queue, and look elsewhere until now?"""
        return self.fits(queue.namespace, queue.task) and all(ready.queue is not queue for ready in self.sets)


class Discoveries:
    """The pops without a queue that are under way."""

    def __init__(self) -> None:
        self._requests: dict[DiscoveryRequest, None] = {}
        self._turns: dict[tuple[str, str | None, str | None], Turns] = {}

    def turns(self, group: str, namespace: str | None, task: str | None) -> Turns:
        """The count of looks that pops of this group and filter share."""
        if len(self._turns) > _TURNS_KEPT:
            self._turns.clear()
        return self._turns.setdefault((group, namespace, task), Turns())

    def __len__(self) -> int:
        return len(self._requests)

    def begin(self, request: DiscoveryRequest) -> None:
        """This pop may wait."""
        self._requests[request] = None

    def end(self, request: DiscoveryRequest) -> None:
        """This pop is over."""
        self._requests.pop(request, None)

    def want(self, row: QueueRow) -> bool:
        """Would any of these pops look at this queue?"""
        return any(one.fits(row.namespace, row.task) for one in self._requests)

    async def consider(self, queue: Queue) -> None:
        """Add a queue whose namespace and task are known to the pops that it matches. Raises what the store raises."""
        for request in [one for one in self._requests if one.matches(queue)]:
            ready = await request.open_set(queue)
            if request in self._requests and request.matches(queue):
                request.sets.append(ready)
                if request.waiter is not None:
                    request.waiter.wake(True)
