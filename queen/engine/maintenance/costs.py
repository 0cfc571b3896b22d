"""What calls of the message plane cost, written down by the hour, so that a slow day can be told from the days before.

The leader asks PostgreSQL for its totals every few minutes and adds what came since to the hour that runs. Nothing is
written while nothing is called, nor where PostgreSQL does not count statements. A server that comes to lead begins with
a look; what was called between the last look of the one before it and that is not counted, which harms no mean.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from queen import errors
from queen.store.past import Cost, Costs

log = logging.getLogger(__name__)

INTERVAL_S: Final = 300.0
"""One look is a few milliseconds of PostgreSQL: it goes through all it counts, five thousand at most."""
HOT: Final = frozenset(
    ("push", "push_deduplicating", "pop", "ack", "ack_failed", "transact", "extend", "examine", "locate", "next_epoch")
)
"""The calls that serve messages. A server also calls others, such as `beat` once a second: those are not kept."""
_PASSING: Final = (errors.StoreUnavailable, errors.Overloaded, errors.Contention)


class StatementCosts:
    """The tick of the loop."""

    def __init__(self, store: Costs, leading: Callable[[], bool]) -> None:
        self._store = store
        self._leading = leading
        self._before: dict[str, Cost] | None = None

    async def tick(self) -> None:
        """Add what calls cost since the last tick to the hour that runs."""
        if not self._leading():
            self._before = None
            return
        try:
            now = {cost.name: cost for cost in await self._store.statement_totals()}
            before, self._before = self._before, now
            grown = _grown(before, now) if before is not None else []
            if grown:
                await self._store.record_statements(grown)
        except _PASSING as error:
            log.debug("costs of statements wait error=%s", error.message)  # The pool tells of an outage, once for all.


def _grown(before: dict[str, Cost], now: dict[str, Cost]) -> list[Cost]:
    """What came since. Totals that went back were reset, or some of their entries were thrown away: not counted."""
    found = []
    for name, cost in now.items():
        last = before.get(name, Cost(name, 0, 0.0, 0.0))
        calls, total_ms, blocks = cost.calls - last.calls, cost.total_ms - last.total_ms, cost.blocks - last.blocks
        if name in HOT and calls > 0 and total_ms >= 0 and blocks >= 0:
            found.append(Cost(name, calls, total_ms, blocks))
    return found
