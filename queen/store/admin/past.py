"""Days gone by: what calls cost by the hour, when servers started and ended."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from psycopg.types.json import Jsonb

from queen import __version__
from queen.store.activity import Place
from queen.store.admin.calls import Calls
from queen.store.past import Baseline, Cost, Start


class Past(Calls):
    """Implements `queen.store.past.Costs` and `Starts`, and the reads."""

    async def statement_totals(self) -> list[Cost]:
        return [Cost(*row) for row in await self._call("statement_totals")]

    async def record_statements(self, costs: Sequence[Cost]) -> None:
        await self._call("record_statements", Jsonb([cost._asdict() for cost in costs]))

    async def record_start(self, instance_id: uuid.UUID, place: Place) -> None:
        await self._call("record_start", instance_id, *place, __version__)

    async def record_end(self, instance_id: uuid.UUID) -> None:
        await self._call("record_end", instance_id)

    async def baselines(self, calls_min: int) -> list[Baseline]:
        """What calls cost in earlier hours that had so many calls."""
        return [Baseline(*row) for row in await self._call("statement_baselines", calls_min)]

    async def starts(self, within_ms: int, limit: int) -> list[Start]:
        """The latest starts, newest first. A server runs if it gave a sign of life `within_ms`."""
        return [Start(*row) for row in await self._call("recent_starts", within_ms, limit)]
