"""Replay of dead letters: one, or many at a rate. Each is pushed again and its record removed, in one transaction.

The new message's transaction id is made of the record's id, so that nothing is stored twice by replays that meet.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import msgspec

from queen import errors, model, wire
from queen.engine.catalog import Partition
from queen.server.context import Context, read_time
from queen.server.patience import patiently
from queen.store.admin.dead_letters import Moved, Selection

BATCH_MAX, BATCH_BYTES_MAX = 100, 8 << 20
"""Most records, and payload, that one transaction moves."""
LOOKS_PER_STEP = 1_000
REPLAY_MAX = 1_000_000
RATE_MIN, RATE_MAX = 0.01, 100_000.0
PREVIEW_FIRST, PREVIEW_BYTES_MAX = 10, 1 << 20
PREVIEW_LOOKS_MAX, _PREVIEW_STEP = 100_000, 10_000
_TRIES_MAX = 4
_SLICE_S = 0.5
_NO_BYTES_BOUND = (1 << 63) - 1


class ReplayBody(msgspec.Struct):
    """The optional body of a replay of one: where it goes."""

    queue: str | None = None
    partition: str | None = None


class ReplayManyBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a replay of many. Unknown fields are refused: a misspelt filter would move more than was meant."""

    queue: str
    consumerGroup: str | None = None
    partition: str | None = None
    since: str | None = msgspec.field(default=None, name="from")
    to: str | None = None
    error: str | None = None
    limit: int | None = None
    preview: bool = False
    toQueue: str | None = None
    toPartition: str | None = None
    ratePerSecond: float | None = None


class ReplayMany(NamedTuple):
    """A replay of many as it is carried out."""

    selection: Selection
    limit: int
    preview: bool
    to_queue: str | None
    to_partition: str | None
    rate: float | None


class Outcome(NamedTuple):
    """What became of one record, and where it belonged. `queue` and `partition` say where the message is."""

    moved: Moved
    queue: str
    partition: str
    consumer_group: str
    transaction_id: str


_one_decoder = msgspec.json.Decoder(ReplayBody)
_many_decoder = msgspec.json.Decoder(ReplayManyBody)


def read_one(body: bytes) -> ReplayBody:
    """Where a replay of one goes. Raises InvalidRequest."""
    asked: ReplayBody = wire.decode_as(_one_decoder, body) if body.strip() else ReplayBody()
    return ReplayBody(_name("queue", asked.queue), _name("partition", asked.partition))


def read_many(body: bytes) -> ReplayMany:
    """What a replay of many means. Raises InvalidRequest."""
    asked: ReplayManyBody = wire.decode_as(_many_decoder, body)
    limit = REPLAY_MAX if asked.limit is None else asked.limit
    if not 1 <= limit <= REPLAY_MAX:
        raise _invalid(f"limit must be from 1 to {REPLAY_MAX}", "leave it out for all")
    rate = asked.ratePerSecond
    if rate is not None and not RATE_MIN <= rate <= RATE_MAX:
        raise _invalid(
            f"ratePerSecond must be from {RATE_MIN} to {RATE_MAX:.0f}", "leave it out for as fast as it goes"
        )
    selection = Selection(
        wire.check_name("queue", asked.queue, "$.queue"),
        _name("consumerGroup", asked.consumerGroup),
        _name("partition", asked.partition),
        _time(asked.since, "from"),
        _time(asked.to, "to"),
        _name("error", asked.error),
    )
    to_queue, to_partition = _name("toQueue", asked.toQueue), _name("toPartition", asked.toPartition)
    return ReplayMany(selection, limit, asked.preview, to_queue, to_partition, rate)


def _name(field: str, text: str | None) -> str | None:
    return wire.check_name(field, text, f"$.{field}") if text else None


def _time(text: str | None, field: str) -> datetime | None:
    try:
        return read_time(text, field)
    except errors.InvalidRequest as error:
        raise errors.InvalidRequest(error.message.replace("bad query", "bad body"), hint=error.hint) from error


def _invalid(text: str, hint: str) -> errors.InvalidRequest:
    return errors.InvalidRequest(f"bad body: {text}", hint=hint)


def transaction_id(dead_letter_id: int) -> str:
    """The id under which a record is pushed again."""
    return f"dlq:{model.encode_id(model.DEAD_LETTER, dead_letter_id)}"


async def replay(here: Context, dead_letter_id: int, queue: str | None, partition: str | None) -> Outcome | None:
    """Move one record back, to its own partition or another; None when it is gone. Raises what the store raises."""
    for _ in range(_TRIES_MAX):
        row = await here.admin.dead_letters.show(dead_letter_id)
        if row is None:
            return None
        target = await _target(here, queue, partition, row.queue, row.partition)
        moved = await _move(here, [dead_letter_id], target)
        if moved:
            name, place = (target.queue.name, target.name) if target else (row.queue, row.partition)
            return Outcome(moved[0], name, place, row.consumer_group, row.transaction_id)
    return None


async def _target(
    here: Context, queue: str | None, partition: str | None, own_queue: str, own_partition: str
) -> Partition | None:
    """Where messages are redirected to, created when it is missing; None: they go where they came from."""
    place = (queue or own_queue, partition or own_partition)
    if place == (own_queue, own_partition):
        return None
    return await here.engine.catalog.ensure_partition(*place)


