"""Pops by namespace and task, and queues that appear while they wait.

Such a pop looks at the queues that match when it comes. A queue that is created or changed later, here or by another
server, and matches, is added to the pops that wait by then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from queen.engine.catalog import Queue
from queen.engine.pop import PopRequest
from queen.engine.ready import ReadySet
from queen.store.base import QueueRow


class DiscoveryRequest(PopRequest):
    """A pop that names no queue. `open_set` gives the set of a queue, as the pop asks for it."""

    __slots__ = ("namespace", "open_set", "task")

    named = False

    def __init__(
        self,
        *arguments: Any,
        namespace: str | None,
        task: str | None,
        open_set: Callable[[Queue], Awaitable[ReadySet]],
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self.namespace = namespace
        self.task = task
        self.open_set = open_set

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
