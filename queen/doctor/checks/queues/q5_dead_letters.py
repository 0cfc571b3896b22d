"""Q5: too many messages end as dead letters, or one error comes again and again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from queen.doctor import needs
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Severity, Threshold
from queen.store.inspect import Row

DEAD_MIN: Final = 10
"""Fewer in an hour are single accidents."""
SAME_SHARE: Final = 0.8

_RECENT = """
SELECT coalesce(q.name, '(deleted)') AS queue, d.error, count(*)::int AS dead, bool_or(d.more) AS more
  FROM (SELECT r.queue_id, left(r.error, 120) AS error, r.failed_at, count(*) OVER () >= 1000 AS more
          FROM (SELECT * FROM {schema}.dead_letters ORDER BY dead_letter_id DESC LIMIT 1000) r) d
  LEFT JOIN {schema}.queues q ON q.queue_id = d.queue_id
 WHERE d.failed_at > now() - interval '1 hour'
 GROUP BY 1, 2
 ORDER BY 3 DESC, 1, 2
"""
_ACKS = """
SELECT q.name AS queue, sum(a.ack_success + a.ack_failed)::float8 AS acks, sum(a.dead_letters)::float8 AS dead
  FROM {schema}.activity a JOIN {schema}.queues q ON q.queue_id = a.queue_id
 WHERE a.bucket > now() - interval '1 hour'
   AND a.queue_id IN (SELECT r.queue_id FROM {schema}.dead_letters r ORDER BY r.dead_letter_id DESC LIMIT 1000)
 GROUP BY q.queue_id
"""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each queue that buries too much of what it delivers, or the same error again and again."""
    acks = {row["queue"]: row for row in seen.rows("acks")}
    by_queue: dict[str, list[Row]] = defaultdict(list)
    for row in seen.rows("recent"):
        by_queue[row["queue"]].append(row)
    for queue, rows in list(by_queue.items())[:20]:
        yield from _queue(seen, queue, rows, acks.get(queue))


def _queue(seen: Seen, queue: str, rows: list[Row], counted: Row | None) -> Iterable[Finding]:
    dead = max(sum(row["dead"] for row in rows), int(counted["dead"]) if counted else 0)
    share = 100 * dead / counted["acks"] if counted and counted["acks"] else None
    severity = _severity(seen, dead, share, rows[0]["dead"])
    if severity is None:
        return
    part = f", {share:.2g} % of what was acknowledged" if share is not None else ""
    yield Finding(
        severity,
        f"queue {queue}: {dead} dead letters in an hour{part}; most often: {rows[0]['error']}",
        {
            "dead_letters": dead,
            "acks": int(counted["acks"]) if counted else None,
            "share_pct": round(share, 3) if share is not None else None,
            "same_error": rows[0]["dead"],
            "errors": _errors(rows),
        },
        "Look at one of them (GET /api/v1/dlq), mend the consumer or its producer, then replay what it buried "
        "(POST /api/v1/dlq/replay).",
        object=queue,
        threshold=seen.limits["limit"],
    )


def _severity(seen: Seen, dead: int, share: float | None, same: int) -> Severity | None:
    if dead < DEAD_MIN:
        return None
    if share is None:  # no server wrote down how much was acknowledged
        return "warn"
    return seen.limits["limit"].judge(share) or ("info" if same >= max(DEAD_MIN, SAME_SHARE * dead) else None)


def _errors(rows: list[Row]) -> Mapping[str, int]:
    return {row["error"]: row["dead"] for row in rows[:5]}


CHECK = Check(
    id="Q5",
    group="queues",
    title="Dead letters",
    why="Each one is work that was promised and not done, and that waits for a person.",
    false_positive="A consumer that sorts out by status dlq on purpose, or a replay that is being tried.",
    explain="""\
The dead letters of the last hour, the newest thousand, are counted by queue and by the first 120 characters of their
error, and compared with what consumers acknowledged in that hour, as the server wrote it down. Fewer than ten are not
judged. One error that makes up most of them is told even where the share is small: it is one cause, and so one repair.

The server writes its counts once a minute. Where no server ran, the share is not known and ten dead letters are a
warning.""",
    evaluate=evaluate,
    queries={"recent": Query(_RECENT), "acks": Query(_ACKS)},
    thresholds={"limit": Threshold(0.1, 5, "% of acks")},
    needs=(needs.tables,),
)
