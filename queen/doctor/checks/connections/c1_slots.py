"""C1: connections in use, of those that PostgreSQL grants to ordinary roles."""

from __future__ import annotations

from collections.abc import Iterable

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding, Threshold
from queen.doctor.pools import SESSIONS, reserved
from queen.store.inspect import Row

_NAMED_MAX = 5


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding when too many of the slots are taken."""
    rows = seen.rows("sessions")
    most = int(seen.facts.settings.number("max_connections"))
    usable = most - reserved(seen)
    used = sum(row["sessions"] for row in rows) + 1  # and our own
    severity = seen.limits["limit"].judge(100 * used / max(usable, 1))
    if severity is None:
        return
    yield Finding(
        severity,
        f"{used} of {usable} connections are in use; {_first(rows)} has most of them",
        {
            "used": used,
            "usable": usable,
            "max_connections": most,
            "reserved": reserved(seen),
            "by_application": [
                {"role": role, "application": application, "sessions": sessions}
                for (role, application), sessions in _by_application(rows)[:_NAMED_MAX]
            ],
        },
        "End sessions that nobody needs and make the pools of those applications smaller; C2 has the sum of what Queen"
        " may take. If all of them are needed, put PgBouncer in between, or raise max_connections (a restart).",
        threshold=seen.limits["limit"],
    )


def _by_application(rows: list[Row]) -> list[tuple[tuple[str, str], int]]:
    found: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row["role"], row["application"] or "")
        found[key] = found.get(key, 0) + row["sessions"]
    return sorted(found.items(), key=lambda one: (-one[1], one[0]))


def _first(rows: list[Row]) -> str:
    named = _by_application(rows)
    if not named:
        return "nobody"
    (role, application), _ = named[0]
    return f"{application or 'an unnamed application'} (role {role})"


CHECK = Check(
    id="C1",
    group="connections",
    title="Connection slots in use",
    why="When the last slot is taken, a server of Queen can open no further connection, and requests time out.",
    false_positive="A deployment that starts new instances before it ends the old ones.",
    explain="""\
max_connections less the reserved ones is what all ordinary roles together may open. This check counts the sessions of
clients, of all databases and roles, and divides.

It looks at the moment. C2 looks at what may come: pools of Queen grow to their size under load only.""",
    evaluate=evaluate,
    queries={"sessions": SESSIONS},
    thresholds={"limit": Threshold(70, 90, "% of the slots")},
    needs=(needs.monitor,),
)
