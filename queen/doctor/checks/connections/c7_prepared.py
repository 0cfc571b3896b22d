"""C7: statements that are prepared through a pooler that does not keep them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding, Fix, Severity
from queen.doctor.pools import pool_of
from queen.doctor.probes.pooler import Pooler

_TRACKED_FROM: Final = (1, 22)
"""1.21 began to track prepared statements; 1.22 learned DEALLOCATE ALL, without which drivers lose count."""
_OFF: Final = "QUEEN_DATABASE__PREPARE_STATEMENTS=false queen serve"


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding when a server of Queen prepares statements and the pooler is not known to keep them."""
    pool = pool_of(seen.server)
    if not (pool.get("pooler") and pool.get("prepares")):
        return
    severity, reason = _judge(seen.pooler)
    if severity is None:
        return
    yield Finding(
        severity,
        f"a server of Queen prepares statements through a pooler: {reason}",
        {
            "prepares": True,
            "pooler_version": seen.pooler.version if seen.pooler else None,
            "max_prepared_statements": seen.pooler.config.get("max_prepared_statements") if seen.pooler else None,
        },
        "Leave database.prepare_statements at auto or false; or use PgBouncer 1.22 or later with"
        " max_prepared_statements above 0.",
        object="database.prepare_statements",
        fix=Fix("E", (_OFF,)),
    )


def _judge(pooler: Pooler | None) -> tuple[Severity | None, str]:
    if pooler is None or not pooler.admin:
        return "warn", "whether it keeps them is not known (--pooler-admin tells)"
    most = pooler.config.get("max_prepared_statements", "0")
    if pooler.numbers < _TRACKED_FROM:
        return "crit", f"PgBouncer {pooler.version} keeps none"
    if not most.isdigit() or int(most) == 0:
        return "crit", "max_prepared_statements is 0"
    return None, ""


CHECK = Check(
    id="C7",
    group="connections",
    title="Prepared statements through a pooler",
    why="Calls then fail with 'prepared statement does not exist' or 'already exists', a few at a time, under load.",
    false_positive="A pooler other than PgBouncer that keeps prepared statements, and has no such console.",
    explain="""\
A prepared statement belongs to a session of PostgreSQL. A pooler in transaction mode gives a client another session
each time, which does not have it. PgBouncer tracks prepared statements from 1.21 on, usable by drivers from 1.22 on,
and only with max_prepared_statements above 0 (by default from 1.24 on).

A server of Queen that notices a pooler prepares nothing, unless database.prepare_statements says so.""",
    evaluate=evaluate,
    needs=(needs.server,),
)
