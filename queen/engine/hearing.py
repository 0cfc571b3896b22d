"""What other servers announced, and what follows from it here.

    notification or row → `Announcement` → known partitions and leases at once │ the rest by `_work`, off the loop's way

News are hints and only ever mean "look"; they come more than once, and may be lost. By its number a missed one is
noticed and read in the database. While nothing can be heard, announcements are read every now and then; after such a
time everything that is in use here is looked at again.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from itertools import islice

from queen import errors
from queen.engine.catalog import Catalog, Queue
from queen.engine.discover import Discoveries
from queen.engine.leases import Leases
from queen.engine.maintenance.housekeeping import IN_USE_S
from queen.engine.moves import Moves
from queen.engine.news import ENQUEUED, News, decode, decode_payload
from queen.engine.ready import ReadySet
from queen.engine.stats import Stats
from queen.engine.sweep import Sweeper
from queen.store.base import Store

log = logging.getLogger(__name__)

POLL_FIRST_S, POLL_MAX_S = 0.1, 1.0
_OVERLAP_MS = 3_000
_KEPT_MS = 14_000
"""Announcements are kept this long at least; who heard nothing for longer looks at everything."""
_READ_MAX = 10_000
_PER_CALL = 1_000
_STRANGERS_MAX = 100_000
_SENDERS_MAX = 10_000
_RETRY_S = 1.0


class Hearing:
    """Takes announcements in. `listening` says whether notifications arrive, or rows must be read."""

    def __init__(
        self,
        store: Store,
        instance_id: uuid.UUID,
        catalog: Catalog,
        leases: Leases,
        sweeper: Sweeper,
        discoveries: Discoveries,
        stats: Stats,
        moves: Moves,
    ) -> None:
        self.listening = False
        self.on_hello: Callable[[], None] = _ignore
        self.on_enqueued: Callable[[bool], None] = _ignore_enqueued
        self.peers: Callable[[], int] = _nobody
        self.on_paused: Callable[[bool, int], None] = _whatever
        self._store = store
        self._instance_id = instance_id
        self._catalog = catalog
        self._leases = leases
        self._sweeper = sweeper
        self._discoveries = discoveries
        self._counters = stats.counters
        self._moves = moves
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()  # Everything announced before is known here.
        self._last: dict[uuid.UUID, int] = {}
        self._missed = self._lost = self._complained = False
        self._changed: set[int] = set()
        self._strangers: dict[int, int] = {}
        self._task: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        catalog.on_new = self._met_queue

    def start(self) -> None:
        """Read announcements whenever nothing can be heard."""
        self._reading = self._loop.create_task(self._poll(), name="read announcements")

    async def stop(self) -> None:
        """End what is under way."""
        tasks = {task for task in (self._task, self._reading) if task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._reading = None

    def up(self) -> None:
        """Notifications arrive from now on; what was announced before is read."""
        self.listening = True
        self._missed = True
        self.on_enqueued(True)
        self._begin_work()

    def down(self) -> None:
        """Notifications arrive no more, and nobody knows since when."""
        self.listening = False
        self._heard_at = self._loop.time() - _KEPT_MS / 1000

    def catch_up(self) -> None:
        """Announcements may have been missed for good: look at everything in use again."""
        self._lost = True
        self._begin_work()

    def heard(self, text: str) -> None:
        """A notification came in."""
        if text == ENQUEUED:
            self.on_enqueued(False)
            return
        announcement = decode_payload(text)
        if announcement is None:
            if not self._complained:
                self._complained = True
                log.warning("unreadable notification text=%.100r", text)
            return
        sender, number, news = announcement
        last = self._last.get(sender)
        if sender == self._instance_id or (last is not None and number <= last):
            return
        if news is None or (last is not None and number > last + 1):
            # Too long for a notification, or one before it is missing: read them.
            if not self._missed:
                self._missed, self._heard_at = True, self._loop.time()
            self._begin_work()
            return
        self._take(sender, number, news)

    def changed(self, queue_id: int) -> None:
        """Read a queue again."""
        self._changed.add(queue_id)
        self._begin_work()

    def _met_queue(self, queue: Queue) -> None:
        """A queue is known here for the first time: somebody may wait for it without its name."""
        if self._discoveries:
            self.changed(queue.id)

    def _take(self, sender: uuid.UUID, number: int, news: News) -> None:
        if len(self._last) >= _SENDERS_MAX:
            self._last.clear()  # At worst a gap is not noticed.
        self._last[sender] = number
        self._counters.announcements_received += 1
        if news.hello:
            self.on_hello()
        for name in news.deleted:
            self._catalog.forget_queue(name)
        for group in news.groups:
            self._moves.forget(group)
        for queue_id, group in news.left:
            self._moves.forget(group, queue_id)
        for queue_id, group, partition_id in news.sought:
            self._moves.sought(queue_id, group, partition_id)
        for queue_id, pairs in news.stored.items():
            self._stored(queue_id, pairs)
        for group, ends in news.freed.items():
            for partition_id, acked, lease_id in ends:
                self._freed(group, partition_id, acked, lease_id)
        if news.paused is not None:
            self.on_paused(*news.paused)
        if news.queues:
            self._catalog.outdate()
        known = {number for number in news.queues if self._catalog.queue_by_id(number) is not None}
        self._changed.update(news.queues if self._discoveries else known)
        self._lost = self._lost or news.everything
        self._begin_work()

    def _stored(self, queue_id: int, pairs: list[int]) -> None:
        queue = self._catalog.queue_by_id(queue_id)
        if queue is None:
            if self._discoveries:
                self._changed.add(queue_id)
            return
        for partition_id, head in zip(pairs[::2], pairs[1::2], strict=False):
            partition = self._catalog.by_id(partition_id)
            if partition is not None:
                partition.heard(head)
            elif queue.groups:
                self._strangers[partition_id] = head
        if len(self._strangers) > _STRANGERS_MAX:
            self._strangers.clear()
            self._lost = True

    def _freed(self, group: str, partition_id: int, acked: int, lease_id: str) -> None:
        ours = bool(lease_id) and self._leases.settled_elsewhere(lease_id, partition_id)
        partition = self._catalog.by_id(partition_id)
        ready = partition.queue.groups.get(group) if partition is not None else None
        if partition is not None and ready is not None:
            ready.freed_elsewhere(partition, acked, ours)

    def _begin_work(self) -> None:
        if (self._missed or self._lost or self._changed or self._strangers) and self._task is None:
            self._task = self._loop.create_task(self._work(), name="follow announcements")
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled():
            self._begin_work()  # Something may have come since it looked for the last time.

    async def _work(self) -> None:
        while self._missed or self._lost or self._changed or self._strangers:
            try:
                await self._step()
            except errors.QueenError as error:
                _tell("cannot follow other servers yet", error)
                await asyncio.sleep(_RETRY_S)
            except Exception:
                log.exception("cannot follow other servers")
                await asyncio.sleep(_RETRY_S)

    async def _step(self) -> None:
        """One of the things to do, the most telling first. What fails stays to be done."""
        if self._missed:
            await self._read()
            self._missed = False
        elif self._changed:
            await self._reload(list(islice(self._changed, _PER_CALL)))
        elif self._strangers:
            await self._get_to_know(dict(islice(self._strangers.items(), _PER_CALL)))
        else:
            self._lost = False
            try:
                await self._look_at_everything()
            except BaseException:
                self._lost = True
                raise

    async def _read(self) -> int:
        """Read what was announced since everything was known, and take in what is new. Returns how much that was."""
        began_at = self._loop.time()
        silence_ms = int((began_at - self._heard_at) * 1000)
        rows = await self._store.recent_changes(self._instance_id, silence_ms + _OVERLAP_MS, _READ_MAX)
        if silence_ms >= _KEPT_MS or len(rows) == _READ_MAX:
            self._lost = True
        new = 0
        for sender, number, text in rows:
            if number > self._last.get(sender, 0):
                news = decode(text)
                if news is not None:
                    self._take(sender, number, news)
                    new += 1
        self._heard_at = began_at
        return new

    async def _reload(self, queue_ids: list[int]) -> None:
        self._changed.difference_update(queue_ids)
        try:
            for queue in await self._catalog.reload(queue_ids, self._discoveries.want):
                await self._discoveries.consider(queue)
        except BaseException:
            self._changed.update(queue_ids)
            raise

    async def _get_to_know(self, heads: dict[int, int]) -> None:
        await self._catalog.find_partitions(heads)
        for partition_id, head in heads.items():
            self._strangers.pop(partition_id, None)
            partition = self._catalog.by_id(partition_id)
            if partition is not None:
                partition.heard(head)

    async def _look_at_everything(self) -> None:
        """Every known queue is read again and every set in use swept; the others when they are next asked for."""
        known = [queue.id for queue in self._catalog.queues()]
        for first in range(0, len(known), _PER_CALL):
            await self._catalog.reload(known[first : first + _PER_CALL])
        sets = [ready for queue in self._catalog.queues() for ready in queue.groups.values()]
        for ready in sets:
            ready.reconsider()
            ready.swept = False
        for ready in sets:
            if self._in_use(ready):
                await self._sweeper.whole(ready)
                if not ready.swept and not ready.closed:
                    raise errors.StoreUnavailable(f"the sweep of queue {ready.queue.name!r} broke off")

    def _in_use(self, ready: ReadySet) -> bool:
        return bool(ready.parked) or self._loop.time() - ready.used_at < IN_USE_S

    async def _poll(self) -> None:
        """While others run and nothing is heard of them: read, often while something comes, else once a second."""
        pause = POLL_MAX_S
        while True:
            await asyncio.sleep(pause)
            pause = min(2 * pause, POLL_MAX_S)
            if self.listening or not self.peers():
                continue
            try:
                if await self._read():
                    pause = POLL_FIRST_S
            except errors.QueenError as error:
                _tell("cannot read announcements", error)


def _tell(what: str, error: errors.QueenError) -> None:
    """Log a failure; of an outage the pool tells, once for all."""
    level = logging.DEBUG if isinstance(error, errors.StoreUnavailable) else logging.WARNING
    log.log(level, "%s error=%s", what, error.message)


def _ignore() -> None:
    """Nobody wants to know of new servers."""


def _ignore_enqueued(_: bool) -> None:
    """Nobody places what callers enqueue."""


def _whatever(_: bool, __: int) -> None:
    """Nobody wants to know whether pops pause."""


def _nobody() -> int:
    """No other server is known of."""
    return 0
