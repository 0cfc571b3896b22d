"""The database server itself."""

from __future__ import annotations

from queen.store.admin.calls import Calls


class DatabaseServer(Calls):
    """Does it answer?"""

    async def ping(self) -> None:
        """One round trip."""
        async with self._pool.connection("ping") as connection:
            await connection.execute("select 1")
