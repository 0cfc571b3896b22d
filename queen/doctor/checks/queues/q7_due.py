"""Q7: messages whose time has come, and that were not given their place."""

from __future__ import annotations

from collections.abc import Iterable

from queen.doctor import needs
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Threshold

# Those that are past due, ten thousand at most; the index on scheduled_at holds nothing else.
_DUE = """
SELECT count(*)::int AS due, extract(epoch FROM clock_timestamp() - min(d.scheduled_at))::float8 AS late_s
  FROM (SELECT m.scheduled_at FROM {schema}.messages m
         WHERE m.scheduled_at <= clock_timestamp() ORDER BY m.scheduled_at LIMIT 10000) d
"""
_ENQUEUED = """
SELECT (SELECT count(*) FROM (SELECT FROM {schema}.enqueued LIMIT 10000) c)::int AS waiting,
       (SELECT format('%s.%s', o.xid, o.number) FROM {schema}.enqueued o ORDER BY o.xid, o.number LIMIT 1) AS oldest
"""
_SERVERS = """
SELECT count(*)::int AS servers, coalesce(bool_or(r.leads), false) AS leader
  FROM {schema}.running_instances(10000, 1000) r
"""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """A finding for scheduled messages that are late, and one for enqueued ones that stay where they are."""
    yield from _scheduled(seen)
    yield from _enqueued(seen)


def _scheduled(seen: Seen) -> Iterable[Finding]:
    row, limit = seen.row("due"), seen.limits["limit"]
    # A leader looks for what another server scheduled once in five seconds, so what has just become due is not late.
    was_due_before = (row["late_s"] or 0.0) >= seen.window_s
    severity = limit.judge(row["late_s"]) if was_due_before else None
    if severity is not None:
        yield Finding(
            severity,
            f"{row['due']} scheduled messages are due and not placed, the oldest for {row['late_s']:.0f} s",
            {"due": row["due"], "late_s": round(row["late_s"], 1), **seen.row("servers")},
            _remedy(seen),
            object="scheduled messages",
            threshold=limit,
        )


def _enqueued(seen: Seen) -> Iterable[Finding]:
    """They carry no time, so one is known to be late when it stood there for the whole window."""
    row, before, limit = seen.row("enqueued"), seen.first["enqueued"][0], seen.limits["limit"]
    stayed = row["oldest"] is not None and row["oldest"] == before["oldest"]
    severity = limit.judge(seen.window_s) if stayed else None
    if severity is not None:
        yield Finding(
            severity,
            f"{row['waiting']} messages of callers' own transactions wait for their place, for {seen.window_s:.0f} s "
            "or longer",
            {"waiting": row["waiting"], "at_least_s": round(seen.window_s, 1), **seen.row("servers")},
            _remedy(seen),
            object="enqueued messages",
            threshold=limit,
        )


def _remedy(seen: Seen) -> str:
    row = seen.row("servers")
    if not row["servers"]:
        return "No server runs on this database: start one (queen serve). It places them at once."
    if not row["leader"]:
        return "Servers run and none of them leads: see their logs, and S8 and C1 for why they cannot write."
    return "The leading server does not get to them: L1 shows locks on their partitions, its log tells of errors."


CHECK = Check(
    id="Q7",
    group="queues",
    title="Due messages that are not delivered",
    why="A scheduled message is delivered when the leading server gives it its place, and not before.",
    false_positive="A million messages for one moment: they are placed in order, some thousand a second.",
    explain="""\
Scheduled messages (delaySeconds, scheduledAt) stand outside the order of their partition until they are due; then the
leading server places them. So do messages that callers stored in transactions of their own (queen.enqueue).

This check looks for scheduled messages that were due when the window began and still are, and for an enqueued message
that stood there at its beginning and at its end.""",
    evaluate=evaluate,
    queries={"due": Query(_DUE, once=True), "enqueued": Query(_ENQUEUED), "servers": Query(_SERVERS, once=True)},
    thresholds={"limit": Threshold(5, 60, "s")},
    needs=(needs.tables,),
    delta=True,
)
