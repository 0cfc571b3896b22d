"""Totals of messages for the status page. The one place that knows where they come from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from queen.server.context import Context
from queen.store.activity import ALL_QUEUES


class Totals(NamedTuple):
    """Sums over some queues. `age_s`: since they were computed; -1: they never were, and the others are None."""

    queues: int | None = None
    total: int | None = None
    pending: int | None = None
    processing: int | None = None
    dead_letters: int | None = None
    age_s: float = -1.0


async def totals(here: Context, queue_ids: Iterable[int]) -> Totals:
    """Of these queues, counted now. Over all queues nothing is kept yet, and counting them would be a scan."""
    ids = list(queue_ids)
    if ALL_QUEUES in ids:
        return Totals()
    rows = (await here.admin.queues.queue_stats(ids)).values()
    return Totals(
        len(ids),
        sum(row.total for row in rows),
        sum(row.pending for row in rows),
        sum(row.processing for row in rows),
        sum(row.dead_letters for row in rows),
        0.0,
    )
