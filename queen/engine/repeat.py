"""Pushes whose outcome is unknown: repeated under the same transaction ids until the database says what it holds.

A connection that breaks between a call and its answer leaves open whether the messages were stored. Deduplication makes
the repetition safe: what the first try stored is found again. Whether a message that is found was stored by that try or
long before is told by its offset: at or above the head known before the try, and side by side with its neighbours of
the same chunk. Where this server knew an older head than the true one, a message that another server stored under the
same id in between counts as ours; it is stored once in either case, and the answer names its offset.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from queen import errors
from queen.store.base import Stored

_FIRST_PAUSE_S = 0.02
_PAUSE_MAX_S = 1.0

T = TypeVar("T")


@dataclass(slots=True)
class Doubt:
    """An outcome that is unknown."""

    heads: dict[int, int]
    """Partition id → offset after its newest message, as known before the first try."""
    until: float
    """On the clock of the event loop: when to give up."""
    error: errors.StoreUnavailable
    """What became of the latest try."""

    def surrender(self) -> errors.StoreUnavailable:
        """The error of messages that were repeated in vain."""
        return errors.StoreUnavailable(
            f"{self.error.message}; the messages may or may not be stored",
            hint="push them again under the same transactionId: what is stored already is found",
            retry_after_ms=self.error.retry_after_ms,
            unknown=True,
        )

    def unrepeatable(self, queue: str) -> errors.StoreUnavailable:
        """The error of messages that nothing would find again."""
        return errors.StoreUnavailable(
            f"{self.error.message}; the messages may or may not be stored, and are not repeated,"
            f" because queue {queue!r} does not deduplicate",
            hint="set dedupWindowSeconds of the queue, and pushes survive a broken connection",
            retry_after_ms=self.error.retry_after_ms,
            unknown=True,
        )


async def until_known(call: Callable[[], Awaitable[T]], doubt: Doubt) -> T:
    """Repeat a call, with growing random pauses, until it answers. Raises StoreUnavailable when the time is over."""
    ceiling_s = _FIRST_PAUSE_S
    loop = asyncio.get_running_loop()
    while True:
        pause_s = random.uniform(0, ceiling_s)
        if loop.time() + pause_s > doubt.until:
            raise doubt.surrender()
        await asyncio.sleep(pause_s)
        try:
            return await call()
        except errors.StoreUnavailable as error:
            doubt.error = error
        ceiling_s = min(_PAUSE_MAX_S, ceiling_s * 2)


def claim(rows: list[Stored], head: int) -> list[Stored]:
    """The rows of one chunk after a repetition; what the first try stored no longer counts as a duplicate."""
    found = list(dict.fromkeys(row.offset for row in rows if row.duplicate and (row.offset or 0) >= head))
    if not found or any(offset != place for place, offset in enumerate(found, found[0] or 0)):
        return rows
    ours = set(found)
    claimed = []
    for row in rows:
        if row.duplicate and row.offset in ours:
            # An id that stands twice in one chunk is stored once, at its first place.
            ours.discard(row.offset)
            claimed.append(row._replace(duplicate=False))
        else:
            claimed.append(row)
    return claimed
