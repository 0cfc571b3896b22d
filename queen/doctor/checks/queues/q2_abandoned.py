"""Q2: a group that nobody polls any more, and that keeps messages from leaving."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Fix, Severity, Threshold
from queen.doctor.groups import KEPT, LAGGING, evidence, lagging, named, waits_for
from queen.store.inspect import Row

FINDINGS_MAX: Final = 20
# Registered and never there: such a group has no cursor, and holds back everything since its start.
_NEVER = """
WITH numbers AS MATERIALIZED (SELECT {schema}.countable(NULL, 2000) IS NULL AS kept)
SELECT q.name AS queue, s.consumer_group, extract(epoch FROM now() - s.created_at)::float8 AS age_s
  FROM {schema}.subscriptions s
  JOIN {schema}.queues q ON q.queue_id = s.queue_id
 CROSS JOIN LATERAL (SELECT {schema}.default_options() || q.options AS all_of) o
 CROSS JOIN numbers k
 WHERE q.options ? 'completedRetentionSeconds'
   AND (o.all_of ->> 'retentionEnabled')::boolean AND (o.all_of ->> 'completedRetentionSeconds')::float8 > 0
   AND EXISTS (SELECT FROM {schema}.partitions p WHERE p.queue_id = q.queue_id AND p.next_offset > p.first_offset)
   -- Where there is much, the kept numbers know all groups that ever came; else the cursors are few.
   AND CASE WHEN k.kept
            THEN NOT EXISTS (SELECT FROM {schema}.group_stats g
                              WHERE g.queue_id = s.queue_id AND g.consumer_group = s.consumer_group)
            ELSE NOT EXISTS (SELECT FROM {schema}.partitions p
                              JOIN {schema}.cursors c ON c.partition_id = p.partition_id
                              WHERE p.queue_id = s.queue_id AND c.consumer_group = s.consumer_group) END
 ORDER BY s.created_at LIMIT 20
"""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each group that took nothing for a day though there was something to take."""
    limit = seen.limits["limit"]
    busy = {(row["queue"], row["consumer_group"]) for row in seen.first["groups"] if row["processing"]}
    old = [row for row in lagging(seen) if limit.judge(waits_for(row) / 3600) and not row["processing"]]
    still = [row for row in old if (row["queue"], row["consumer_group"]) not in busy]
    for row in still[:FINDINGS_MAX]:
        yield _abandoned(seen, row, len(still))
    for row in seen.rows("never"):
        severity = limit.judge(row["age_s"] / 3600)
        if severity is not None:
            yield _never(seen, row, severity)


def _abandoned(seen: Seen, row: Row, count: int) -> Finding:
    hours = waits_for(row) / 3600
    severity = seen.limits["limit"].judge(hours) or "warn"
    kept = f"and keeps {row['total_lag']} messages from leaving" if row["pins"] else "and only its lag is spoiled by it"
    return Finding(
        severity if row["pins"] else "info",
        f"{named(row)}: nobody has taken a message that waits for {hours:.0f} h, {kept}",
        {**evidence(row), "pins_retention": row["pins"], "kept_bytes": int(row["lag_bytes"] or 0), "groups": count},
        "If nobody needs the group any more, delete it; if it is only away, move it to the newest message (seek).",
        object=f"{row['queue']} {row['consumer_group']}",
        threshold=seen.limits["limit"],
        fix=_fix(seen, row),
    )


def _never(seen: Seen, row: Row, severity: Severity) -> Finding:
    return Finding(
        severity,
        f"{named(row)}: registered {row['age_s'] / 3600:.0f} h ago and never seen, it keeps every message since",
        {"registered_s_ago": round(row["age_s"]), "pins_retention": True},
        "Start its consumers, or delete the group.",
        object=f"{row['queue']} {row['consumer_group']}",
        threshold=seen.limits["limit"],
        fix=_fix(seen, row),
    )


def _fix(seen: Seen, row: Row) -> Fix:
    """Of this queue alone: the same name may be alive on another."""
    schema = '"' + seen.facts.schema.replace('"', '""') + '"'
    group, queue = (row[name].replace("'", "''") for name in ("consumer_group", "queue"))
    statement = f"SELECT {schema}.delete_group_from('{queue}', '{group}', true)"
    return Fix("D", (statement,), note="Its progress on this queue is gone; a consumer that comes back starts anew.")


CHECK = Check(
    id="Q2",
    group="queues",
    title="Groups that nobody polls",
    why="completedRetentionSeconds lets go only what every group has passed: one that is gone keeps everything.",
    false_positive="A consumer that is a day behind, looked at between two of its batches.",
    explain="""\
Queen does not write down when a group polled last. What can be seen is what it left: a message that could have been
delivered for a day or longer, with no lease of the group alive at the beginning and at the end of the window. Whoever
polls would have taken it. A group that was registered a day ago and has no cursor at all was never there.

It is a warning where the queue sets completedRetentionSeconds, because there the group keeps messages from leaving.
Elsewhere it costs nothing but a wrong lag, and is told as information.""",
    evaluate=evaluate,
    queries={"groups": LAGGING, "kept": KEPT, "never": Query(_NEVER, once=True)},
    thresholds={"limit": Threshold(24, 168, "h")},
    needs=(needs.tables,),
    delta=True,
)
