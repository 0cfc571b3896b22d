"""C6: what needs a session of its own, through a pooler that gives none."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Fix
from queen.doctor.needs import Ground, Missing
from queen.doctor.pools import pool_of
from queen.store.inspect import Row

_DIRECT: Final = "QUEEN_DATABASE__DIRECT_URL=postgresql://USER@POSTGRES_HOST:5432/DATABASE queen serve"
_FEATURES: Final = (
    ("LISTEN", re.compile(r"^\s*listen\b", re.IGNORECASE), "it is accepted, and delivers nothing"),
    ("SET", re.compile(r"^\s*set\s+(?!local\b|transaction\b)", re.IGNORECASE), "the setting leaks to the next client"),
    ("a session lock", re.compile(r"pg_(try_)?advisory_lock", re.IGNORECASE), "the lock stays with the next client"),
)
_LAST = """
SELECT pid, usename::text AS role, application_name AS application, left(query, 200) AS query
  FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """A finding for servers of Queen that cannot listen, and one for each session of the pooler used wrongly."""
    if pool_of(seen.server).get("pooler") and seen.server is not None:
        sizes = seen.server.metrics.get("sizes", {})
        if not sizes.get("listening"):
            yield _deaf(seen)
    if seen.pooler is not None and seen.pooler.admin and _shares(seen):
        own = {int(server["remote_pid"]) for server in seen.pooler.servers if server.get("remote_pid")}
        for row in seen.rows("last"):
            if row["pid"] in own:
                yield from _misused(seen, row)


def _shares(seen: Seen) -> bool:
    return seen.pooler is not None and seen.pooler.pool_mode(seen.facts.database) in ("transaction", "statement")


def _deaf(seen: Seen) -> Finding:
    return Finding(
        "warn",
        "servers of Queen go through a transaction pooler and cannot listen: they poll for what others announce",
        {"pooler": True, "listening": 0, "url": seen.server.url if seen.server else None},
        "Give each server a way around the pooler for its listener and migrations: database.direct_url.",
        object="listener",
        fix=Fix("E", (_DIRECT,)),
    )


def _misused(seen: Seen, row: Row) -> Iterable[Finding]:
    for name, pattern, harm in _FEATURES:
        if pattern.search(row["query"] or ""):
            yield Finding(
                "warn",
                f"{name} was sent through the pooler: {harm}",
                {key: row[key] for key in ("pid", "role", "application", "query")},
                "That client needs a direct connection, or session pooling; for Queen: database.direct_url. Settings go"
                " into ALTER ROLE … SET, or SET LOCAL inside a transaction.",
                object=f"session {row['pid']}",
            )


def pooler(ground: Ground) -> Missing | None:
    """A need: something that tells of a pooler."""
    if ground.server is not None or (ground.pooler is not None and ground.pooler.admin):
        return None
    return Missing(
        "neither a Queen server nor the console of a pooler answered",
        "queen doctor --url http://HOST:6632 --pooler-admin postgresql://…/pgbouncer",
    )


CHECK = Check(
    id="C6",
    group="connections",
    title="Session features through a transaction pooler",
    why="A LISTEN there is accepted and silently delivers nothing, so idle consumers wait for the next poll.",
    false_positive="A statement that another client sent through the pooler once; the last one of a session is seen.",
    explain="""\
A pooler in transaction mode gives a client another session of PostgreSQL for each transaction. LISTEN, SET and
advisory locks of a session are accepted there and do not do what was meant: notifications are lost, settings and
locks go to whoever comes next.

A server of Queen notices a pooler by itself and then reads what others announce instead of listening, which costs
statements and milliseconds. With database.direct_url it listens past the pooler. With --pooler-admin the check also
looks at the last statement of each session that the pooler has open.""",
    evaluate=evaluate,
    queries={"last": Query(_LAST)},
    needs=(needs.monitor, pooler),
)
