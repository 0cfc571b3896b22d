"""Totals of messages for the status page, from numbers that are kept or counted at once where there is little."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from queen.server import render
from queen.server.context import Context
from queen.store.activity import ALL_QUEUES


class Totals(NamedTuple):
    """Sums over some queues. `age_s`: since they were computed; -1: they are not known, and the others are None."""

    queues: int | None = None
    total: int | None = None
    pending: int | None = None
    processing: int | None = None
    dead_letters: int | None = None
    age_s: float = -1.0


async def totals(here: Context, queue_ids: Iterable[int]) -> Totals:
    """Of these queues; ALL_QUEUES among them: of all there are."""
    ids = list(queue_ids)
    if ALL_QUEUES in ids:
        found = await here.admin.statistics.overview(lags=False)
        if found.stats_age:
            render.asked(here)
        age_s = round(found.stats_age, 3)
        return Totals(found.queues, found.total, found.pending, found.processing, found.dead_letters, age_s)
    rows = (await here.admin.statistics.queue_numbers(ids)).values()
    return Totals(
        len(ids),
        sum(row.total for row in rows),
        sum(row.pending for row in rows),
        sum(row.processing for row in rows),
        sum(row.dead_letters for row in rows),
        render.stats_age(here, rows),
    )
