"""Q3: leases that run out before their messages are acknowledged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from queen.doctor import needs
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Threshold
from queen.doctor.groups import named
from queen.store.inspect import Row

LOST_MIN: Final = 3  # one consumer that was stopped loses one lease a partition
LOOKED_BACK_S: Final = 600.0

# What is leased, and what was until ten minutes ago and is still not acknowledged. A cursor counts how often the span
# behind it was handed out; all but the last hand-out, and the last one too when its time is over, were lost.
_LEASES = """
WITH leased AS MATERIALIZED (
    SELECT c.partition_id, c.consumer_group, least(c.deliveries, 100) AS handed,
           least(greatest(c.deliveries - c.retries - (c.lease_until > now())::int, 0), 100) AS lost,
           c.lease_until <= now() AS over
      FROM (SELECT * FROM {schema}.cursors LIMIT 500000) c
     WHERE c.lease_id IS NOT NULL AND c.lease_until > now() - interval '10 minutes'
)
SELECT q.name AS queue, l.consumer_group, count(*) AS leases, count(*) FILTER (WHERE l.over) AS over,
       sum(l.handed)::int AS handed, sum(l.lost)::int AS lost,
       coalesce(q.options ->> 'leaseTime', {schema}.default_options() ->> 'leaseTime')::float8 AS lease_s
  FROM leased l
  JOIN {schema}.partitions p ON p.partition_id = l.partition_id
  JOIN {schema}.queues q ON q.queue_id = p.queue_id
 GROUP BY q.queue_id, l.consumer_group
HAVING sum(l.lost) > 0
 ORDER BY sum(l.lost) DESC LIMIT 20
"""
_SERVERS = "SELECT count(*)::int AS servers FROM {schema}.running_instances(10000, 1000)"


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each group that loses more than a share of its leases."""
    limit = seen.limits["limit"]
    if _refuted(seen):
        return
    for row in seen.rows("leases"):
        share = 100 * row["lost"] / max(row["handed"], 1)
        severity = limit.judge(share)
        if severity is None or row["lost"] < LOST_MIN:
            continue
        yield Finding(
            severity,
            f"{named(row)}: {row['lost']} of {row['handed']} leases ran out before their messages were acknowledged",
            {
                "lost": row["lost"],
                "handed_out": row["handed"],
                "lost_pct": round(share, 1),
                "cursors": row["leases"],
                "over_now": row["over"],
                "lease_time_s": row["lease_s"],
                **_server(seen),
            },
            _remedy(row),
            object=f"{row['queue']} {row['consumer_group']}",
            threshold=limit,
        )


def _refuted(seen: Seen) -> bool:
    """The only server that runs has run for as long as we look back, and lost no lease: so it was given back."""
    if seen.server is None:
        return False
    metrics = seen.server.metrics
    if seen.row("servers")["servers"] != metrics.get("workers", {}).get("count"):
        return False
    counters = metrics.get("counters", {})
    return float(metrics.get("uptime", 0)) >= LOOKED_BACK_S and counters.get("leases_expired") == 0


def _remedy(row: Row) -> str:
    return (
        f"Either consumers end in the middle (their logs tell), or work takes longer than the lease of "
        f"{row['lease_s']:.0f} s: raise leaseTime, renew the lease while working, or take smaller batches."
    )


def _server(seen: Seen) -> Mapping[str, Any]:
    """What the server that was asked has counted itself since its start."""
    counters = seen.server.metrics.get("counters", {}) if seen.server is not None else {}
    return {"leases_expired_of_server": counters["leases_expired"]} if "leases_expired" in counters else {}


CHECK = Check(
    id="Q3",
    group="queues",
    title="Leases that run out",
    why="Their messages are delivered again: work is done twice, later, and the partition stood still meanwhile.",
    false_positive="Consumers that give messages back with status retry, where no server is asked (--url).",
    explain="""\
A lease that runs out makes its messages ready again. Each cursor counts how often the span behind it was handed out
since its last full acknowledgement, and how often that was charged as a failure. What was handed out again without a
failure was lost to a lease that ran out. Cursors with a lease that lives, or that ended in the last ten minutes, are
looked at, half a million at most.

A message that a consumer gave back with status retry looks the same. With a server to ask (--url) its own count of
leases that ran out is shown; where it is the only one that runs, and counted none, there is no finding.""",
    evaluate=evaluate,
    queries={"leases": Query(_LEASES), "servers": Query(_SERVERS)},
    thresholds={"limit": Threshold(1, 10, "% of leases")},
    needs=(needs.tables,),
)
