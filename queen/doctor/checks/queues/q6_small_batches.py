"""Q6: messages are stored one by one under load."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from queen.doctor import needs
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Threshold
from queen.doctor.shared import TABLES
from queen.doctor.stake import commit_ceiling
from queen.errors import CannotLook

ROWS_THEN: Final = 10.0
"""What a short linger or a client that batches gets without effort."""
COMMIT_WAITS: Final = ("IO:WALSync", "IO:WalSync", "LWLock:WALWrite", "LWLock:WALWriteLock")

# Calls of push() and push_deduplicating() by servers, which name schema and function in quotes.
_CALLS = """
SELECT coalesce(sum(s.calls), 0)::float8 AS calls, coalesce(max(s.calls), 0)::float8 AS most
  FROM pg_stat_statements s
 WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND s.toplevel
   AND s.query ~ '[."](push|push_deduplicating)"?\\('
"""


class Pushes(NamedTuple):
    """Messages stored and statements that stored them, inside the window."""

    messages: float
    statements: float
    source: str


def evaluate(seen: Seen) -> Iterable[Finding]:
    """A finding when much is stored in small statements."""
    pushes = _by_server(seen) or _by_database(seen)
    if pushes is None:
        raise CannotLook(
            "statements of pushes are counted by a Queen server or by pg_stat_statements, and neither is here",
            hint="queen doctor --url http://HOST:6632",
        )
    rate = pushes.messages / max(seen.window_s, 0.001)
    rows = pushes.messages / pushes.statements if pushes.statements else 0.0
    severity = seen.limits["limit"].judge_low(rows)
    if severity is None or seen.limits["rate"].judge(rate) is None:
        return
    share = seen.waits.share(*COMMIT_WAITS)
    yield Finding(
        severity,
        f"{rate:.0f} messages a second are stored {rows:.1f} a statement",
        {
            "messages_per_s": round(rate),
            "rows_per_statement": round(rows, 2),
            "statements": int(pushes.statements),
            "window_s": round(seen.window_s, 1),
            "counted_by": pushes.source,
            "commit_wait_share": round(share, 3),
        },
        "Let clients push several messages a request. Of many small requests at once the server makes few statements "
        "while engine.push_flushes_max is 1.",
        threshold=seen.limits["limit"],
        at_stake=commit_ceiling(rows, ROWS_THEN, share),
    )


def _by_server(seen: Seen) -> Pushes | None:
    if seen.server is None or seen.server_before is None:
        return None
    now, before = _counts(seen.server.metrics), _counts(seen.server_before.metrics)
    if now is None or before is None or now[1] < before[1]:
        return None
    return Pushes(now[0] - before[0], now[1] - before[1], "queen serve")


def _counts(metrics: Mapping[str, Any]) -> tuple[float, float] | None:
    try:
        return float(metrics["counters"]["push_messages"]), float(metrics["sizes"]["push_flushes"])
    except (KeyError, TypeError):
        return None


def _by_database(seen: Seen) -> Pushes | None:
    if not seen.first["calls"] or not seen.rows("calls"):
        return None
    calls = seen.row("calls")["calls"] - seen.first["calls"][0]["calls"]
    children = [row for row in seen.changes("tables", "relid", "n_tup_ins") if row["relname"].startswith("messages_")]
    messages = sum(row["n_tup_ins"] for row in children)
    # Counters of tables come late, those of statements at once: none yet, or a reset in between, tells nothing.
    return Pushes(messages, calls, "pg_stat_statements") if calls >= 0 and (messages or not calls) else None


CHECK = Check(
    id="Q6",
    group="queues",
    title="Small batches under load",
    why="Each statement is a commit, and each commit a wait for the disk: rows for one commit are nearly free.",
    false_positive="Many producers that wait for each message, on a disk that syncs in a tenth of a millisecond.",
    explain="""\
Messages stored inside the window, divided by the statements that stored them: as a server counts them (--url), else
from pg_stat_statements and the rows that went into the children of `messages`. Below two messages a statement, above a
thousand messages a second, is judged.

The stake is the part of the time that active sessions spent waiting for the log to be written, less the part of it that
ten messages a statement would still need.""",
    evaluate=evaluate,
    queries={"calls": Query(_CALLS, optional=True), "tables": TABLES},
    thresholds={"limit": Threshold(2, None, "rows per statement"), "rate": Threshold(1000, None, "messages/s")},
    needs=(needs.schema,),
    delta=True,
)
