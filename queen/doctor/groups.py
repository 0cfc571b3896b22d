"""What the checks of queue semantics share: how far groups are behind, and whether these numbers are fresh.

A small system is counted while it is asked. In a large one (more than 2,000 partitions) these are the numbers that the
leading server keeps; they are as old as they say, and without a server they tell nothing of now.
"""

from __future__ import annotations

from typing import Any, Final

from queen.doctor.check import Query, Seen
from queen.errors import CannotLook
from queen.store.inspect import Row

KEPT_S_MAX: Final = 900.0
"""Kept numbers are renewed every ten seconds, and every ten minutes while nothing happens."""
QUEUE_MODE: Final = "__QUEUE_MODE__"
"""The group of those who consume without naming one."""

LAGGING: Final = Query("""
SELECT q.name AS queue, g.queue_id, g.consumer_group, g.members, g.partitions_with_lag, g.partitions_ready, g.total_lag,
       g.processing, g.oldest_s, g.as_of_s, extract(epoch FROM now())::float8 AS now_s,
       greatest((o.all_of ->> 'delayedProcessing')::float8, (o.all_of ->> 'windowBuffer')::float8) AS delay_s,
       (o.all_of ->> 'retentionEnabled')::boolean
           AND (o.all_of ->> 'completedRetentionSeconds')::float8 > 0 AS pins,
       g.total_lag * {schema}.message_bytes() AS lag_bytes
  FROM (SELECT n.*, extract(epoch FROM coalesce(n.computed_at, now()) - n.oldest_pending_at)::float8 AS oldest_s,
               coalesce(extract(epoch FROM now() - n.computed_at), 0)::float8 AS as_of_s
          FROM {schema}.group_numbers(NULL, NULL, 100000, 0, 2000) n
         WHERE n.total_lag > 0
         ORDER BY n.oldest_pending_at NULLS LAST LIMIT 500) g
  JOIN {schema}.queues q ON q.queue_id = g.queue_id
 CROSS JOIN LATERAL (SELECT {schema}.default_options() || q.options AS all_of) o
 ORDER BY g.oldest_s DESC NULLS LAST
""")
"""Groups that have something behind their cursors, those with the oldest message first. `oldest_s`: the age of that
message at the moment of the numbers, which was `as_of_s` ago; 0: counted just now."""

KEPT: Final = Query(
    """
SELECT {schema}.countable(NULL, 2000) IS NULL AS kept,
       coalesce(extract(epoch FROM now() - (SELECT min(k.computed_at) FROM {schema}.queue_stats k)), -1)::float8
           AS age_s
""",
    once=True,
)
"""Are the numbers kept ones, and how old is the oldest of them; -1: there are none."""


def lagging(seen: Seen) -> list[Row]:
    """The rows of LAGGING ("groups"). Raises CannotLook when they are kept ones of long ago ("kept")."""
    row = seen.row("kept")
    if row["kept"] and not 0 <= row["age_s"] <= KEPT_S_MAX:
        age = "were never counted" if row["age_s"] < 0 else f"are {row['age_s']:.0f} s old"
        raise CannotLook(
            f"there are many partitions, and the numbers of groups {age}", hint="queen serve  # it keeps them"
        )
    return seen.rows("groups")


def named(row: Row) -> str:
    """Queue and group, as a person reads them."""
    group = row["consumer_group"]
    return f"queue {row['queue']}" if group == QUEUE_MODE else f"queue {row['queue']}, group {group}"


def waits_for(row: Row) -> float:
    """The age in seconds of the oldest message that could have been delivered: a delay of the queue is no lag. 0 where
    all that is behind the cursor is in work."""
    if not row["partitions_ready"] or row["total_lag"] <= row["processing"]:
        return 0.0
    return max(0.0, (row["oldest_s"] or 0.0) - (row["delay_s"] or 0.0))


def evidence(row: Row) -> dict[str, Any]:
    """The numbers of one group."""
    return {
        "oldest_s": round(row["oldest_s"] or 0.0, 1),
        "delay_s": row["delay_s"] or 0.0,
        "lag": row["total_lag"],
        "in_work": row["processing"],
        "partitions": row["members"],
        "partitions_ready": row["partitions_ready"],
        "numbers_s_old": round(row["as_of_s"], 1),
    }
