"""Pop: pick partitions that may have work, lease them in one call for many requests, wait when there is nothing.

    request → candidates from the ready sets (PopRequest.take) → batcher → one store call → spans
            → nothing there: examine why, look again while there are hints, then park until woken or the deadline

A partition whose first message is too young for its queue (delayedProcessing, windowBuffer) is held until it is not,
and wakes a waiting poll then. A queue with minPopWaitTime holds the look of a waiting pop, never a lease (`Fill`).

States of a request: looking (in the batcher, or in a flush), parked (in `Waiter`s), done. A request whose client has
left is never given a lease: it is asked before the call, and what a call brought for it nevertheless is given back.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Collection, Hashable

from queen import errors, model
from queen.engine.batcher import Batcher
from queen.engine.candidates import Candidate, batch_of, by_epoch, lease_ms_of, of_one_epoch
from queen.engine.catalog import Catalog, Partition
from queen.engine.fill import Fill
from queen.engine.leases import Lease, LeasedSpan, Leases
from queen.engine.limits import Limits
from queen.engine.memory import Memory
from queen.engine.opening import Opener
from queen.engine.ready import ReadySet, Waiter
from queen.engine.sealing import has_sealed
from queen.engine.stats import Stats
from queen.engine.timers import Timers
from queen.settings import EngineSettings
from queen.store.base import PopBatch, Span, Standing, Store

PARTITIONS_PER_CALL_MAX = 1000
_LOOKS_MAX = 20
_LOCKED_RETRY_S = 0.01
_LOCKED_IN_A_ROW = 3
_REQUESTS_PER_FLUSH_MAX = 512


class PopRequest:
    """One pop while it looks, and what it got: `spans`, each with its partition, under one lease id."""

    __slots__ = ("acks_itself", "auto_ack", "batch", "done", "gone", "group", "key", "lease_id", "lease_ms", "only",
                 "parked", "partitions", "sets", "size", "spans", "waiter", "weight", "woken")  # fmt: skip

    named = True
    """Does it name its queue?"""

    def __init__(
        self,
        sets: list[ReadySet],
        group: str,
        *,
        batch: int,
        partitions: int,
        only: int | None,
        lease_ms: int | None,
        auto_ack: bool,
    ) -> None:
        self.sets = sets
        self.group = group
        self.batch = batch
        self.partitions = partitions
        self.only = only
        self.lease_ms = lease_ms
        self.auto_ack = auto_ack
        self.acks_itself = False
        """Leased although it acknowledges at delivery, until it is sure that it can deliver (`opening`)."""
        # Not itself: that would be a cycle, and keep what was delivered until the collector runs.
        self.key: Hashable = id(self)
        self.weight = 1
        self.size = 0
        self.gone = False
        self.parked = False
        self.woken = False
        self.waiter: Waiter | None = None
        self.lease_id = ""
        self.spans: list[tuple[Partition, Span]] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, partitions_max: int = PARTITIONS_PER_CALL_MAX) -> list[tuple[ReadySet, Partition]]:
        """The candidates for one look; they are held in their ready sets."""
        taken: list[tuple[ReadySet, Partition]] = []
        most, messages = min(self.partitions, partitions_max), self.batch
        for ready in self.in_turn():
            partitions, found = ready.take(most - len(taken), messages, self.only)
            taken += [(ready, partition) for partition in partitions]
            messages -= found
            if len(taken) >= most or messages <= 0:
                break
        return taken

    def in_turn(self) -> list[ReadySet]:
        """The sets in the order in which this look takes from them."""
        return self.sets

    def peek(self) -> list[tuple[ReadySet, Partition]]:
        """The candidates that `take` would take just now."""
        found: list[tuple[ReadySet, Partition]] = []
        for ready in self.sets:
            if self.only is None:
                partitions = list(itertools.islice(ready.ready.values(), self.partitions - len(found)))
            else:
                partitions = [partition for key, partition in ready.ready.items() if key == self.only]
            found += [(ready, partition) for partition in partitions]
        return found

    def fills(self) -> bool:
        """Does one of its queues want a pop to wait for a fuller batch (`Queue.fill_ms`)?"""
        for ready in self.sets:
            if ready.queue.fill_ms:
                return True
        return False

    def has_hints(self) -> bool:
        """Would a look find a candidate?"""
        for ready in self.sets:  # any() over a generator takes twice as long
            if ready.ready and (self.only is None or self.only in ready.ready):
                return True
        return False

    def settle(self) -> None:
        """The look is over."""
        if not self.done.done():
            self.done.set_result(None)

    def fail(self, error: errors.QueenError) -> None:
        """The look failed."""
        if not self.done.done():
            self.done.set_exception(error)


class Pop:
    """The pop verb of the engine."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        leases: Leases,
        limits: Limits,
        memory: Memory,
        stats: Stats,
        timers: Timers,
        settings: EngineSettings,
        opener: Opener,
        give_back: Callable[[PopRequest], Awaitable[None]],
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._leases = leases
        self._limits = limits
        self._memory = memory
        self._counters = stats.counters
        self._tallies = stats.tallies
        self._timers = timers
        self._give_back = give_back
        self._opener = opener
        self.paused = False
        """Pops of all servers pause: nothing is looked for, and who may wait waits."""
        self._bytes_max = settings.pop_bytes_max
        self._partitions_max = memory.partitions_per_call(self._bytes_max)
        self._draining = False
        self._gather_s = settings.pop_gather_ms / 1000
        self._fill = Fill(store)
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self.batcher: Batcher[PopRequest] = Batcher(
            "pop",
            self._flush,
            flushes_max=settings.pop_flushes_max,
            weight_max=_REQUESTS_PER_FLUSH_MAX,
            bytes_max=settings.pop_batch_max,  # an entry's size is the number of messages it asks for
            merge=False,
        )

    async def pop(self, request: PopRequest, wait_until: float | None, on_park: Callable[[PopRequest], None]) -> None:
        """Look until there is something, or the time is up (loop time; None: do not wait).

        Empty `spans` afterwards mean: nothing. `on_park` is told each time the request begins to wait. Raises what the
        store raises, and Overloaded when too many wait.
        """
        self._counters.pop_requests += 1
        self._tallies.begin_pop(request)
        request.size = request.batch
        try:
            while True:
                if self.paused:
                    if wait_until is None or self._is_over(request, wait_until):
                        break
                    _wait(request, on_park)
                    if not await self._park(request, wait_until):
                        break
                    continue
                if wait_until is not None and request.fills():
                    await self._fill.wait(
                        request, wait_until, lambda: self._is_over(request, wait_until), lambda: _wait(request, on_park)
                    )
                await self._look(request)
                if request.spans or wait_until is None or self._is_over(request, wait_until):
                    break
                if request.has_hints():
                    await asyncio.sleep(_LOCKED_RETRY_S)  # There are more hints than one round of looks takes.
                    continue
                _wait(request, on_park)
                if not await self._park(request, wait_until):
                    break
            if request.acks_itself or _has_sealed(request):
                await self._opener.open(request)
        except asyncio.CancelledError:
            request.gone = True
            await self._hand_back(request)
            raise
        if request.gone:
            await self._hand_back(request)  # The client left after the lease was given, and before the answer.
        self._count(request)

    def leave(self, request: PopRequest) -> None:
        """The client has gone: take no lease for this request any more."""
        request.gone = True
        if request.waiter is not None:
            request.waiter.wake(False)

    async def undelivered(self, request: PopRequest) -> None:
        """The client did not read its answer to the end: the lease goes back, without a charge."""
        request.gone = True
        await self._hand_back(request)

    def _weigh(self, request: PopRequest) -> None:
        """Large messages are expected: fewer partitions a flush, so that it brings no more than memory takes."""
        partitions = min(request.partitions, self._partitions_max)
        request.weight = max(1, _REQUESTS_PER_FLUSH_MAX * partitions // self._partitions_max)

    def drain(self) -> None:
        """The server stops: no poll begins to wait any more."""
        self._draining = True

    def _is_over(self, request: PopRequest, wait_until: float) -> bool:
        """Is there no point in waiting for anything?"""
        if request.gone or self._draining or self._loop.time() >= wait_until:
            return True
        return any([ready.closed for ready in request.sets])

    async def _look(self, request: PopRequest) -> None:
        """Try while there are candidates; each try is at most one store call."""
        for _ in range(_LOOKS_MAX):
            if not request.has_hints() or request.gone or self.paused:
                return
            if self._memory.answers:
                self._memory.admit_pop()
            if self._partitions_max < _REQUESTS_PER_FLUSH_MAX:
                self._weigh(request)
            request.done = self._loop.create_future()
            self.batcher.submit(request)
            await request.done
            if request.spans:
                return

    async def _park(self, request: PopRequest, wait_until: float) -> bool:
        """Wait; True: look again. False: the time is up, or the client has gone."""
        self._limits.admit_poll()
        # One that was woken and found nothing keeps its turn.
        waiter = request.waiter = Waiter(request.sets, request.only, first=request.woken)
        timer = self._timers.add(wait_until, waiter)
        try:
            request.woken = await waiter.future
            return request.woken
        finally:
            self._timers.remove(timer, waiter)
            waiter.leave()
            request.waiter = None
            self._limits.release_poll()
            if request.gone:
                for ready in request.sets:
                    ready.nudge()

    async def _hand_back(self, request: PopRequest) -> None:
        """The caller left while a call was on its way: what it brought goes back at once."""
        for ready in request.sets:
            ready.nudge()
        if request.spans and not request.auto_ack:
            await asyncio.shield(self._give_back(request))

    def _count(self, request: PopRequest) -> None:
        delivered = self._tallies.count_pop(request)
        self._counters.pop_messages += delivered
        if not delivered:
            self._counters.pop_empty += 1

    async def _flush(self, requests: list[PopRequest]) -> Collection[Hashable]:
        began_at = self._loop.time()
        candidates = self._candidates(requests)
        self._partitions_max = self._memory.partitions_per_call(self._bytes_max)
        try:
            missed: list[Candidate] = []
            for epoch, group in by_epoch(candidates).items():
                missed += await self._lease(epoch, group)
            if missed:
                await self._sort_out(missed)
        except BaseException:
            for candidate in candidates:
                if not candidate.leased:
                    candidate.ready.free(candidate.partition, more=True)
            # What was leased before the failure is delivered; the others fail.
            self._conclude([request for request in requests if request.spans])
            raise
        self._conclude(requests)
        self._gather(requests, began_at)
        for ready in {id(ready): ready for request in requests for ready in request.sets}.values():
            ready.nudge()
        return ()

    def _gather(self, requests: list[PopRequest], began_at: float) -> None:
        """Consumers that keep up with the producers get more at a time when they look less often: then pops and acks
        leave the database to the pushes. Where there is a backlog, and while there is little load, nothing waits."""
        wanted = sum([request.batch for request in requests])
        if self._gather_s and 2 * sum([_messages(request) for request in requests]) < wanted:
            self.batcher.hold_until(began_at + self._gather_s)

    def _conclude(self, requests: list[PopRequest]) -> None:
        """End the look of these requests; what came for nobody goes back."""
        for request in requests:
            if request.spans and not request.auto_ack and (request.gone or request.done.done()):
                self._spawn(self._give_back(request))
            request.settle()

    def _candidates(self, requests: list[PopRequest]) -> list[Candidate]:
        found = []
        for request in requests:
            if request.gone or request.done.done() or self.paused:
                continue
            found_now = request.take(self._partitions_max)
            if request.auto_ack and any([ready.queue.encrypted for ready, _ in found_now]):
                request.auto_ack, request.acks_itself = False, True
            taken = of_one_epoch([Candidate(request, ready, partition) for ready, partition in found_now])
            if taken and not request.auto_ack:
                request.lease_id = model.new_lease_id(taken[0].partition.id if len(taken) == 1 else 0)
            found += taken
        return found

    async def _lease(self, epoch: int, candidates: list[Candidate]) -> list[Candidate]:
        """One store call; returns the candidates that got nothing."""
        batch = batch_of(candidates, self._bytes_max)
        spans = await self._store.pop(epoch, batch)
        missed = set(range(len(candidates)))
        leases: dict[str, Lease] = {}
        for span in spans:
            missed.discard(span.place - 1)
            if span.held_ms is not None:
                self._hold_back(candidates[span.place - 1], span, batch)
                continue
            self._take_span(candidates[span.place - 1], span, leases)
        for lease in leases.values():
            self._leases.add(lease)
        for candidate in candidates:
            if candidate.leased and candidate.outdated:
                # The seek may have ended this very lease: do not count on it, look.
                self._leases.hold(candidate.ready, candidate.partition, _LOCKED_RETRY_S)
        return [candidates[place] for place in sorted(missed)]

    def _hold_back(self, candidate: Candidate, span: Span, batch: PopBatch) -> None:
        """Its first message is too young; unless that changed while we asked, wait until it is not."""
        ready, partition = candidate.ready, candidate.partition
        assert span.held_ms is not None, "the span is of a partition held back"
        partition.head = max(partition.head, span.head)
        queue, place = partition.queue, span.place - 1
        asked = tuple((given[place] or 0) if given else 0 for given in (batch.delays_ms, batch.windows_ms))
        if asked == (queue.delay_ms, queue.window_ms) and not candidate.outdated:
            self._leases.hold_back(ready, partition, span.held_ms)
        else:
            ready.free(partition, more=True)

    def _take_span(self, candidate: Candidate, span: Span, leases: dict[str, Lease]) -> None:
        request, ready, partition = candidate.request, candidate.ready, candidate.partition
        candidate.leased = True
        if ready.locked:
            ready.locked.pop(partition.id, None)
        request.spans.append((partition, span))
        partition.head = max(partition.head, span.head)
        leased = LeasedSpan(ready, partition, span)
        if request.auto_ack:
            ready.free(partition, more=leased.last_offset + 1 < partition.head, acked=leased.last_offset)
            return
        lease = leases.get(request.lease_id)
        if lease is None:
            until = self._loop.time() + lease_ms_of(candidate) / 1000
            lease = leases[request.lease_id] = Lease(request.lease_id, request.group, until)
        lease.spans[partition.id] = leased

    async def _sort_out(self, missed: list[Candidate]) -> None:
        """Find out why candidates got nothing, and put each hint where it belongs."""
        ids = [candidate.partition.id for candidate in missed]
        groups = [candidate.ready.group_bytes for candidate in missed]
        for candidate in missed:
            candidate.ready.begin_read()
        try:
            await self._place(missed, await self._store.examine(ids, groups))
        finally:
            for candidate in missed:
                candidate.ready.end_read()

    async def _place(self, missed: list[Candidate], standings: list[Standing]) -> None:
        unopened: list[Candidate] = []
        stuck: list[Candidate] = []
        empty: list[Candidate] = []
        # Where they were looked for; read before anything is learnt of newer epochs.
        asked = [candidate.epoch for candidate in missed]
        for candidate, epoch, standing in zip(missed, asked, standings, strict=True):
            ready, partition = candidate.ready, candidate.partition
            partition.head = max(partition.head, standing.head or 0)
            partition.epoch = max(partition.epoch, standing.newest or 0)
            if not standing.found:
                self._catalog.forget_partition(partition)
            elif standing.acked is None:
                unopened.append(candidate)
            elif standing.held_ms is not None:
                self._leases.hold_elsewhere(ready, partition, standing.held_ms)
            elif standing.acked + 1 >= partition.head:
                ready.free(partition, more=False)
            elif standing.epoch is not None and standing.epoch != epoch:
                ready.epochs[partition.id] = standing.epoch
                ready.free(partition, more=True)
            elif standing.epoch is not None and standing.epoch < partition.epoch:
                stuck.append(candidate)
            elif candidate.request.spans:
                # The request's limit was used up by its other candidates.
                ready.free(partition, more=True)
            elif self._seems_locked(candidate):
                self._leases.hold(ready, partition, _LOCKED_RETRY_S)
            else:
                empty.append(candidate)
        await self._open(unopened)
        await self._move_on(stuck)
        await self._skip(empty)

    def _seems_locked(self, candidate: Candidate) -> bool:
        """Locked by another call a moment ago; not if that is so again and again, for then the message is not there."""
        locked, number = candidate.ready.locked, candidate.partition.id
        locked[number] = locked.get(number, 0) + 1
        return locked[number] < _LOCKED_IN_A_ROW

    async def _skip(self, candidates: list[Candidate]) -> None:
        """What should be there may have been deleted: go on behind it."""
        if candidates:
            for candidate in candidates:
                candidate.ready.locked.pop(candidate.partition.id, None)
            await self._store.skip_gaps([c.partition.id for c in candidates], [c.ready.group_bytes for c in candidates])
            for candidate in candidates:
                self._leases.hold(candidate.ready, candidate.partition, _LOCKED_RETRY_S)

    async def _open(self, candidates: list[Candidate]) -> None:
        if candidates:
            await self._store.open_cursors(
                [c.partition.id for c in candidates], [c.ready.group_bytes for c in candidates]
            )
            for candidate in candidates:
                candidate.ready.free(candidate.partition, more=True)

    async def _move_on(self, candidates: list[Candidate]) -> None:
        """Their epoch holds nothing more for them: go on in the next one."""
        if candidates:
            await self._store.next_epoch(
                [c.partition.id for c in candidates], [c.ready.group_bytes for c in candidates]
            )
            for candidate in candidates:
                candidate.ready.epochs.pop(candidate.partition.id, None)
                candidate.ready.free(candidate.partition, more=True)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _wait(request: PopRequest, on_park: Callable[[PopRequest], None]) -> None:
    request.parked = True
    on_park(request)


def _messages(request: PopRequest) -> int:
    return sum([len(span.payloads) for _, span in request.spans])


def _has_sealed(request: PopRequest) -> bool:
    for _, span in request.spans:
        if has_sealed(span.payloads):
            return True
    return False