async def _move(here: Context, ids: list[int], target: Partition | None) -> list[Moved]:
    """One transaction, and whoever waits for the messages is woken. Empty: look again, something was gone."""
    names = [transaction_id(number) for number in ids]
    call = partial(here.admin.dead_letters.replay, ids, names, target.id if target else None)
    try:
        moved = await patiently(call)
    except errors.TransactionRefused as error:
        if error.reason == "gone" and target is not None:
            here.engine.catalog.forget_queue(target.queue.name)
        return []
    last: dict[int, int] = {}
    for one in moved:
        if not one.duplicate:
            last[one.partition_id] = max(one.offset, last.get(one.partition_id, 0))
    if last:
        await here.engine.stored_aside(last, sum(not one.duplicate for one in moved))
    return moved


class Preview(NamedTuple):
    """What a replay of many would move."""

    matched: int
    complete: bool
    first: list[Any]


async def preview(here: Context, asked: ReplayMany) -> Preview:
    """How many match, of a bounded number that is looked at, and the first of them."""
    store, selection = here.admin.dead_letters, asked.selection
    last = await store.newest(selection.queue)
    if last is None:
        return Preview(0, True, [])
    first = (await store.walk(selection, 0, last, LOOKS_PER_STEP, PREVIEW_BYTES_MAX)).ids[
        : min(PREVIEW_FIRST, asked.limit)
    ]
    matched, after, looked = 0, 0, 0
    while matched < asked.limit and looked < PREVIEW_LOOKS_MAX:
        step = await store.walk(selection, after, last, _PREVIEW_STEP, _NO_BYTES_BOUND)
        matched += len(step.ids)
        looked += _PREVIEW_STEP
        if step.after is None:
            return Preview(min(matched, asked.limit), True, await store.by_id(first))
        after = step.after
    return Preview(min(matched, asked.limit), False, await store.by_id(first))


class Run:
    """A replay of many: oldest first, in batches, at most at the rate. `counts` tell how far it is."""

    def __init__(self, here: Context, asked: ReplayMany, has_left: Callable[[], Awaitable[bool]]) -> None:
        """`has_left` says whether the client has gone."""
        self._here = here
        self._asked = asked
        self._has_left = has_left
        self._began_at = 0.0
        self.replayed = self.duplicates = self.gone = 0
        self.last: int | None = None
        self.complete = False

    @property
    def _seen(self) -> int:
        return self.replayed + self.duplicates + self.gone

    async def batches(self) -> AsyncIterator[None]:
        """Moves batch after batch and yields after each, until all were seen or the limit is reached, or there is no
        point in going on. Records that are stored meanwhile are not taken along."""
        store, asked = self._here.admin.dead_letters, self._asked
        self._began_at = asyncio.get_running_loop().time()
        last = await store.newest(asked.selection.queue)
        after: int | None = 0
        while last is not None and after is not None and self._seen < asked.limit and not self._here.engine.draining:
            step = await store.walk(asked.selection, after, last, LOOKS_PER_STEP, BATCH_BYTES_MAX)
            after = step.after
            for first in range(0, len(step.ids), self._batch):
                found = step.ids[first : first + self._batch]
                ids = found[: asked.limit - self._seen]
                if not ids or not await self._wait_for_turn():
                    return
                await asyncio.shield(self._replay(ids))
                yield
                if len(ids) < len(found):
                    return
        self.complete = after is None or last is None

    @property
    def _batch(self) -> int:
        rate = self._asked.rate
        return BATCH_MAX if rate is None else max(1, min(BATCH_MAX, int(rate / 4)))

    async def _wait_for_turn(self) -> bool:
        """Wait until the rate lets the next batch go. False: the client has left, or the server stops."""
        loop, rate = asyncio.get_running_loop(), self._asked.rate
        due_at = self._began_at + self._seen / rate if rate is not None else 0.0
        while not self._here.engine.draining and not await self._has_left():
            wait_s = due_at - loop.time()
            if wait_s <= 0:
                return True
            await asyncio.sleep(min(wait_s, _SLICE_S))
        return False

    async def _replay(self, ids: list[int]) -> None:
        moved = await self._together(ids)
        if not moved:
            # One of them was taken by somebody else, or each goes to a partition of its own: one by one.
            for number in ids:
                outcome = await replay(self._here, number, self._asked.to_queue, self._asked.to_partition)
                moved += [outcome.moved] if outcome is not None else []
        self._count(ids, moved)

    async def _together(self, ids: list[int]) -> list[Moved]:
        asked = self._asked
        if asked.to_partition is not None:
            queue = asked.to_queue or asked.selection.queue
            target = await self._here.engine.catalog.ensure_partition(queue, asked.to_partition)
            return await _move(self._here, ids, target)
        return await _move(self._here, ids, None) if asked.to_queue is None else []

    def _count(self, ids: list[int], moved: list[Moved]) -> None:
        self.duplicates += sum(one.duplicate for one in moved)
        self.replayed += sum(not one.duplicate for one in moved)
        self.gone += len(ids) - len(moved)
        self.last = ids[-1]
