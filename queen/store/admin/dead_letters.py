"""Messages that were set aside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from queen.store.admin.calls import Calls, Row


class Selection(NamedTuple):
    """Which dead letters of a queue are meant; None matches everything. `error` is a part of the text, any case."""

    queue: str
    group: str | None = None
    partition: str | None = None
    failed_from: datetime | None = None
    failed_to: datetime | None = None
    error: str | None = None


class Walked(NamedTuple):
    """One step of a walk, oldest first: the ids that match, and the id to go on after (None: the walk is through)."""

    ids: list[int]
    after: int | None


class Moved(NamedTuple):
    """What a replay did to one dead letter; a duplicate was stored already, and its record stays."""

    dead_letter_id: int
    partition_id: int
    offset: int
    duplicate: bool


class DeadLetters(Calls):
    """Calls about dead letters."""

    async def find_dead_letters(
        self,
        *,
        queue: str | None,
        group: str | None,
        partition: str | None,
        failed_from: datetime | None,
        failed_to: datetime | None,
        limit: int,
        offset: int,
    ) -> list[Row]:
        """Dead letters, newest first, as rows with the columns of `find_dead_letters.sql`."""
        return await self._call("find_dead_letters", queue, group, partition, failed_from, failed_to, limit, offset)

    async def of_address(self, partition_id: int, transaction_id: str) -> int | None:
        """The newest record of a message, or None."""
        found = (await self._call("dead_letter_of", partition_id, transaction_id))[0][0]
        return int(found) if found is not None else None

    async def show(self, dead_letter_id: int) -> Row | None:
        """Where a record belongs, as a row with the columns of `show_dead_letter.sql`; None when it is gone."""
        rows = await self._call("show_dead_letter", dead_letter_id)
        return rows[0] if rows else None

    async def newest(self, queue: str) -> int | None:
        """The highest id of a queue's records, or None."""
        found = (await self._call("newest_dead_letter", queue))[0][0]
        return int(found) if found is not None else None

    async def walk(self, selection: Selection, after: int, last: int, limit: int, bytes_max: int) -> Walked:
        """One step over a queue's records up to the id `last`; looks at `limit` of them at most."""
        rows = await self._call("walk_dead_letters", *selection, after, last, limit, bytes_max)
        return Walked([row.dead_letter_id for row in rows[:-1]], rows[-1].looked_to)

    async def replay(
        self, dead_letter_ids: Sequence[int], transaction_ids: Sequence[str], partition_id: int | None
    ) -> list[Moved]:
        """Push these records again and remove them, in one transaction; see `replay.sql`.

        Those that are gone are left out. Raises TransactionRefused: the partition is `gone`, or a record was `taken`.
        """
        rows = await self._call("replay", list(dead_letter_ids), list(transaction_ids), partition_id)
        return [Moved(*row) for row in rows]

    async def purge(self, queue: str, group: str | None, after: int, last: int, limit: int) -> tuple[int, int | None]:
        """One step of removing a queue's records: how many went, and the id to go on after (None: all were seen)."""
        row = (await self._call("purge_dead_letters", queue, group, after, last, limit))[0]
        return int(row.deleted), row.after

    async def by_id(self, dead_letter_ids: Sequence[int]) -> list[Row]:
        """Those of these records that exist, oldest first, with the columns of `find_dead_letters` but the total."""
        return await self._call("show_dead_letters", list(dead_letter_ids))
