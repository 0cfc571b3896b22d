"""What this server has to tell the others, gathered for a moment and sent as one announcement after the other.

Closed while no other server runs: then nothing is gathered and nothing sent. What is urgent (a queue that was changed
or deleted) goes at once, everything else when `interval_s` have passed since the announcement before. Never part of a
push: a notification in its transaction would make commits wait for each other.

One announcement is in flight at a time and each has the next number, so that others notice when they missed one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
import uuid
from typing import TYPE_CHECKING

from queen import errors
from queen.engine.news import News, encode, payload
from queen.engine.stats import Stats
from queen.store.cluster import ClusterStore

if TYPE_CHECKING:
    from queen.engine.catalog import Partition

log = logging.getLogger(__name__)

ITEMS_MAX = 5_000
"""Most partitions and leases in one announcement."""
PENDING_MAX = 100_000
"""Most that wait to be announced. Beyond it the others are told to look at everything."""
_RETRY_FIRST_S, _RETRY_MAX_S = 0.1, 2.0


class Outbox:
    """Gathers and sends. `open` says whether there is anybody to tell; ask it before telling."""

    def __init__(self, store: ClusterStore, instance_id: uuid.UUID, stats: Stats, interval_s: float) -> None:
        self.open = False
        self._store = store
        self._instance_id = instance_id
        self._counters = stats.counters
        self._interval_s = interval_s
        self._number = 0
        self._stored: dict[int, Partition] = {}
        self._freed: list[tuple[str, int, int, str]] = []
        self._news = News()
        self._wanted = asyncio.Event()
        self._urgent = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._stored) + len(self._freed)

    def start(self) -> None:
        """Begin to send. Open until it is known that nobody listens."""
        self.open = True
        self._task = asyncio.get_running_loop().create_task(self._run(), name="announcements")

    async def stop(self) -> None:
        """Send what is left, once, and end."""
        self.open = False
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None
            while (news := self._take()) is not None:
                if not await self._send(news):
                    break

    def close(self) -> None:
        """Nobody is there any more: what was gathered is of no use."""
        self.open = False
        while self._take() is not None:
            pass

    def stored(self, partition: Partition) -> None:
        """Messages were stored in this partition."""
        if len(self._stored) >= PENDING_MAX:
            self._say_everything()
        self._stored[partition.id] = partition
        self._wanted.set()

    def freed(self, group: str, partition_id: int, acked: int, lease_id: str) -> None:
        """A lease is over; `lease_id` is "" when this server itself had handed it out."""
        if len(self._freed) >= PENDING_MAX:
            self._say_everything()
        self._freed.append((group, partition_id, acked, lease_id))
        self._wanted.set()

    def queue_changed(self, queue_id: int) -> None:
        """A queue was created or has other options."""
        self._news.queues.append(queue_id)
        self._hurry()

    def queue_deleted(self, name: str) -> None:
        """A queue was deleted."""
        self._news.deleted.append(name)
        self._hurry()

    def group_deleted(self, group: str) -> None:
        """A consumer group was deleted."""
        self._news.groups.append(group)
        self._hurry()

    def group_left(self, queue_id: int, group: str) -> None:
        """A consumer group was deleted on one queue."""
        self._news.left.append((queue_id, group))
        self._hurry()

    def group_sought(self, queue_id: int, group: str, partition_id: int) -> None:
        """A group's cursor on a partition, on all of them for 0, was set to another place."""
        self._news.sought.append((queue_id, group, partition_id))
        self._hurry()

    def pops_paused(self, paused: bool, version: int) -> None:
        """Pops pause, or go on. Nothing is lost with this announcement: every beat says it again."""
        self._news.paused = (paused, version)
        self._hurry()

    def hello(self) -> None:
        """This server has just begun."""
        self._news.hello = True
        self._hurry()

    def _hurry(self) -> None:
        news = self._news
        groups = len(news.groups) + len(news.left) + len(news.sought)
        if len(news.queues) + len(news.deleted) + groups > ITEMS_MAX:
            self._say_everything()
        self._wanted.set()
        self._urgent.set()

    def _say_everything(self) -> None:
        self._stored.clear()
        self._freed.clear()
        self._news = News(hello=self._news.hello, everything=True)

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while (news := self._take()) is not None:
                await self._deliver(news)
                # The first after a silence goes at once; those behind it gather.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._interval_s):
                        await self._urgent.wait()

    def _take(self) -> News | None:
        """The next announcement; None when there is nothing to say."""
        self._urgent.clear()
        news, self._news = self._news, News()
        for partition_id in list(itertools.islice(self._stored, ITEMS_MAX)):
            partition = self._stored.pop(partition_id)
            news.stored.setdefault(partition.queue.id, []).extend((partition.id, partition.head))
        freed, self._freed = self._freed[:ITEMS_MAX], self._freed[ITEMS_MAX:]
        for group, partition_id, acked, lease_id in freed:
            news.freed.setdefault(group, []).append((partition_id, acked, lease_id))
        return news if news != News() else None

    async def _deliver(self, news: News) -> None:
        """Send until it is sent, or nobody is there any more."""
        ceiling = _RETRY_FIRST_S
        while not await self._send(news) and self.open:
            await asyncio.sleep(random.uniform(ceiling / 2, ceiling))
            ceiling = min(_RETRY_MAX_S, ceiling * 2)

    async def _send(self, news: News) -> bool:
        self._number += 1
        text = encode(news)
        try:
            await self._store.announce(
                self._instance_id, self._number, text, payload(self._instance_id, self._number, text)
            )
        except errors.QueenError as error:
            self._counters.announcements_failed += 1
            # The pool tells of an outage, once for all.
            level = logging.DEBUG if isinstance(error, errors.StoreUnavailable) else logging.WARNING
            log.log(level, "announcement failed number=%d error=%s", self._number, error.message)
            return False
        self._counters.announcements_sent += 1
        return True
