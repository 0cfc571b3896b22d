"""S6: the doctor and the server see less than they could: pg_monitor, pg_stat_statements."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Fix
from queen.doctor.system import RELOAD, identifier, with_library

_NAME: Final = "pg_stat_statements"
_AVAILABLE = "SELECT default_version AS version FROM pg_available_extensions WHERE name = 'pg_stat_statements'"


def evaluate(seen: Seen) -> Iterable[Finding]:
    """A finding for the role and for the extension. They limit what is seen, and harm no message."""
    if not seen.facts.pg_monitor:
        yield _monitor(seen)
    # Others do not see the setting: then nobody knows.
    loaded = _NAME in seen.facts.settings.text("shared_preload_libraries") if seen.facts.pg_monitor else None
    if _NAME not in seen.facts.extensions:
        yield _extension(seen, loaded)
    elif loaded is False:
        yield _preload(seen)


def _monitor(seen: Seen) -> Finding:
    role = identifier(seen.facts.role)
    return Finding(
        "info",
        f"role {seen.facts.role} is no member of pg_monitor",
        {"role": seen.facts.role, "pg_monitor": False},
        f"A superuser runs: GRANT pg_monitor TO {role}",
        object=seen.facts.role,
        fix=Fix("D", (f"GRANT pg_monitor TO {role}",), (f"REVOKE pg_monitor FROM {role}",), "Needs a superuser."),
    )


def _extension(seen: Seen, loaded: bool | None) -> Finding:
    if loaded is False:
        return _preload(seen)
    if not seen.rows("available"):
        return Finding(
            "info",
            f"the extension {_NAME} is not installed on the server",
            {"available": False, "loaded": loaded},
            "Install the package of PostgreSQL's additional modules (postgresql-contrib), then run this again.",
            object=_NAME,
        )
    return Finding(
        "info",
        f"the extension {_NAME} is not created in this database",
        {"available": True, "loaded": loaded},
        "Create it: it counts calls and time of each statement, at a cost of about a hundredth.",
        object=_NAME,
        fix=Fix("A", (f"CREATE EXTENSION {_NAME}",), (f"DROP EXTENSION {_NAME}",)),
    )


def _preload(seen: Seen) -> Finding:
    now = seen.facts.settings.text("shared_preload_libraries")
    return Finding(
        "info",
        f"{_NAME} is not in shared_preload_libraries, so it counts nothing",
        {"shared_preload_libraries": now, "created": _NAME in seen.facts.extensions},
        "Load it, restart PostgreSQL, then create the extension.",
        object=_NAME,
        fix=Fix(
            "C",
            (f"ALTER SYSTEM SET shared_preload_libraries = {with_library(now, _NAME)}", RELOAD),
            ("ALTER SYSTEM RESET shared_preload_libraries", RELOAD),
            f"After the restart: CREATE EXTENSION {_NAME}",
        ),
    )


CHECK = Check(
    id="S6",
    group="statements",
    title="What can be seen: pg_monitor and pg_stat_statements",
    why="Without them the statement that slows the queue down, or the session that blocks it, stays unnamed.",
    false_positive="None: it says what is not there. Whoever does without on purpose skips it with --skip S6.",
    explain="""\
pg_monitor lets a role see the sessions, settings and sizes of others. It reads no data. Without it the checks of
locks, horizon and connections see their own role's sessions only, and are skipped.

pg_stat_statements counts calls, time and blocks of each statement. The checks S1, S9 and Q6 need it, and the server
keeps a baseline from it. It must be in shared_preload_libraries, which takes a restart, and be created in the
database that the queue uses.""",
    evaluate=evaluate,
    queries={"available": Query(_AVAILABLE)},
)
