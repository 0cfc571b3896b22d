"""Transactions: pushes and acks that happen together or not at all, in one call to the database.

    operations → messages, sorted by partition │ acks, one row per cursor → `transact` → one result per operation

The rules are those of push and ack; what is an error of one item there refuses the whole transaction here. It goes
past the batchers: PostgreSQL's row locks keep it apart from flushes, and a deadlock among bundles is tried again.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from queen import errors
from queen.engine.ack import UNRESOLVABLE, Ack, AckGroup, AckResult
from queen.engine.catalog import Catalog, Partition, Queue
from queen.engine.guard import Guard
from queen.engine.limits import Limits
from queen.engine.push import assemble
from queen.engine.room import Room
from queen.engine.stats import Stats
from queen.model import AckItem, NewMessage
from queen.store.base import Acked, PushBatch, Store, Stored, Transacted

_ATTEMPTS_MAX = 4
_CONTENTION_PAUSE_S = 0.05


class AckOperation(NamedTuple):
    """An ack inside a transaction, with its group."""

    group: str
    item: AckItem


class Pushed(NamedTuple):
    """What became of one message of a transaction."""

    message: NewMessage
    partition: Partition
    stored: Stored


Operation = NewMessage | AckOperation
Result = Pushed | AckResult


class Transaction:
    """The transact verb of the engine."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        ack: Ack,
        limits: Limits,
        stats: Stats,
        on_due: Callable[[int], None],
        guard: Guard,
    ) -> None:
        """`on_due` is told of scheduled messages that were stored: in how many ms each is due."""
        self._on_due = on_due
        self._guard = guard
        self._store = store
        self._catalog = catalog
        self._ack = ack
        self._limits = limits
        self._counters = stats.counters
        self._tallies = stats.tallies

    async def transact(self, operations: list[Operation], required_leases: list[str]) -> list[Result]:
        """Carry out all operations, in one commit; one result each, in order.

        Raises TransactionRefused: nothing happened. Raises what the store raises: it may or may not have happened.
        """
        for attempt in range(_ATTEMPTS_MAX):
            try:
                return await self._try(operations, required_leases)
            except errors.Contention:
                await asyncio.sleep(random.uniform(0, _CONTENTION_PAUSE_S))
            except errors.TransactionRefused as error:
                if error.reason != "gone" or attempt == _ATTEMPTS_MAX - 1:
                    raise
                self._forget(operations)
        raise errors.Contention("the transaction met other ones on the same partitions again and again")

    async def _try(self, operations: list[Operation], required_leases: list[str]) -> list[Result]:
        messages = [operation for operation in operations if isinstance(operation, NewMessage)]
        order, batch = await self._messages(messages)
        groups = await self._groups(operations, required_leases)
        if not any(partition.queue.guarded for _, partition in order):
            return await self._carry_out(operations, messages, order, batch, groups)
        wanted = Counter(partition.queue for _, partition in order if partition.queue.room is not None)
        taken = await self._guard.take(wanted)
        stored: Counter[Room] = Counter()
        try:
            results = await self._carry_out(operations, messages, order, batch, groups)
            for result in results:
                room = result.partition.queue.room if isinstance(result, Pushed) else None
                if room is not None and isinstance(result, Pushed) and not result.stored.duplicate:
                    stored[room] += 1
            return results
        finally:
            self._guard.give_back(taken, stored)

    async def _carry_out(
        self,
        operations: list[Operation],
        messages: list[NewMessage],
        order: list[tuple[int, Partition]],
        batch: PushBatch | None,
        groups: list[AckGroup],
    ) -> list[Result]:
        plain = [group for group in groups if not group.has_failures()]
        failures = [group for group in groups if group.has_failures()]
        try:
            done = await self._store.transact(
                batch, [group.reduced() for group in plain], [group.reduced() for group in failures]
            )
        except errors.TransactionRefused as error:
            raise _explained(error, [messages[position] for position, _ in order]) from error
        self._learn(plain, done.acked)
        self._learn(failures, done.failed)
        self._count([partition.queue for _, partition in order], groups)
        pushed = self._pushed(messages, order, done)
        return _in_order(operations, pushed, _ack_results(groups, self._catalog))

    def _count(self, pushed_to: list[Queue], groups: list[AckGroup]) -> None:
        """Count the transaction once for each of its queues, and its acks; messages are counted where they are told."""
        tallies = self._tallies
        tallies.total.transactions += 1
        found = [(group, self._catalog.by_id(group.partition_id)) for group in groups]
        mark = tallies.next_mark()
        for queue in {*pushed_to, *(partition.queue for _, partition in found if partition is not None)}:
            tally = queue.tally or tallies.of(queue)
            tally.transactions += 1
            tally.mark = mark  # So that its acks are no requests of their own.
        for group, partition in found:
            assert group.outcome is not None, "every ack of a committed transaction has an outcome"
            told = group.results(group.outcome, partition)
            tallies.count_acks(partition.queue if partition is not None else None, group, told, mark)

    async def _messages(self, messages: list[NewMessage]) -> tuple[list[tuple[int, Partition]], PushBatch | None]:
        """The messages as the arrays of one call; and, in that order, their positions and partitions."""
        if not messages:
            return [], None
        self._limits.check_payload(max(len(message.payload) for message in messages))
        await self._catalog.ensure_partitions((message.queue, message.partition) for message in messages)
        placed = []
        for position, message in enumerate(messages):
            placed.append((position, await self._catalog.ensure_partition(message.queue, message.partition)))
        placed.sort(key=lambda pair: pair[1].id)
        return placed, assemble(
            [(partition.id, self._as_stored(messages[place], partition)) for place, partition in placed]
        )

    def _as_stored(self, message: NewMessage, partition: Partition) -> NewMessage:
        return self._guard.sealed(message, partition) if partition.queue.encrypted else message

    async def _groups(self, operations: list[Operation], required_leases: list[str]) -> list[AckGroup]:
        """The acks by cursor, in the order of the locks. Raises TransactionRefused for one that cannot be."""
        groups: dict[tuple[int, str], AckGroup] = {}
        for position, operation in enumerate(operations):
            if isinstance(operation, NewMessage):
                continue
            item = operation.item
            if item.partition_id is None:
                raise errors.TransactionRefused("invalid partitionId; rolled back", reason="ack_rejected")
            group = groups.get((item.partition_id, operation.group))
            if group is None:
                group = AckGroup(item.partition_id, operation.group, item.lease_id)
                groups[item.partition_id, operation.group] = group
            elif item.lease_id is not None:
                if group.lease_id not in (None, item.lease_id):
                    raise errors.TransactionRefused(
                        "two leases on one partition and group; rolled back", reason="ack_rejected"
                    )
                group.lease_id = item.lease_id
            group.add(position, item)
        for (_, name), group in groups.items():
            await self._prepare(name, group, required_leases)
        return [group for _, group in sorted(groups.items())]

    async def _prepare(self, name: str, group: AckGroup, required_leases: list[str]) -> None:
        if group.lease_id is None and required_leases:
            group.lease_id = await self._ack.live_lease(name, group.partition_id, required_leases)
        refusal = await self._ack.prepare(name, group)
        if refusal is None and None in group.offsets:
            refusal = UNRESOLVABLE
        if refusal is not None:
            raise errors.TransactionRefused(f"{refusal}; rolled back", reason="ack_rejected")
        group.reduce(-1)

    def _learn(self, groups: list[AckGroup], outcomes: list[Acked]) -> None:
        for outcome in outcomes:
            group = groups[outcome.place - 1]
            group.outcome = outcome
            self._ack.learn(group, outcome)
            self._counters.ack_messages += len(group.items)

    def _pushed(
        self, messages: list[NewMessage], order: list[tuple[int, Partition]], done: Transacted
    ) -> dict[int, Pushed]:
        found = {}
        for (position, partition), stored in zip(order, done.pushed, strict=True):
            found[position] = Pushed(messages[position], partition, stored)
            if not stored.duplicate and stored.offset is not None:
                self._counters.push_messages += 1
                queue = partition.queue
                (queue.tally or self._tallies.of(queue)).push_messages += 1
                if stored.offset >= 0:
                    partition.stored(stored.offset)
            if stored.due_ms is not None:
                self._counters.push_scheduled += 1
                self._on_due(stored.due_ms)
        return found

    def _forget(self, operations: list[Operation]) -> None:
        """A queue was deleted meanwhile: ask for its ids again."""
        for operation in operations:
            if isinstance(operation, NewMessage):
                self._catalog.forget_queue(operation.queue)


