"""Q4: one key holds most of a backlog."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Threshold
from queen.doctor.groups import KEPT, LAGGING, lagging, named, waits_for

LAG_MIN: Final = 1000
PARTITIONS_MIN: Final = 4
# The three groups that are furthest behind. What is behind in a partition is never more than what is kept there, so the
# thousand that keep most are looked at.
_HOT = """
WITH behind AS MATERIALIZED (
    SELECT g.queue_id, g.consumer_group, g.total_lag, g.members, g.partitions_with_lag
      FROM {schema}.group_numbers(NULL, NULL, 100000, 0, 2000) g
     WHERE g.total_lag >= 1000 AND g.members >= 4
     ORDER BY g.total_lag DESC LIMIT 3
), largest AS MATERIALIZED (
    SELECT q.queue_id, p.partition_id, p.name, p.next_offset, p.first_offset
      FROM (SELECT DISTINCT b.queue_id FROM behind b) q
     CROSS JOIN LATERAL (SELECT t.* FROM {schema}.partitions t WHERE t.queue_id = q.queue_id
                          ORDER BY t.next_offset - t.first_offset DESC LIMIT 1000) p
)
SELECT q.name AS queue, b.consumer_group, b.total_lag::float8 AS lag, b.members AS partitions, b.partitions_with_lag,
       m.lag AS most_lag, m.name AS partition
  FROM behind b
  JOIN {schema}.queues q ON q.queue_id = b.queue_id
 CROSS JOIN LATERAL (
        SELECT l.name, l.next_offset - 1 - greatest(c.acked, l.first_offset - 1) AS lag
          FROM largest l
          JOIN {schema}.cursors c ON c.partition_id = l.partition_id AND c.consumer_group = b.consumer_group
         WHERE l.queue_id = b.queue_id
         ORDER BY 2 DESC LIMIT 1) m
"""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each group whose backlog lies mostly in one partition; critical when messages are late too."""
    limit, age = seen.limits["limit"], seen.limits["age"]
    waits = {(row["queue"], row["consumer_group"]): waits_for(row) for row in lagging(seen)}
    for row in seen.rows("hot"):
        share = min(100.0, 100 * row["most_lag"] / max(row["lag"], 1))
        severity = limit.judge(share)
        if severity is None or row["lag"] < LAG_MIN or row["partitions"] < PARTITIONS_MIN:
            continue
        waited = waits.get((row["queue"], row["consumer_group"]), 0.0)
        late = age.judge(waited) == "crit"
        yield Finding(
            "crit" if late else severity,
            f"{named(row)}: partition {row['partition']} holds {share:.0f} % of a backlog of {row['lag']:.0f}",
            {
                "share_pct": round(share, 1),
                "partition_lag": row["most_lag"],
                "lag": int(row["lag"]),
                "partitions": row["partitions"],
                "partitions_with_lag": row["partitions_with_lag"],
                "oldest_s": round(waited, 1),
            },
            "Split the key, as by tenant and object instead of tenant alone: a partition is worked off by one consumer "
            "at a time. Until then larger batches for this partition help more than further consumers.",
            object=f"{row['queue']} {row['partition']}",
            threshold=age if late else limit,
        )


CHECK = Check(
    id="Q4",
    group="queues",
    title="A hot key",
    why="Messages of one partition are worked off in order, one lease at a time: more consumers cannot help.",
    false_positive="A replay or a bulk load of one key.",
    explain="""\
Of the three groups that are furthest behind, the partition that is most behind is looked for, among the thousand of its
queue that keep most messages. When one of four or more holds half of a backlog of a thousand messages or more, it is
that key that is behind and not the group. It is critical when messages wait for longer than the objective of Q1 as
well. A hot key is missed only where a thousand others keep more messages, worked off or not.""",
    evaluate=evaluate,
    queries={"groups": LAGGING, "kept": KEPT, "hot": Query(_HOT)},
    thresholds={"limit": Threshold(50, None, "% of the backlog"), "age": Threshold(None, 60, "s")},
    needs=(needs.tables,),
)
