"""Queues: configuration and deletion. Their numbers are in `statistics`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb

from queen.store.admin.calls import Calls


class Configured(NamedTuple):
    """A queue after `configure`."""

    queue_id: int
    namespace: str
    task: str
    options: dict[str, Any]


class QueueEntry(NamedTuple):
    """A queue in a list, without its options."""

    queue_id: int
    name: str
    namespace: str
    task: str
    created_at: datetime


class Queues(Calls):
    """Calls about queues."""

    async def configure(
        self, queue: str, namespace: str | None, task: str | None, replace: bool, options: dict[str, Any]
    ) -> Configured:
        """Create or change a queue; see `configure.sql`."""
        return Configured(*(await self._call("configure", queue, namespace, task, replace, Jsonb(options)))[0])

    async def delete_queue(self, queue: str) -> bool:
        """True when the queue existed."""
        return bool((await self._call("delete_queue", queue))[0][0])

    async def list_queues(
        self,
        *,
        name: str | None = None,
        namespace: str | None = None,
        task: str | None = None,
        search: str | None = None,
        limit: int,
        offset: int,
    ) -> list[QueueEntry]:
        """Queues by name; None matches everything, `search` is a part of the name in any case."""
        rows = await self._call("list_queues", name, namespace, task, search, limit, offset)
        return [QueueEntry(*row) for row in rows]
