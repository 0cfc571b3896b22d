"""L2: transactions that lock each other out, so that PostgreSQL ends one of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Threshold

_DEADLOCKS: Final = Query("""
SELECT datname, deadlocks, (SELECT setting::float8 FROM pg_settings WHERE name = 'deadlock_timeout') AS found_after_ms
  FROM pg_stat_database WHERE datname = current_database()
""")
_SEVERAL: Final = 2  # one in a short window is no rate


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding when any deadlock was resolved in the window."""
    for row in seen.changes("deadlocks", "datname", "deadlocks"):
        if not row["deadlocks"]:
            continue
        per_minute = 60 * row["deadlocks"] / seen.window_s
        severity = seen.limits["limit"].judge(per_minute)
        if severity is None:
            continue
        yield Finding(
            "warn" if row["deadlocks"] < _SEVERAL else severity,
            f"{row['deadlocks']} deadlock(s) in {seen.window_s:.1f} s",
            {
                "deadlocks": row["deadlocks"],
                "per_min": round(per_minute, 2),
                "since_reset": seen.row("deadlocks")["deadlocks"],
                "each_found_after_ms": row["found_after_ms"],
            },
            "The server's log names both statements of each. Sort keys before a batch is written, and take locks in one"
            " order; Queen's own functions do. A transaction of yours that calls enqueue or writes to Queen's"
            " tables between other writes is the first suspect.",
            threshold=seen.limits["limit"],
        )


CHECK = Check(
    id="L2",
    group="locks",
    title="Deadlocks",
    why="Each costs a second of waiting and a rolled-back batch, which is sent again.",
    false_positive="A deadlock between other programs in the same database.",
    explain="""\
Two transactions that hold what the other wants wait until one of them looks for a deadlock, after deadlock_timeout (one
second by default), and is rolled back. PostgreSQL counts them by database; this check looks at the window only.

Queen's functions lock partitions in the order of their ids and cursors behind them, so they do not lock each other out.
Any deadlock is a warning, two or more at a rate above one a minute are critical.""",
    evaluate=evaluate,
    queries={"deadlocks": _DEADLOCKS},
    thresholds={"limit": Threshold(0.0, 1.0, "a minute")},
    delta=True,
)
