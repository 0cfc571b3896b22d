"""M2: statements that spill to temporary files."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Fix, Threshold
from queen.doctor.shared import ROLE_SETTINGS
from queen.doctor.system import role_settings, set_role
from queen.doctor.wal import megabytes

_MIB: Final = 1 << 20
_MOST: Final = 64 * _MIB  # a hundred sessions with more than that are a danger of their own

_TEMP = """
SELECT datname, temp_files, temp_bytes::float8 AS temp_bytes
  FROM pg_stat_database WHERE datname = current_database()
"""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding when this database wrote temporary files inside the window."""
    rows = seen.changes("temp", "datname", "temp_files", "temp_bytes")
    files = rows[0]["temp_files"] if rows else 0
    severity = seen.limits["limit"].judge(files)
    if severity is None:
        return
    mean, now = rows[0]["temp_bytes"] / files, seen.facts.settings.bytes("work_mem")
    wanted = _wanted(mean, now)
    yield Finding(
        severity,
        f"{files} temporary files of {megabytes(mean):g} MB on average inside the window",
        {
            "temp_files": files,
            "temp_MB": megabytes(rows[0]["temp_bytes"]),
            "window_s": round(seen.window_s, 1),
            "work_mem_MB": round(now / _MIB, 2),
        },
        f"Give the role {wanted} MB of work_mem; sessions take it when they connect anew."
        if wanted
        else "Find the statement (S9, log_temp_files = 0): more work_mem for everybody would be a danger of its own.",
        object="work_mem",
        threshold=seen.limits["limit"],
        fix=_fix(seen, wanted),
    )


def _wanted(mean: float, now: float) -> int:
    """MB: twice what went to a file, for rows take more room in memory, as a power of two. 0: it would be too much."""
    size = max(2 * mean + now, 4 * _MIB)
    wanted = 1 << math.ceil(math.log2(size))
    return wanted // _MIB if wanted <= _MOST else 0


def _fix(seen: Seen, wanted: int) -> Fix | None:
    if not wanted:
        return None
    note = "Sessions that are open keep the old value."
    return set_role(seen.facts, {"work_mem": f"{wanted}MB"}, role_settings(seen.rows("role"), own=True), note)


CHECK = Check(
    id="M2",
    group="memory",
    title="Temporary files",
    why="Queen's statements sort one batch; a sort that goes to the disk holds its connection many times as long.",
    false_positive="A report or an index build of somebody else in the same database.",
    explain="""\
PostgreSQL writes a temporary file when a sort or a hash does not fit into work_mem. It counts them for each database;
the counter is read twice.

The fix gives our role in this database twice what went to a file, as a power of two, from 4 MB to 64 MB. Other roles
keep what they have. Files larger than that belong to statements that should be looked at first.""",
    evaluate=evaluate,
    queries={"temp": Query(_TEMP), "role": ROLE_SETTINGS},
    thresholds={"limit": Threshold(1, None, "files")},
    delta=True,
)
