"""Rules of the in-memory store as functions: the shape of batches, how far a cursor goes, what a span carries."""

from __future__ import annotations

import itertools
import json
import uuid
from collections import Counter
from collections.abc import Iterable
from typing import Any

from queen import errors, model
from queen.store.base import Acked, AckRow, Fill, Placed, PopBatch, PushBatch, Span, Standing, Stored
from tests.support.memory_rows import CursorState, MessageState, PartitionState, QueueState


def parts(batch: PushBatch) -> dict[int, list[int]]:
    """The messages of each partition, after a check of the shape that push.sql asks for."""
    ids = batch.partition_ids
    assert ids == sorted(set(ids)), "partition ids ascend and are distinct"
    assert batch.places == [n for n, count in enumerate(batch.counts, 1) for _ in range(count)], "places follow counts"
    assert len(batch.transaction_ids) == len(batch.payloads) == len(batch.places), "one entry per message"
    for text in (*batch.transaction_ids, *batch.payloads):
        check_text(text)
    places = itertools.count()
    return {number: [next(places) for _ in range(count)] for number, count in zip(ids, batch.counts, strict=True)}


def within(messages: list[MessageState], bytes_max: int) -> list[MessageState]:
    """The messages up to the one whose payload reaches the bound."""
    before = itertools.accumulate((len(message.payload) for message in messages), initial=0)
    return [message for message, size in zip(messages, before, strict=False) if size < bytes_max]


def check_text(text: bytes) -> None:
    try:
        text.decode()
    except UnicodeDecodeError:
        raise errors.InvalidRequest("PostgreSQL cannot store this: invalid byte sequence") from None
    if b"\x00" in text:
        raise errors.InvalidRequest("PostgreSQL cannot store this: a NUL byte")


def check_order(rows: list[AckRow]) -> None:
    keys = [(row.partition_id, row.group) for row in rows]
    assert keys == sorted(set(keys)), "rows ascend by partition and group, one of each"


def base(acked: int, completed: int | None, signal: int | None) -> int:
    """How far the cursor goes: to the highest completed, but not to what was given back or failed."""
    if completed is None:
        return acked
    return max(acked, signal - 1 if signal is not None and completed > signal else completed)


def move(place: int, cursor: CursorState, row: AckRow) -> Acked:
    was = cursor.acked
    cursor.acked = base(was, row.completed, row.retried)
    over = cursor.acked >= cursor.lease_end
    if over or row.retried is not None:
        cursor.lease_id = cursor.lease_until = None
    if over:
        cursor.deliveries = cursor.retries = 0
    return Acked(place, was, cursor.acked, cursor.lease_id is None)


