"""V12: vacuum may truncate tables that are always in use."""

from __future__ import annotations

from collections.abc import Iterable

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding
from queen.doctor.shared import TABLES
from queen.doctor.tables import VACUUM_AT, is_off, options, set_options


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each changing table whose end vacuum may cut off."""
    for row in seen.rows("tables"):
        if row["relname"] not in VACUUM_AT:
            continue
        own = options(row["reloptions"]).get("vacuum_truncate")
        # The setting of the server is there from 18 on; before it, what is not said is on.
        if is_off(own if own is not None else seen.facts.settings.text("vacuum_truncate", "on")):
            continue
        yield Finding(
            "warn",
            f"{row['name']}: vacuum may truncate this table, of {row['heap_bytes'] >> 10} kB now",
            {"vacuum_truncate": own or "not set: on", "heap_bytes": row["heap_bytes"]},
            "Set vacuum_truncate = off: the space at its end is needed again soon.",
            object=row["name"],
            fix=set_options(row["name"], row["reloptions"], {"vacuum_truncate": "off"}),
        )


CHECK = Check(
    id="V12",
    group="vacuum",
    title="Vacuum may truncate changing tables",
    why="To cut off empty pages vacuum takes an exclusive lock, and all pushes and pops wait for it.",
    false_positive="A table that has shrunk for good: one VACUUM (TRUNCATE) at a quiet time gives the space back.",
    explain="""\
When the last pages of a table are empty, vacuum gives them back to the system. For that it takes ACCESS EXCLUSIVE: on a
table that each push or pop touches they all wait, and on a standby the lock is replayed too. The space is needed again
within seconds. Queen's schema sets vacuum_truncate = off on its changing tables; this check finds those where it is
on. From PostgreSQL 18 on the server's own vacuum_truncate counts where a table says nothing.""",
    evaluate=evaluate,
    queries={"tables": TABLES},
    needs=(needs.schema, needs.primary),
)
