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
# The three groups that are furthest behind: each is counted by the partition.
_HOT = """
WITH behind AS MATERIALIZED (
    SELECT g.queue_id, g.consumer_group
      FROM {schema}.group_numbers(NULL, NULL, 100000, 0, 2000) g
     WHERE g.total_lag >= 1000 AND g.members >= 4
     ORDER BY g.total_lag DESC LIMIT 3
), counted AS (
    SELECT b.queue_id, b.consumer_group, sum(l.lag)::bigint AS lag, count(*) AS partitions,
           count(*) FILTER (WHERE l.lag > 0) AS partitions_with_lag, max(ARRAY[l.lag, p.partition_id]) AS most
      FROM behind b
      JOIN {schema}.partitions p ON p.queue_id = b.queue_id
      JOIN {schema}.cursors c ON c.partition_id = p.partition_id AND c.consumer_group = b.consumer_group
     CROSS JOIN LATERAL (SELECT greatest(p.next_offset - 1 - greatest(c.acked, p.first_offset - 1), 0) AS lag) l
     GROUP BY b.queue_id, b.consumer_group
)
SELECT q.name AS queue, c.consumer_group, c.lag, c.partitions, c.partitions_with_lag, c.most[1] AS most_lag,
       p.name AS partition
  FROM counted c
  JOIN {schema}.queues q ON q.queue_id = c.queue_id
  JOIN {schema}.partitions p ON p.partition_id = c.most[2]
"""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each group whose backlog lies mostly in one partition; critical when messages are late too."""
    limit, age = seen.limits["limit"], seen.limits["age"]
    waits = {(row["queue"], row["consumer_group"]): waits_for(row) for row in lagging(seen)}
    for row in seen.rows("hot"):
        share = 100 * row["most_lag"] / max(row["lag"], 1)
        severity = limit.judge(share)
        if severity is None or row["lag"] < LAG_MIN or row["partitions"] < PARTITIONS_MIN:
            continue
        waited = waits.get((row["queue"], row["consumer_group"]), 0.0)
        yield Finding(
            "crit" if age.judge(waited) == "crit" else severity,
            f"{named(row)}: partition {row['partition']} holds {share:.0f} % of the backlog of {row['lag']} messages",
            {
                "share_pct": round(share, 1),
                "partition_lag": row["most_lag"],
                "lag": row["lag"],
                "partitions": row["partitions"],
                "partitions_with_lag": row["partitions_with_lag"],
                "oldest_s": round(waited, 1),
            },
            "Split the key, as by tenant and object instead of tenant alone: a partition is worked off by one consumer "
            "at a time. Until then larger batches for this partition help more than further consumers.",
            object=f"{row['queue']} {row['partition']}",
            threshold=limit,
        )


CHECK = Check(
    id="Q4",
    group="queues",
    title="A hot key",
    why="Messages of one partition are worked off in order, one lease at a time: more consumers cannot help.",
    false_positive="A replay or a bulk load of one key.",
    explain="""\
Of the three groups that are furthest behind, the backlog is counted by the partition. When one of four or more holds
half of a backlog of a thousand messages or more, it is that key that is behind and not the group. It is critical when
messages wait for longer than the objective of Q1 as well.""",
    evaluate=evaluate,
    queries={"groups": LAGGING, "kept": KEPT, "hot": Query(_HOT)},
    thresholds={"limit": Threshold(50, None, "% of the backlog"), "age": Threshold(None, 60, "s")},
    needs=(needs.schema,),
)
