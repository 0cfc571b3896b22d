"""Messages that were set aside."""

from __future__ import annotations

from datetime import datetime

from queen.store.admin.calls import Calls, Row


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
