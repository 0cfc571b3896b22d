"""How far the clock of the database is from the clock of this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from queen.errors import CannotLook
from queen.store.inspect import Inspector

TRIES: Final = 5
_NOW = "SELECT EXTRACT(epoch FROM clock_timestamp())::float8 AS at"


@dataclass(frozen=True, slots=True)
class Clock:
    """`ahead_s`: the database's clock less this machine's, in seconds, known up to `uncertainty_s` either way."""

    ahead_s: float
    uncertainty_s: float


def look(inspector: Inspector) -> Clock | None:
    """The best of five questions: the one with the shortest way there and back. None when PostgreSQL does not say."""
    try:
        found = [_ask(inspector) for _ in range(TRIES)]
    except CannotLook:
        return None
    return min(found, key=lambda clock: clock.uncertainty_s)


def _ask(inspector: Inspector) -> Clock:
    asked_at, began = time.time(), time.monotonic()
    answer = float(inspector.row(_NOW)["at"])
    half_way = (time.monotonic() - began) / 2
    return Clock(answer - asked_at - half_way, half_way)
