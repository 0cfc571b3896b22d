"""What a pop does with sealed payloads before it answers: opens them, or gives back what it cannot open.

A partition with a payload that cannot be opened is given back without a charge and held for a moment, so that it does
not keep others waiting; the rest is delivered. When nothing is left, the pop fails: another server may have the key.

A pop that acknowledges at delivery takes a lease here first where a queue is encrypted, and is acknowledged when all is
open: what cannot be opened is not lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from queen import errors
from queen.engine.catalog import Partition
from queen.engine.leases import Leases
from queen.engine.sealing import Seals, has_sealed
from queen.store.base import Span

if TYPE_CHECKING:
    from queen.engine.pop import PopRequest

_HELD_S = 5.0
_LARGE_BYTES = 1 << 20

Spans = list[tuple[Partition, Span]]


class Opener:
    """Opens the spans of a pop. `give_back` and `complete` end its lease on spans, as those of `Ack` do."""

    def __init__(
        self,
        seals: Seals,
        leases: Leases,
        give_back: Callable[[str, str, Spans], Awaitable[None]],
        complete: Callable[[str, str, Spans], Awaitable[Spans]],
    ) -> None:
        self._seals = seals
        self._leases = leases
        self._give_back = give_back
        self._complete = complete

    async def open(self, request: PopRequest) -> None:
        """Leave in `request.spans` what can be delivered. Raises PayloadSealed when that is nothing, and what the store
        raises."""
        error = await self._open(request)
        if request.acks_itself and request.spans and not request.gone:
            request.spans = await self._complete(request.group, request.lease_id, request.spans)
            request.auto_ack, request.lease_id = True, ""
        if error is not None and not request.spans:
            raise error

    async def _open(self, request: PopRequest) -> errors.PayloadSealed | None:
        sealed = [(partition, span) for partition, span in request.spans if has_sealed(span.payloads)]
        if not sealed:
            return None
        if sum(sum(map(len, span.payloads)) for _, span in sealed) > _LARGE_BYTES:
            found = await asyncio.to_thread(self._open_each, sealed)
        else:
            found = self._open_each(sealed)
        failed = {partition.id for (partition, _), error in zip(sealed, found, strict=True) if error is not None}
        if not failed:
            return None
        if not request.auto_ack:
            await self._refuse(request, [pair for pair in request.spans if pair[0].id in failed])
        request.spans = [pair for pair in request.spans if pair[0].id not in failed]
        return next(error for error in found if error is not None)

    def _open_each(self, spans: Spans) -> list[errors.PayloadSealed | None]:
        return [self._seals.open_span(partition, span) for partition, span in spans]

    async def _refuse(self, request: PopRequest, spans: Spans) -> None:
        await self._give_back(request.group, request.lease_id, spans)
        for partition, _ in spans:
            ready = partition.queue.groups.get(request.group)
            if ready is not None:
                self._leases.hold(ready, partition, _HELD_S)