def _in_order(operations: list[Operation], pushed: dict[int, Pushed], acked: dict[int, AckResult]) -> list[Result]:
    results: list[Result] = []
    messages = 0
    for position, operation in enumerate(operations):
        if isinstance(operation, NewMessage):
            results.append(pushed[messages])
            messages += 1
        else:
            results.append(acked[position])
    return results


def _ack_results(groups: list[AckGroup], catalog: Catalog) -> dict[int, AckResult]:
    results: dict[int, AckResult] = {}
    for group in groups:
        assert group.outcome is not None, "every ack of a committed transaction has an outcome"
        found = group.results(group.outcome, catalog.by_id(group.partition_id))
        results.update(zip(group.positions, found, strict=True))
    return results


def _explained(error: errors.TransactionRefused, ordered: list[NewMessage]) -> errors.TransactionRefused:
    """The refusal in the words of the caller; `ordered` are the messages as the database got them."""
    if error.reason == "duplicate" and error.position is not None:
        message = ordered[error.position]
        text = message.transaction_id.decode()
        return errors.TransactionRefused(
            f"duplicate transactionId {text} in {message.queue}/{message.partition}; rolled back", reason="duplicate"
        )
    if error.reason == "ack_rejected":
        return errors.TransactionRefused(
            "an ack was rejected: invalid or expired lease, or already committed; rolled back", reason="ack_rejected"
        )
    return error
