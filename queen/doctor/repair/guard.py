"""When nothing may be changed at all."""

from __future__ import annotations

from typing import Final

from queen.doctor.facts import Facts
from queen.errors import RepairRefused
from queen.store.operate import Operator

LOCK: Final = 1
"""Number of the advisory lock that a doctor holds while it changes something."""


def refuse_unsafe(facts: Facts) -> None:
    """Raise RepairRefused in recovery, through a transaction pooler, and for a role that does not own the schema."""
    if facts.in_recovery:
        raise RepairRefused(
            "this server is a standby: nothing can be changed here", hint="name the primary with --database-url"
        )
    if facts.backend_pid != facts.protocol_pid:
        raise RepairRefused(
            "the session goes through a transaction pooler, where locks and time-outs of a session do not hold",
            hint="set database.direct_url to PostgreSQL itself",
        )
    if facts.schema_owner is not None and not facts.schema_owned:
        raise RepairRefused(
            f"role {facts.role} does not own the schema {facts.schema}",
            hint=f"connect as its owner, {facts.schema_owner}",
        )


def claim(operator: Operator) -> None:
    """Be the only doctor that changes this database, until the session ends. Raises RepairRefused."""
    if not operator.claim(LOCK):
        raise RepairRefused("another doctor is changing this database", hint="wait until it is done")
