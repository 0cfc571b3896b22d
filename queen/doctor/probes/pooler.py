"""Whether a transaction pooler stands between us and PostgreSQL, and what its admin console says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from queen.doctor.facts import Facts


@dataclass(frozen=True, slots=True)
class Pooler:
    """`transaction_mode`: our session is served by changing backends. `admin`: its console answered."""

    transaction_mode: bool = False
    admin: bool = False
    version: str | None = None
    pools: tuple[Mapping[str, Any], ...] = ()
    config: Mapping[str, str] = field(default_factory=dict)


def look(facts: Facts) -> Pooler | None:
    """What can be told from our own session: behind a pooler the backend that works is not the one that the protocol
    named. None: a direct session."""
    return None if facts.backend_pid == facts.protocol_pid else Pooler(transaction_mode=True)
