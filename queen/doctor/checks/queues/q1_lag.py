"""Q1: messages wait too long to be delivered, or their number keeps rising."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Threshold
from queen.doctor.groups import KEPT, LAGGING, evidence, lagging, named, waits_for
from queen.store.inspect import Row

FINDINGS_MAX: Final = 20
_RISE_MIN: Final = 1000  # messages in the time looked at; less is a wave

# Eleven minutes before this one, of which the latest may not be written down yet, of the queues that are furthest
# behind. A group gets its share of what was delivered.
_RISING = """
WITH behind AS MATERIALIZED (
    SELECT g.queue_id, count(*) AS groups, max(g.total_lag) AS lag
      FROM {schema}.group_numbers(NULL, NULL, 100000, 0, 2000) g
     WHERE g.total_lag >= 1000
     GROUP BY g.queue_id ORDER BY max(g.total_lag) DESC LIMIT 50
)
SELECT q.name AS queue, b.lag, b.groups, m.minutes, m.least, m.pushed, m.delivered
  FROM behind b
  JOIN {schema}.queues q ON q.queue_id = b.queue_id
 CROSS JOIN LATERAL (
        SELECT count(*) AS minutes, min(s.pushed - s.delivered)::float8 AS least, sum(s.pushed)::float8 AS pushed,
               sum(s.delivered)::float8 AS delivered
          FROM (SELECT sum(a.push_messages) AS pushed, sum(a.pop_messages)::numeric / b.groups AS delivered
                  FROM {schema}.activity a
                 WHERE a.queue_id = b.queue_id AND a.bucket >= date_trunc('minute', now()) - interval '11 minutes'
                   AND a.bucket < date_trunc('minute', now())
                 GROUP BY a.bucket) s) m
 WHERE m.minutes > 0
"""
_PAUSED = "SELECT is_on AS paused FROM {schema}.switches WHERE name = 'pop_maintenance'"


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each group past its objective, and for each queue whose depth rose minute after minute."""
    limit = seen.limits["limit"]
    late = [row for row in lagging(seen) if limit.judge(waits_for(row)) is not None]
    slopes = {(row["queue"], row["consumer_group"]): row for row in seen.first["groups"]}
    for row in late[:FINDINGS_MAX]:
        yield _late(seen, row, slopes.get((row["queue"], row["consumer_group"])), len(late))
    for row in seen.rows("rising"):
        yield from _rising(seen, row)


def _late(seen: Seen, row: Row, before: Row | None, count: int) -> Finding:
    limit = seen.limits["limit"]
    waited = waits_for(row)
    slope = _slope(row, before)
    paused = bool(seen.row("paused").get("paused"))
    return Finding(
        limit.judge(waited) or "warn",
        f"{named(row)}: the oldest undelivered message is {waited:.0f} s old, {row['total_lag']} are behind",
        {**evidence(row), "lag_growth_per_s": slope, "pops_paused": paused, "groups_late": count},
        _remedy(slope, paused),
        object=f"{row['queue']} {row['consumer_group']}",
        threshold=limit,
    )


def _remedy(slope: float | None, paused: bool) -> str:
    if paused:
        return "Pops are paused: maintenance of pops is on. Turn it off when the work is done."
    if slope is not None and slope < 0:
        return "It is getting shorter by itself. More consumers make it quicker, as long as other partitions are ready."
    return (
        "Start more consumers, or make them quicker: batches, fewer calls outside. A partition goes to one consumer at "
        "a time, so more consumers than ready partitions bring nothing; Q4 tells whether one key holds the backlog."
    )


def _slope(row: Row, before: Row | None) -> float | None:
    """Messages a second that the lag grew by in the window; None where the numbers are kept ones."""
    if before is None or row["as_of_s"] or before["as_of_s"] or row["now_s"] <= before["now_s"]:
        return None
    return round(float((row["total_lag"] - before["total_lag"]) / (row["now_s"] - before["now_s"])), 1)


def _rising(seen: Seen, row: Row) -> Iterable[Finding]:
    limit = seen.limits["rising"]
    grown = row["pushed"] - row["delivered"]
    severity = limit.judge(row["minutes"]) if row["least"] > 0 and grown >= _RISE_MIN else None
    if severity is not None:
        yield Finding(
            severity,
            f"queue {row['queue']}: for {row['minutes']} minutes more was pushed than delivered, {grown:.0f} messages",
            {
                "minutes": row["minutes"],
                "pushed": int(row["pushed"]),
                "delivered_per_group": round(row["delivered"], 1),
                "lag": row["lag"],
                "groups_behind": row["groups"],
            },
            "Start more consumers, or slow the producers down (maxSize makes them wait).",
            object=f"depth of {row['queue']}",
            threshold=limit,
        )


CHECK = Check(
    id="Q1",
    group="queues",
    title="Messages that wait too long",
    why="This is what users of the queue feel; everything else in this list is a cause.",
    false_positive="A batch system that lets work gather on purpose: give it an objective of its own with --threshold.",
    explain="""\
For each group on each queue: the age of the oldest message that could be delivered and is not, less the delay that the
queue asks for (delayedProcessing, windowBuffer). Messages under a live lease count as delivered. The objective is 60
seconds unless it is changed: --threshold Q1.limit=300,900.

The second look is at depth. The server writes down by the minute what was pushed and delivered; a queue that took in
more than it gave out in each of the last ten minutes will not catch up by itself.

In a system of more than 2,000 partitions the numbers are those that the leading server keeps, some seconds old; the
oldest message is looked for in two partitions of each group, so the truth may be older, never younger.""",
    evaluate=evaluate,
    queries={"groups": LAGGING, "kept": KEPT, "rising": Query(_RISING, once=True), "paused": Query(_PAUSED, once=True)},
    thresholds={"limit": Threshold(60, 120, "s"), "rising": Threshold(10, None, "minutes")},
    needs=(needs.tables,),
    delta=True,
)
