"""What an operator turns on or off for all servers at once."""

from __future__ import annotations

from typing import NamedTuple

from queen.store.admin.calls import Calls

POP_MAINTENANCE = "pop_maintenance"


class Switch(NamedTuple):
    """How a switch stands; of two readings the one with the higher version is the newer."""

    is_on: bool
    version: int


class Switches(Calls):
    """Calls about switches."""

    async def read(self, name: str) -> Switch:
        """How a switch stands now."""
        return Switch(*(await self._call("read_switch", name))[0])

    async def turn(self, name: str, is_on: bool) -> Switch:
        """Turn a switch on or off; how it stands afterwards."""
        return Switch(*(await self._call("set_switch", name, is_on))[0])
