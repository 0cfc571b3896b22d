"""The engine's face: the verbs, the life cycle, and how the parts hang together.

Every verb is a few lines that hand over to its own file. The engine is started in a running event loop and stopped in
one; between the two it may be called from that loop only.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from queen import errors, model
from queen.engine.ack import Ack, AckResult
from queen.engine.activity import Activity, RollUp
from queen.engine.catalog import Catalog, Queue
from queen.engine.discover import Discoveries, DiscoveryRequest
from queen.engine.events import Ring
from queen.engine.extend import Extend, Extended
from queen.engine.gauges import Gauges, Vitals
from queen.engine.guard import Guard
from queen.engine.hearing import Hearing
from queen.engine.leases import Leases
from queen.engine.limits import Limits
from queen.engine.maintenance.costs import INTERVAL_S as COSTS_S
from queen.engine.maintenance.costs import StatementCosts
from queen.engine.maintenance.enqueued import Enqueued
from queen.engine.maintenance.housekeeping import Housekeeping
from queen.engine.maintenance.loop import Loop
from queen.engine.maintenance.placing import Placing
from queen.engine.maintenance.presence import Presence
from queen.engine.maintenance.statistics import TICK_S, Statistics
from queen.engine.maintenance.traces import ForgetTraces
from queen.engine.maintenance.upkeep import Upkeep
from queen.engine.memory import SAMPLE_S, Memory
from queen.engine.moves import Moves
from queen.engine.opening import Opener
from queen.engine.outbox import Outbox
from queen.engine.pop import PARTITIONS_PER_CALL_MAX, Pop, PopRequest
from queen.engine.pulse import Pulse
from queen.engine.push import Push, PushRequest
from queen.engine.ready import ReadySet
from queen.engine.room import TICK_S as ROOMS_S
from queen.engine.room import Rooms
from queen.engine.sealing import Seals
from queen.engine.stats import Stats
from queen.engine.sweep import Sweeper
from queen.engine.timers import Timers
from queen.engine.transaction import Operation, Result, Transaction
from queen.measure.buckets import Buckets
from queen.model import AckItem, NewMessage
from queen.settings import EngineSettings
from queen.store.activity import ActivityStore
from queen.store.base import EpochUpkeep, QueueRow, Store
from queen.store.enqueued import EnqueuedCalls
from queen.store.kept import KeptNumbers
from queen.store.past import Costs

log = logging.getLogger(__name__)

_FORGET_LEASES_EVERY_S = 60.0
# Until others have noticed this server, by their next beat at the latest, it may miss what they do.
_NOTICED_S = 2.5
_FAREWELL_S = 2.0
_ROLL_UP_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class PopQuery:
    """What a pop asks for. Either `queue` (and perhaps `partition`), or `namespace` and/or `task`."""

    queue: str | None
    partition: str | None = None
    namespace: str | None = None
    task: str | None = None
    group: str = model.QUEUE_MODE
    batch: int = 1
    partitions: int = 1
    wait_ms: int = 0
    lease_ms: int | None = None
    auto_ack: bool = False
    mode: str = "all"
    start_at: str | None = None


def _ignore(_: PopRequest) -> None:
    """Nobody wants to know that a poll is parked."""


class Engine:
    """Queues, partitions, leases: everything between a request and the store."""

    def __init__(
        self,
        store: Store,
        settings: EngineSettings,
        waits_max: int = 4,
        epochs: EpochUpkeep | None = None,
        kept: KeptNumbers | None = None,
        enqueued: EnqueuedCalls | None = None,
        activity: ActivityStore | None = None,
        costs: Costs | None = None,
    ) -> None:
        """`waits_max`: most calls that may wait for a lock of somebody else at a time; each holds a connection.

        `epochs`: what rotation and retention work on; without it they do not run. `kept`: likewise the numbers of
        queues and groups. `enqueued`: likewise the messages of callers' own transactions. `activity`: where what was
        done is written down by the minute; without it, nowhere. `costs`: likewise what calls cost, by the hour.
        """
        self.memory = Memory(settings)
        settings = self.memory.fitted(settings)
        self.settings = settings
        self.stats = Stats()
        self.limits = Limits(settings)
        self.store = store
        self.instance_id = uuid.uuid4()
        self.outbox = Outbox(store, self.instance_id, self.stats, settings.announce_ms / 1000)
        self.catalog = Catalog(store, settings.cached_partitions_max, self.outbox)
        self.leases = Leases(self.stats, settings.remembered_messages_max)
        self.seals = Seals(settings)
        rooms = Rooms(store)
        guard = Guard(rooms, self.seals)
        self._timers = Timers()
        self._sweeper = Sweeper(store, self.catalog, self.leases)
        placing = Placing(store, self.catalog, self.stats, settings, leading=lambda: self.presence.leading)
        self._push = Push(store, self.catalog, self.limits, self.stats, settings, waits_max, placing.note, guard)
        self._ack = Ack(store, self.catalog, self.leases, self.stats, settings, self.outbox)
        self._pop = Pop(
            store,
            self.catalog,
            self.leases,
            self.limits,
            self.memory,
            self.stats,
            self._timers,
            settings,
            Opener(self.seals, self.leases, self._ack.give_back_spans, self._ack.complete),
            self._ack.give_back,
        )
        self._transaction = Transaction(store, self.catalog, self._ack, self.limits, self.stats, placing.note, guard)
        self._extend = Extend(store, self.leases, self.stats, settings)
        self._discoveries = Discoveries()
        self._moves = Moves(self.catalog, self.leases, self._sweeper)
        self.hearing = Hearing(
            store,
            self.instance_id,
            self.catalog,
            self.leases,
            self._sweeper,
            self._discoveries,
            self.stats,
            self._moves,
        )
        self.presence = Presence(store, self.instance_id, self.outbox, settings.leader_lease_ms, self._join)
        self.hearing.on_hello = self.presence.met
        self.hearing.peers = lambda: self.presence.peers
        self._pause_version = -1
        self.presence.on_paused = self.hearing.on_paused = self.learn_pause
        self._joining: asyncio.TimerHandle | None = None
        house = Housekeeping(store, self.catalog, self._sweeper, self.stats)
        self._loops: list[Loop | Placing | Enqueued] = [
            placing,
            Loop("sample", house.sample, 1.0),
            Loop("sweep", house.sweep, settings.sweep_ms / 1000),
            Loop("rooms", rooms.tick, ROOMS_S),
            Loop("forget leases", house.forget_leases, _FORGET_LEASES_EVERY_S),
        ]
        if settings.trace_ms_max:
            traces = ForgetTraces(store, settings.trace_ms_max, leading=lambda: self.presence.leading)
            self._loops.append(Loop("forget traces", traces.tick, traces.interval_s))
        self._upkeep = (
            Upkeep(epochs, settings, self.stats, leading=lambda: self.presence.leading) if epochs is not None else None
        )
        if self._upkeep is not None:
            self._loops.append(Loop("upkeep", self._upkeep.tick, settings.upkeep_ms / 1000))
        if enqueued is not None:
            self._loops.append(
                Enqueued(
                    enqueued,
                    self.catalog,
                    self.stats,
                    settings,
                    self.hearing,
                    lambda: self.presence.leading,
                    placing.note,
                )
            )
        self.statistics = Statistics(kept, settings, self.stats, lambda: self.presence.leading) if kept else None
        if self.statistics is not None:
            pause_s = min(TICK_S, settings.statistics_ms / 1000)
            self._loops.append(Loop("statistics", self.statistics.tick, pause_s))
        self.pulse = Pulse()
        self.slow_flushes = Ring()
        """Flushes that took longer than `slow_flush_ms`."""
        for batcher in (self._push.batcher, self._ack.batcher, self._pop.batcher):
            batcher.watch(settings.slow_flush_ms * 1000, self.slow_flushes)
        self.activity = Activity(
            activity,
            self.instance_id,
            self.stats,
            Gauges(Vitals(store, self.stats, self.limits, self.memory, self.pulse).read),
            lambda: self.limits.parked_polls,
            settings.activity_queues_max,
        )
        if activity is not None:
            rolling = RollUp(
                activity,
                settings.activity_minutes_kept_ms,
                settings.activity_hours_kept_ms,
                leading=lambda: self.presence.leading,
            )
            self._loops.append(Loop("roll up activity", rolling.tick, _ROLL_UP_EVERY_S))
        if costs is not None:
            pricing = StatementCosts(costs, lambda: self.presence.leading)
            self._loops.append(Loop("statement costs", pricing.tick, COSTS_S))
        if self.memory.watched:
            self._loops.append(Loop("memory", partial(self.memory.sample, store.renew), SAMPLE_S))
        self.draining = False

    def start(self) -> None:
        """Begin the background loops."""
        self.pulse.start()
        self.outbox.start()
        self.hearing.start()
        self.presence.start()
        self.activity.start()
        for loop in self._loops:
            loop.start()

    def dismiss_polls(self) -> None:
        """Parked polls are answered with "empty" at once, and no poll waits from now on; all else goes on."""
        self._pop.drain()
        for queue in list(self.catalog.queues()):
            for ready in queue.groups.values():
                ready.dismiss()

    @property
    def pops_paused(self) -> bool:
        """Do pops pause?"""
        return self._pop.paused

    def pause_pops(self, paused: bool, version: int) -> None:
        """Pops of all servers pause or go on, by a switch that was turned here."""
        self.learn_pause(paused, version)
        if self.outbox.open:
            self.outbox.pops_paused(paused, version)

    def learn_pause(self, paused: bool, version: int) -> None:
        """Somebody turned the switch, or a look at it says how it stands; what is older than what is known is ignored.

        With the pause polls that wait are answered with "empty". Those that come then wait for their time, or for the
        end of the pause.
        """
        if version <= self._pause_version:
            return
        self._pause_version = version
        if paused == self._pop.paused:
            return
        self._pop.paused = paused
        log.warning("pops pause: maintenance was turned on" if paused else "pops go on: maintenance was turned off")
        for queue in list(self.catalog.queues()):
            for ready in queue.groups.values():
                if paused:
                    ready.dismiss()
                else:
                    ready.nudge()

    def drain(self) -> None:
        """Take nothing new; parked polls are answered with "empty" at once."""
        self.draining = True
        self.dismiss_polls()

    async def stop(self, timeout_s: float) -> None:
        """Drain, finish what is in flight for up to `timeout_s`, and end."""
        self.drain()
        self.pulse.stop()
        for loop in self._loops:
            await loop.stop()
        if self.statistics is not None:
            await self.statistics.stop()
        batchers = (self._push.batcher, self._ack.batcher, self._pop.batcher)
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(*[batcher.drain() for batcher in batchers])
        except TimeoutError:
            log.warning("stopped with work in flight timeout_s=%s", timeout_s)
            for part in (self._push, self._ack.batcher, self._pop.batcher):
                part.abandon(errors.ShuttingDown("the server is stopping"))
        await self.activity.stop()
        await self._part()
        self._moves.close()
        self.leases.close()

    async def push(self, messages: list[NewMessage]) -> PushRequest:
        """Store messages. See `Push.push`."""
        self._check_open()
        return await self._push.push(messages)

    async def pop(self, request: PopRequest, wait_ms: int, on_park: Callable[[PopRequest], None] = _ignore) -> None:
        """Lease messages into `request.spans`, waiting up to `wait_ms` for some. See `Pop.pop`."""
        if self.draining:
            wait_ms = 0
        wait_until = asyncio.get_running_loop().time() + wait_ms / 1000 if wait_ms > 0 else None
        try:
            await self._pop.pop(request, wait_until, on_park)
        finally:
            if isinstance(request, DiscoveryRequest):
                self._discoveries.end(request)

    async def prepare_pop(self, query: PopQuery) -> PopRequest:
        """Find the ready sets of a pop, at first contact with a registration and a sweep."""
        self._check_open()
        if query.queue is not None:
            queue = self.catalog.queue(query.queue)
            if queue is None or queue.options is None:
                queue = await self.catalog.ensure_queue(query.queue)
        else:
            return await self._prepare_discovery(query)
        sets = [await self._ready_set(queue, query)]
        only = None
        if query.partition is not None and query.queue is not None:
            partition = self.catalog.partition(query.queue, query.partition)
            if partition is None:
                partition = await self.catalog.ensure_partition(query.queue, query.partition)
            only = partition.id
            for ready in sets:
                if not ready.swept:
                    ready.offer(partition)  # The sweep may be far from it.
        return PopRequest(
            sets,
            query.group,
            batch=query.batch,
            partitions=1 if only is not None else _partitions_max(query),
            only=only,
            lease_ms=query.lease_ms,
            auto_ack=query.auto_ack,
        )

    async def ack(self, group: str, items: list[AckItem]) -> list[AckResult]:
        """Settle messages. See `Ack.ack`."""
        return await self._ack.ack(group, items)

    async def transact(self, operations: list[Operation], required_leases: list[str]) -> list[Result]:
        """Pushes and acks together or not at all. See `Transaction.transact`."""
        self._check_open()
        return await self._transaction.transact(operations, required_leases)

    async def extend(self, lease_id: str, seconds: int) -> Extended:
        """Move the end of a lease."""
        return await self._extend.extend(lease_id, seconds)

    def leave(self, request: PopRequest) -> None:
        """The client of a pop has gone."""
        self._pop.leave(request)

    async def undelivered(self, request: PopRequest) -> None:
        """The client did not read the answer to its end: what it leased goes back."""
        await self._pop.undelivered(request)

    def queue_changed(self, row: QueueRow) -> None:
        """A queue was configured here: take its options over, and tell the other servers."""
        self.catalog.learn(row)
        if self.outbox.open:
            self.outbox.queue_changed(row.queue_id)
        if self.outbox.open or self._discoveries:
            # Read once more: another server may have configured it since, and its news may have been here first.
            self.hearing.changed(row.queue_id)

    def queue_deleted(self, name: str) -> None:
        """A queue was deleted here: forget it, and tell the other servers."""
        self.catalog.forget_queue(name)
        if self.outbox.open:
            self.outbox.queue_deleted(name)

    async def stored_aside(self, last_offsets: dict[int, int], count: int) -> None:
        """So many messages were stored past the batchers, by partition the last one's offset: wake who waits, here and
        on the other servers."""
        self.stats.counters.push_messages += count
        await self.catalog.find_partitions(last_offsets)
        for partition_id, last_offset in last_offsets.items():
            partition = self.catalog.by_id(partition_id)
            if partition is not None:
                partition.stored(last_offset)

    def forget_group(self, group: str) -> None:
        """The group was deleted here: its next pop is a first contact again, also on the other servers."""
        self._moves.forget(group)
        if self.outbox.open:
            self.outbox.group_deleted(group)

    def group_left(self, queue_id: int, group: str) -> None:
        """The same, on one queue."""
        self._moves.forget(group, queue_id)
        if self.outbox.open:
            self.outbox.group_left(queue_id, group)

    def group_sought(self, queue_id: int, group: str, partition_id: int = 0) -> None:
        """The group's cursor on a partition, on all of them for 0, was set to another place here: look anew."""
        self._moves.sought(queue_id, group, partition_id)
        if self.outbox.open:
            self.outbox.group_sought(queue_id, group, partition_id)

    async def _prepare_discovery(self, query: PopQuery) -> PopRequest:
        """A pop over all queues of a namespace and a task, also over those that appear while it waits."""
        namespace, task = query.namespace or None, query.task or None
        request = DiscoveryRequest(
            [],
            query.group,
            batch=query.batch,
            partitions=_partitions_max(query),
            only=None,
            lease_ms=query.lease_ms,
            auto_ack=query.auto_ack,
            namespace=namespace,
            task=task,
            open_set=lambda queue: self._ready_set(queue, query),
            turns=self._discoveries.turns(query.group, namespace, task),
        )
        self._discoveries.begin(request)
        try:
            for queue in await self.catalog.matching(namespace, task):
                ready = await self._ready_set(queue, query)
                if request.matches(queue):
                    request.sets.append(ready)
        except BaseException:
            self._discoveries.end(request)
            raise
        return request

    async def _ready_set(self, queue: Queue, query: PopQuery) -> ReadySet:
        ready = queue.groups.get(query.group)
        if ready is None:
            if query.group != model.QUEUE_MODE:
                await self.store.subscribe(queue.id, query.group, query.mode, query.start_at)
            ready = queue.groups.setdefault(query.group, ReadySet(queue, query.group))
        ready.used_at = asyncio.get_running_loop().time()
        if not ready.swept:
            await self._sweeper.first_look(ready)
        return ready

    def _join(self) -> None:
        """Other servers run, and may not know of this one yet."""
        if self._joining is not None:
            self._joining.cancel()
        self._joining = asyncio.get_running_loop().call_later(_NOTICED_S, self.hearing.catch_up)

    async def _part(self) -> None:
        """Tell the others what is left to tell, and that this server goes."""
        if self._joining is not None:
            self._joining.cancel()
        await self.hearing.stop()
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await self.outbox.stop()
        except TimeoutError:
            log.info("the last announcements were not sent in time")
        await self.presence.stop()

    def _check_open(self) -> None:
        if self.draining:
            raise errors.ShuttingDown("the server is stopping", hint="send the request to another instance")

    def sizes(self) -> dict[str, int]:
        """What is held in memory just now."""
        return {
            "pending_push_bytes": self.limits.pending_bytes,
            "parked_polls": self.limits.parked_polls,
            "leases": len(self.leases),
            "ready_partitions": sum(len(one.ready) for queue in self.catalog.queues() for one in queue.groups.values()),
            "refused": self.limits.refused,
            "memory_max": self.memory.limit,
            "memory_used": self.memory.used,
            "memory_refused": self.memory.refused,
            "memory_peak": self.memory.peak,
            "memory_closed": int(self.memory.closed),
            "memory_closings": self.memory.closings,
            "peers": self.presence.peers,
            "leading": int(self.presence.leading),
            "listening": int(self.hearing.listening),
            "pending_announcements": len(self.outbox),
            "pops_paused": int(self._pop.paused),
            "push_flushes": self._push.batcher.flushes,
            "pop_flushes": self._pop.batcher.flushes,
            "ack_flushes": self._ack.batcher.flushes,
            "epochs": self._upkeep.epochs if self._upkeep is not None else 0,
            "last_rotation_timestamp_seconds": self._upkeep.rotation.last_at if self._upkeep is not None else 0,
        }

    def buckets(self) -> dict[str, Buckets]:
        """Latencies and flush times in microseconds, and flush sizes, by name."""
        stats, push, pop, ack = self.stats, self._push.batcher, self._pop.batcher, self._ack.batcher
        return {
            "push_us": stats.push_us,
            "pop_us": stats.pop_us,
            "ack_us": stats.ack_us,
            "insert_us": stats.insert_us,
            "push_flush_us": push.flush_us,
            "pop_flush_us": pop.flush_us,
            "ack_flush_us": ack.flush_us,
            "push_flush_entries": push.weights,
            "pop_flush_entries": pop.weights,
            "ack_flush_entries": ack.weights,
            "pool_wait_us": self.store.waits,
            "pool_held_us": self.store.holds,
        }


def _partitions_max(query: PopQuery) -> int:
    wanted = query.partitions if query.partitions > 0 else PARTITIONS_PER_CALL_MAX
    return min(wanted, query.batch, PARTITIONS_PER_CALL_MAX)
