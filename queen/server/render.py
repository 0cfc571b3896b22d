"""Queues, partitions and their numbers as answers show them, in the words of http-api.md §5.3 and §8.3.

Long lists are made of plain values and encoded at once: as models they would be checked field by field on the event
loop, which costs more than reading them. Tests hold them to the shapes that the routes declare.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from fastapi import Response

from queen import errors, model, wire
from queen.server.context import Context
from queen.store.admin.queues import QueueEntry
from queen.store.admin.statistics import GroupNumbers, PartitionNumbers, QueueNumbers, age_s
from queen.store.base import QueueRow

MORE = {"Queen-More": "true"}


def answer(content: dict[str, Any] | list[dict[str, Any]], *, more: bool = False) -> Response:
    """A 200; `more`: there are further pages."""
    return Response(wire.encode(content), media_type="application/json", headers=MORE if more else None)


def stats_age(here: Context, numbers: Iterable[QueueNumbers | GroupNumbers]) -> float:
    """Seconds since the oldest of these numbers was computed. Kept ones are made anew soon: somebody asks for them."""
    age = age_s(numbers)
    if age:
        asked(here)
    return age


def asked(here: Context) -> None:
    """Kept numbers were shown."""
    if here.engine.statistics is not None:
        here.engine.statistics.asked()


async def find_queue(here: Context, name: str) -> QueueRow:
    """The queue of this name. Raises NotFound."""
    rows = await here.engine.store.find_queues(name=name, limit=1)
    if not rows:
        raise errors.NotFound("Queue not found", hint="GET /api/v1/resources/queues lists the queues")
    return rows[0]


def time_text(at: datetime | None) -> str | None:
    """A time, or null."""
    return wire.datetime_text(at) if at is not None else None


def head(row: QueueRow | QueueEntry) -> dict[str, Any]:
    """What a queue is."""
    return {
        "id": model.encode_id(model.QUEUE, row.queue_id),
        "name": row.name,
        "namespace": row.namespace,
        "task": row.task,
        "createdAt": time_text(row.created_at),
    }


def counts(numbers: QueueNumbers | PartitionNumbers | None) -> dict[str, Any]:
    """Messages in three numbers; None: there are none."""
    if numbers is None:
        return {"total": 0, "pending": 0, "processing": 0}
    return {"total": numbers.total, "pending": numbers.pending, "processing": numbers.processing}


def status_counts(numbers: QueueNumbers | PartitionNumbers | None) -> dict[str, Any]:
    """The same with what is done, and dead letters."""
    if numbers is None:
        return {**counts(None), "completed": 0, "deadLetter": 0}
    return {**counts(numbers), "completed": numbers.total - numbers.pending, "deadLetter": numbers.dead_letters}


def totals(numbers: QueueNumbers | PartitionNumbers | None) -> dict[str, Any]:
    """The same with a `failed` that nobody measures."""
    return {**status_counts(numbers), "failed": None}