def ms_left(cursor: CursorState, now: int) -> int | None:
    return -(-(cursor.lease_until - now) // 1000) if cursor.lease_until and cursor.lease_until > now else None


def due_us(due: model.Due | None, now: int) -> int | None:
    """When a message takes its place in the order; None for at once, also when the time has passed."""
    if due is None:
        return None
    at = due.at_us if due.at_us is not None else now + (due.delay_ms or 0) * 1000
    return at if at > now else None


def place_due(partitions: dict[int, PartitionState], locked: set[int], now: int, limit: int, bytes_max: int) -> Placed:
    """Move scheduled messages that are due to the end of their partitions."""
    waiting = [(one.due_us, -one.offset, one, p) for p in partitions.values() for one in p.scheduled if one.due_us]
    waiting.sort(key=lambda entry: entry[:2])
    due = [(one, p) for due_us, _, one, p in waiting if due_us <= now]
    blocked = {p.id for _, p in due[:limit]} & locked
    free = [(one, p) for one, p in due if p.id not in blocked][:limit]
    before = itertools.accumulate((len(one.payload) for one, _ in free), initial=0)
    moved = [pair for pair, size in zip(free, before, strict=False) if size < bytes_max]
    for one, partition in moved:
        partition.place(one, now)
    left = [one.due_us for _, _, one, p in waiting if one.due_us is not None and p.id not in blocked]
    heads = {p.id: p.next_offset for _, p in sorted(moved, key=lambda pair: pair[1].id)}
    due_ms = -(-(min(left) - now) // 1000) if left else None
    return Placed(tuple(heads), tuple(heads.values()), len(moved), tuple(sorted(blocked)), due_ms)


def aged(messages: list[MessageState], delay_ms: int | None, now: int) -> list[MessageState]:
    """The first message, and those after it that are at least the delay old."""
    if delay_ms is None:
        return messages
    old = itertools.takewhile(lambda message: message.created_us <= now - delay_ms * 1000, messages[1:])
    return [*messages[:1], *old]


def held_span(
    place: int, partition: PartitionState, found: list[MessageState], batch: PopBatch, now: int
) -> Span | None:
    """What a pop answers when its first message is too young; None when it is not."""
    held_ms = max((given[place] or 0) if given else 0 for given in (batch.delays_ms, batch.windows_ms))
    if not found or not held_ms:
        return None
    left_us = found[0].created_us + held_ms * 1000 - now
    if left_us <= 0:
        return None
    return Span(place + 1, -1, None, 0, partition.next_offset, [], [], (), None, -(-left_us // 1000))


def extras(partition: PartitionState, messages: list[MessageState]) -> str | None:
    rows: list[list[Any]] = [
        [
            message.offset,
            str(uuid.UUID(bytes=message.trace_id)) if message.trace_id else None,
            message.producer_sub.decode() if message.producer_sub else None,
            model.encode_id(model.MESSAGE, partition.id, message.announced) if message.announced is not None else None,
        ]
        for message in messages
        if message.trace_id or message.producer_sub or message.announced is not None
    ]
    return json.dumps(rows) if rows else None


def foreign_duplicate(batch: PushBatch, stored: list[Stored]) -> int | None:
    """The first message whose transaction id was stored before this call; a repetition within it is none."""
    rows = list(zip(batch.places, stored, strict=True))
    fresh = {(place, row.offset) for place, row in rows if not row.duplicate}
    return next((n for n, (place, row) in enumerate(rows) if row.duplicate and (place, row.offset) not in fresh), None)


def fills(
    partitions: dict[int, PartitionState],
    cursors: dict[tuple[int, bytes], CursorState],
    subscriptions: Iterable[tuple[int, str]],
    afters: dict[int, int],
    limit: int,
    now: int,
) -> list[Fill]:
    """As undelivered.sql: what a page of each queue holds, and what of it each group does not wait for."""
    found: list[Fill] = []
    for queue_id, after in afters.items():
        page = [one for number, one in sorted(partitions.items()) if one.queue.id == queue_id and number > after][
            :limit
        ]
        if not page:
            continue
        kept = sum(one.next_offset - one.first_offset for one in page)
        found.append(Fill(queue_id, None, kept, page[-1].id if len(page) == limit else None))
        groups: dict[str, int] = {}
        for one in page:
            for (number, group), cursor in cursors.items():
                if number == one.id:
                    leased = cursor.lease_end if cursor.lease_id is not None and cursor.held(now) else -1
                    passed = max(cursor.acked, leased) - one.first_offset + 1
                    groups[group.decode()] = groups.get(group.decode(), 0) + max(passed, 0)
        found += [Fill(queue_id, group, messages, None) for group, messages in groups.items()]
    return found + [Fill(queue_id, group, 0, None) for queue_id, group in subscriptions if queue_id in afters]


def queues_like(
    queues: dict[str, QueueState], name: str | None, namespace: str | None, task: str | None, search: str | None
) -> list[QueueState]:
    """As find_queues.sql, without a page."""
    return [
        queue
        for queue in sorted(queues.values(), key=lambda queue: queue.name.encode())
        if name in (None, queue.name)
        and namespace in (None, queue.namespace)
        and task in (None, queue.task)
        and (search is None or search.lower() in queue.name.lower())
    ]


def skip_gap(cursor: CursorState | None, partition: PartitionState | None, now: int) -> bool:
    """Move a cursor that is not held past places where no message is stored; whether it moved."""
    if cursor is None or partition is None or cursor.held(now):
        return False
    behind = partition.after(cursor.acked, 1)
    following = behind[0].offset if behind else partition.next_offset
    if following == cursor.acked + 1:
        return False
    cursor.acked = cursor.lease_end = following - 1
    cursor.lease_id = cursor.lease_until = None
    cursor.deliveries = cursor.retries = 0
    return True


Leases = dict[bytes, tuple[list[int], int]]
"""What is written down of leases over several partitions: these, and when."""


def write_leases(leases: Leases, batch: PopBatch, now: int) -> None:
    """Write down the leases of a batch that stand for several candidates."""
    for lease_id, count in Counter(batch.lease_ids).items():
        if lease_id is None or count == 1:
            continue
        if lease_id in leases:
            raise errors.DuplicateTransaction("a lease id is stored already")
        numbers = [n for n, own in zip(batch.partition_ids, batch.lease_ids, strict=True) if own == lease_id]
        leases[lease_id] = (numbers, now)


def forget_leases(leases: Leases, cursors: Iterable[CursorState], now: int, older_than_s: int) -> int:
    """Remove what is written down of dead leases, a thousand at most."""
    live = {cursor.lease_id for cursor in cursors if cursor.held(now)}
    old = [key for key, row in leases.items() if row[1] < now - older_than_s * 1_000_000 and key not in live]
    for key in old[:1000]:
        del leases[key]
    return len(old[:1000])


def standing(partition: PartitionState | None, cursor: CursorState | None, now: int) -> Standing:
    """As a row of examine.sql."""
    if partition is None:
        return Standing(False, None, None, None, None, None, None)  # type: ignore[arg-type]
    if cursor is None:
        return Standing(True, None, partition.next_offset, None, None, None, None)
    held = cursor.held(now)
    return Standing(
        True,
        cursor.acked,
        partition.next_offset,
        partition.epoch,
        uuid.UUID(bytes=cursor.lease_id) if held and cursor.lease_id else None,
        cursor.lease_end,
        ms_left(cursor, now),
    )
