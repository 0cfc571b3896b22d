"""Keeps a lease alive while its messages are worked on. Knows nothing of the work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from queen.client.plane import MessagePlane
from queen.client.tasks import cancel
from queen.errors import QueenError

_EXTENSIONS_PER_LEASE = 3


@dataclass(slots=True)
class Lease:
    """`lost`: the server says that nothing of it is left, so others may have the messages."""

    lost: bool = False


@asynccontextmanager
async def kept(client: MessagePlane, lease_id: str, lease_s: float) -> AsyncIterator[Lease]:
    """While inside: the lease is extended to `lease_s` seconds from now, three times in each such span."""
    lease = Lease()
    task = asyncio.create_task(_extend(client, lease_id, lease_s, lease))
    try:
        yield lease
    finally:
        await cancel(task)


async def _extend(client: MessagePlane, lease_id: str, lease_s: float, lease: Lease) -> None:
    while not lease.lost:
        await asyncio.sleep(lease_s / _EXTENSIONS_PER_LEASE)
        try:
            lease.lost = (await client.extend(lease_id, max(1, round(lease_s)))).get("renewed") == 0
        except QueenError:
            # The client has tried for long. The next turn tries again, and the ack will tell if it was too late.
            continue
