"""L3: notifications that pile up, and commits that queue behind the lock of NOTIFY."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs, stake
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import NO_STAKE, Finding, Threshold

# A commit with notifications holds a lock on object 0 of the class of databases from before it is flushed to its end:
# one at a time in the whole server. A listener that stays in a transaction keeps all that was sent meanwhile.
_QUEUE: Final = Query(
    """
SELECT pg_notification_queue_usage() AS used,
       (SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND classid = 'pg_database'::regclass AND objid = 0
           AND NOT granted) AS waiting,
       (SELECT json_build_object('pid', a.pid, 'application', a.application_name, 'state', a.state,
                   'transaction_s', EXTRACT(epoch FROM clock_timestamp() - a.xact_start)::float8)
          FROM pg_stat_activity a
         WHERE a.backend_type = 'client backend' AND a.xact_start IS NOT NULL AND a.pid <> pg_backend_pid()
         ORDER BY a.xact_start LIMIT 1) AS oldest
""",
    once=True,
)
_SAMPLES_MIN: Final = 10  # fewer observations of waiting commits are no share


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for the backlog, one for waiting commits."""
    row = seen.row("queue")
    severity = seen.limits["limit"].judge(row["used"])
    if severity is not None:
        yield Finding(
            severity,
            f"notifications fill {100 * row['used']:.3g} % of their queue",
            {"used_share": row["used"], "oldest_transaction": row["oldest"]},
            "A session that listens stays in a transaction: find it and end the transaction. The server's log names it"
            " when half of the queue is full; when all is, every commit with a notification fails.",
            object="notification queue",
            threshold=seen.limits["limit"],
        )
    share = seen.waits.share("Lock:object")
    observed = round(share * seen.waits.active)
    waits = seen.limits["wait"].judge(share)
    if waits is not None and observed >= _SAMPLES_MIN:
        yield Finding(
            waits,
            f"{100 * share:.0f} % of the sessions at work wait to commit behind another one's notification",
            {"share": round(share, 3), "observed": observed, "waiting_now": row["waiting"]},
            "Send notifications from one connection, many at a time, and last in a transaction that is short. Of SQL"
            " callers of enqueue: one enqueue_many instead of many transactions.",
            object="commits with notifications",
            threshold=seen.limits["wait"],
            at_stake=stake.wait_share(share) if seen.waits.samples else NO_STAKE,
        )


CHECK = Check(
    id="L3",
    group="locks",
    title="Notifications",
    why="Commits that notify go one by one through the whole server, the flush of the log included.",
    false_positive="Another program in the same server that notifies with every commit.",
    explain="""\
NOTIFY is sent at commit, under a lock that is held until the commit is done. So transactions that notify commit one
after the other, in all databases of the server together. Queen notifies from a call of its own, whose commit does not
wait for the disk; a program that calls enqueue() notifies within its own transaction.

What was sent stays in a queue until every listener has read it. A listener that is in a transaction reads nothing, and
at the end the queue is full: then commits with notifications fail. How full it is counts for the whole server.

Waiting is sampled over the window: a wait that is seen now and then is normal.""",
    evaluate=evaluate,
    queries={"queue": _QUEUE},
    thresholds={"limit": Threshold(0.01, 0.25, "of the queue"), "wait": Threshold(0.05, 0.25, "of active samples")},
    needs=(needs.monitor,),
    delta=True,
)
