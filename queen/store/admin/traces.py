"""Traces: what handlers noted about messages."""

from __future__ import annotations

from collections.abc import Sequence

from queen.store.admin.calls import Calls, Row


class Traces(Calls):
    """Calls about traces."""

    async def record(
        self, partition_id: int, transaction_id: str, group: str, event_type: str, data: str, names: Sequence[str]
    ) -> str:
        """Store one trace; its id."""
        asked = (partition_id, transaction_id, group, event_type, data, list(names))
        return str((await self._call("record_trace", *asked))[0][0])

    async def of_message(self, partition_id: int, transaction_id: str, limit: int, offset: int) -> list[Row]:
        """Traces of one message, oldest first."""
        return await self._call("message_traces", partition_id, transaction_id, limit, offset)

    async def of_name(self, name: str, limit: int, offset: int) -> list[Row]:
        """Traces under one name, oldest first."""
        return await self._call("named_traces", name, limit, offset)

    async def count(self, name: str) -> int:
        """How many traces stand under a name."""
        return int((await self._call("traced_name", name))[0][0])

    async def names(self, limit: int, offset: int) -> tuple[list[Row], int]:
        """One page of the names, in their order, and how many there are (an estimate beyond 10,000)."""
        rows = await self._call("find_trace_names", limit, offset)
        return [row for row in rows if row.name is not None], int(rows[0].total)
