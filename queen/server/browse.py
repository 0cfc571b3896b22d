"""Search of stored messages, newest first: chooses a way whose cost is bounded by the page.

    a partition, or few enough    ranges of the primary key of each, merged: exact
    a queue, or a few             the index on (queue_id, status) backwards: by place in the tables
    anything else                 the last pages of the tables: by place in the tables
    status dead_letter            the records

The ways by place end after a bounded number of looks; then `ended` is true and older messages may match. It knows what
the store offers, and neither routes nor the words of the answer.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from queen.store.admin.calls import Row
from queen.store.admin.messages import Key, Keys, Messages, Scope

READS_MAX, HALVED_MAX = 10_000, 20
"""Most keys that the exact way reads: partitions times the page. And most partitions in which a time is looked for."""
LOOKS_MAX, PAGES_MAX = 5_000, 1_024
"""Most rows and pages of tables that a search by place looks at."""
_QUEUES_MAX = 16
_SPARE = 100
_GROWTH = 5


class Search(NamedTuple):
    """What is asked for; None matches everything. `since` is inclusive, `until` is not."""

    queue: str | None
    partition: str | None
    namespace: str | None
    task: str | None
    status: str | None
    since: datetime
    until: datetime | None
    limit: int
    offset: int


class Page(NamedTuple):
    """One page, whether there is or may be more, and whether the search ended at its bound before the page was full."""

    rows: list[Row]
    more: bool
    ended: bool


async def search(messages: Messages, asked: Search, bytes_max: int) -> Page:
    """One page of messages. Three short calls, more only where much of what is found is hidden."""
    wanted = asked.offset + asked.limit + 1
    # A derived status may take some away again, those with a dead letter.
    fetched = wanted if asked.status in (None, "scheduled") else 2 * wanted + _SPARE
    partitions_max = max(1, READS_MAX // fetched)
    if asked.until is not None:
        partitions_max = min(partitions_max, HALVED_MAX)
    scope = await messages.scope(asked.queue, asked.partition, asked.namespace, asked.task, partitions_max, _QUEUES_MAX)
    if scope.partition_ids == [] or scope.queue_ids == []:
        return Page([], False, False)
    status = None if asked.status == "scheduled" else asked.status
    by_place = scope.partition_ids is None and asked.status != "dead_letter"
    if by_place and status is not None:
        fetched = LOOKS_MAX + 1  # What a status takes away is known only afterwards.
    while True:
        keys = await _keys(messages, asked, scope, fetched)
        places = list(dict.fromkeys((key.partition_id, key.offset, key.epoch) for key in _newest_first(keys.found)))
        rows = await messages.show(places, status, asked.offset, asked.limit + 1, bytes_max)
        cut = len(keys.found) >= fetched
        if len(rows) > asked.limit or not cut or fetched >= LOOKS_MAX:
            break
        fetched = min(_GROWTH * fetched, LOOKS_MAX)  # Much was hidden, or of queues that are gone.
    fitting = [row for row in rows[: asked.limit] if row.fits]
    more = keys.ended or cut or len(rows) > len(fitting)
    return Page(fitting, more, keys.ended and len(rows) <= asked.limit)


def _newest_first(keys: list[Key]) -> list[Key]:
    return sorted(keys, key=lambda key: (key.created_at, key.partition_id, key.offset), reverse=True)


async def _keys(messages: Messages, asked: Search, scope: Scope, fetched: int) -> Keys:
    since, until, status = asked.since, asked.until, asked.status
    if status == "dead_letter":
        only = scope.partition_ids if asked.partition is not None else None
        partition_id = only[0] if only is not None and len(only) == 1 else None
        names = (asked.namespace, asked.task)
        return await messages.dead(scope.queue_ids, partition_id, *names, since, until, fetched, LOOKS_MAX)
    if scope.partition_ids is not None:
        return await messages.of_partitions(scope.partition_ids, status, since, until, fetched)
    if scope.queue_ids is not None:
        return await messages.of_queues(scope.queue_ids, status, since, until, fetched, LOOKS_MAX)
    return await messages.of_all(asked.namespace, asked.task, status, since, until, fetched, LOOKS_MAX, PAGES_MAX)
