"""Consumer groups."""

from __future__ import annotations

from queen.store.admin.calls import Calls


class Groups(Calls):
    """Calls about consumer groups."""

    async def delete_group(self, group: str, delete_metadata: bool) -> int:
        """Number of cursors dropped."""
        return int((await self._call("delete_group", group, delete_metadata))[0][0])
