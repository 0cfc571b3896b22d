"""W9: commits wait for a standby that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from queen.doctor import needs, stake
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Fix, Severity
from queen.doctor.system import set_system

_COUNT: Final = re.compile(r"^\s*(?:first\s+|any\s+)?(\d+)\s*\(", re.IGNORECASE)
_NOT_WAITING: Final = ("off", "local")

_STANDBYS = """
SELECT application_name, state, sync_state, EXTRACT(epoch FROM flush_lag)::float8 AS flush_lag_s
  FROM pg_stat_replication ORDER BY application_name
"""
_HUNG = """
SELECT count(*) AS sessions, max(EXTRACT(epoch FROM clock_timestamp() - query_start))::float8 AS longest_s
  FROM pg_stat_activity WHERE wait_event = 'SyncRep'
"""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding when fewer synchronous standbys are connected than commits wait for."""
    names = seen.facts.settings.text("synchronous_standby_names").strip()
    if not names:
        return
    found = [row["application_name"] for row in seen.rows("standbys") if row["sync_state"] in ("sync", "quorum")]
    needed = required(names)
    if len(found) >= needed:
        return
    level, hung = seen.facts.settings.text("synchronous_commit"), seen.row("hung")
    severity: Severity = "warn" if level in _NOT_WAITING else "crit"
    yield Finding(
        severity,
        f"{len(found)} of {needed} synchronous standbys are connected; {hung['sessions']} commits hang",
        {
            "synchronous_standby_names": names,
            "needed": needed,
            "connected": [row["application_name"] for row in seen.rows("standbys")],
            "hanging": hung["sessions"],
            "hanging_s": None if hung["longest_s"] is None else round(hung["longest_s"], 1),
            "synchronous_commit": level,
        },
        "Start the standby again, or take its name out of synchronous_standby_names: then a commit is on one machine "
        "only.",
        object="synchronous_standby_names",
        at_stake=stake.wait_share(seen.waits.share("IPC:SyncRep")),
        fix=_fix(seen),
    )


def required(names: str) -> int:
    """How many standbys a commit waits for, by the value of synchronous_standby_names: 1 without a number."""
    match = _COUNT.match(names)
    return int(match[1]) if match else 1


def _fix(seen: Seen) -> Fix:
    plain = set_system(seen.facts, {"synchronous_standby_names": ""})
    return Fix("D", plain.apply, plain.undo, "A commit is then on one machine only, until this is taken back.")


CHECK = Check(
    id="W9",
    group="wal",
    title="A synchronous standby is missing",
    why="Every push, pop and ack waits at its commit until the standby is back.",
    false_positive="The seconds in which a standby reconnects.",
    explain="""\
With synchronous_standby_names a commit waits until so many of the named standbys have it. When fewer are connected it
waits for ever: the work is done and visible to nobody, the connection stays taken.

The check compares the number that the setting asks for with the standbys whose state is sync or quorum, and counts the
sessions that hang. With synchronous_commit off or local for our role, our commits do not wait; then it is a warning.

Taking the name out of the setting lets them all go on at once; what is committed then is on one machine only.""",
    evaluate=evaluate,
    queries={"standbys": Query(_STANDBYS), "hung": Query(_HUNG)},
    needs=(needs.monitor, needs.primary),
)
